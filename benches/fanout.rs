//! `cargo bench`: the server's cost of one delivery, beside that of the plainest relays.
//!
//! Runs the scenarios that the options select, and prints a table. On request it writes JSON and a
//! picture. The parts are in `harness/`; `harness/mod.rs` is the map.

#![forbid(unsafe_code)]

mod harness;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use harness::options::{self, Invocation, Options};
use harness::{json, picture, relay, report, run};

/// The command line is wrong.
const USAGE: u8 = 2;
/// A server does not answer, delivers nothing, or a file can't be written.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let done = match options::parse(env::args_os().skip(1)) {
        Err(mistake) => return complain(&mistake, USAGE),
        Ok(Invocation::Print(text)) => report::print(&text),
        Ok(Invocation::Relay(kind, name)) => relay::serve(kind, name),
        Ok(Invocation::Measure(options)) => measure(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if report::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), FAILURE),
    }
}

fn measure(options: &Options) -> io::Result<()> {
    // Reports a file that can't be written before the measurements, not after them.
    for path in options.json.iter().chain(&options.svg) {
        json::write(path, "")?;
    }
    report::print_head(options)?;
    let results = run::run(options)?;
    report::print_legend()?;
    if let Some(path) = &options.json {
        json::write_rows(path, &results.rows)?;
    }
    if let Some(path) = &options.svg {
        picture::draw(path, &results)?;
    }
    results.check()
}

fn complain(why: &str, status: u8) -> ExitCode {
    // Not `eprintln`, which panics if stderr takes nothing. The exit status tells too.
    let _ = writeln!(io::stderr(), "fanout: {why}");
    ExitCode::from(status)
}
