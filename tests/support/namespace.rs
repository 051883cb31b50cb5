//! A network namespace of a test's own, where the kernel can be told to be slow or to lose.

use std::env;
use std::io::{self, Write};
use std::process::Command;

/// Set in the child that runs inside of the namespace.
const INSIDE: &str = "REACTOR_CHAT_NAMESPACE";

/// Runs `body` in a namespace that the shell script `setup` has prepared: this test, by its name, is
/// started once more there. Where the machine does not allow that, `what` is not tested, and it says
/// so where it is seen: what a test that passes prints is not.
pub fn in_namespace(test: &str, what: &str, setup: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let try_it = Command::new("unshare").args(["-n", "sh", "-c", setup]).output();
    match try_it {
        Ok(output) if output.status.success() => run_inside(test, setup),
        Ok(output) => skip(what, &String::from_utf8_lossy(&output.stderr)),
        Err(error) => skip(what, &format!("unshare(1): {error}")),
    }
}

/// Says where it is seen that something is not tested.
pub fn skip(what: &str, why: &str) {
    let line = format!("SKIPPED: {what}: {}\n", why.trim());
    io::stderr().write_all(line.as_bytes()).expect("stderr");
}

fn run_inside(test: &str, setup: &str) {
    let script = format!("{setup} && exec \"$0\" --exact {test} --nocapture");
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", &script])
        .arg(env::current_exe().expect("this test"))
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) has just worked");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
}
