//! Runs the chat page without a document in node: golden histories, sessions, and its texts.
//!
//! `src/stream/golden_tests.rs` writes the histories from the library, so both receivers and senders do the same. The
//! sessions have a server and a clock of their own, in JavaScript. Both also run in Chromium, by `tests/browser/`.

use std::process::{Command, Stdio};

/// The first minor release of node 20 that finds out by itself that a file is a module.
const NODE: (u32, u32) = (20, 19);

#[test]
fn h6_node_repeats_histories() {
    run_node(&["tests/script/node.js", "tests/script/histories.jsonl"]);
}

#[test]
fn h11_sessions_come_back() {
    run_node(&["tests/script/sessions.js"]);
}

#[test]
fn h11_page_reads_texts() {
    run_node(&["tests/script/page_texts.js"]);
}

/// Runs a script in node, which must succeed.
fn run_node(arguments: &[&str]) {
    let Some(version) = node_version() else { return skip("there is no node") };
    if version < NODE {
        return skip(&format!("node has the version {version:?}, and {NODE:?} is needed"));
    }
    let output =
        Command::new("node").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("node starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Returns the major and the minor version of node, if it is there.
fn node_version() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let mut numbers = version.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Notes that the test does not run. In CI, Chromium must then repeat the histories.
fn skip(reason: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci || has_chromium(), "{reason}, and no Chromium");
    println!("skipped: {reason}");
}

fn has_chromium() -> bool {
    let version = Command::new("chromium").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
