//! The outputs about the command line itself, in the programs that read them: three shells and
//! mandoc(1); and the check before a start.

mod check;
mod completions;
mod man;
#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use support::namespace::skip_outside_ci;

/// The programs of this build.
fn programs() -> Vec<&'static str> {
    let server = env!("CARGO_BIN_EXE_reactor-chat");
    // Cargo sets the variable for every binary, also for one that the features leave out.
    let client = option_env!("CARGO_BIN_EXE_reactor-chat-client");
    Some(server).into_iter().chain(client.filter(|_| cfg!(feature = "client"))).collect()
}

/// Runs a tool with this input. Returns `None` and says so if the machine does not have it. The
/// machines of CI have all of them.
fn run_tool(tool: &str, args: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new(tool);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip_outside_ci("a page or a script", &format!("no {tool}(1)"));
            return None;
        }
        child => child.expect("a tool"),
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("a tool that reads");
    drop(stdin);
    Some(child.wait_with_output().expect("a tool"))
}

fn utf8(output: &[u8]) -> &str {
    str::from_utf8(output).expect("UTF-8")
}

/// Returns the man page of a program.
fn page_of(program: &str) -> String {
    let output = Command::new(program).arg("--man").output().expect("a built program");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    utf8(&output.stdout).into()
}
