//! `cargo bench`: what one delivery costs the server, beside what it costs the plainest relays.
//!
//! Options make a plan, the plan is run, and what was measured becomes a table and, if asked for,
//! JSON and a picture. The parts are in `harness/`; `harness/mod.rs` is the map.

#![forbid(unsafe_code)]

mod harness;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use harness::options::{self, Invocation, Options};
use harness::{picture, relay, report, run};

/// The command line is wrong.
const USAGE: u8 = 2;
/// A server does not answer, delivers nothing, or a file can't be written.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let done = match options::parse(env::args_os().skip(1)) {
        Err(mistake) => return complain(&mistake, USAGE),
        Ok(Invocation::Print(text)) => report::print(&text),
        Ok(Invocation::Relay(kind)) => relay::serve(kind),
        Ok(Invocation::Measure(options)) => measure(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if report::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => complain(&error.to_string(), FAILURE),
    }
}

fn measure(options: &Options) -> io::Result<()> {
    // A file that can't be written is told before the wait, not after it.
    for path in options.json.iter().chain(&options.svg) {
        report::write(path, "")?;
    }
    report::print_head(options)?;
    let results = run::run(options)?;
    report::print_legend()?;
    if let Some(path) = &options.json {
        report::write_json(path, &results.rows)?;
    }
    if let Some(path) = &options.svg {
        picture::draw(path, &results)?;
    }
    results.check()
}

fn complain(why: &str, status: u8) -> ExitCode {
    // Not `eprintln`: it panics where stderr takes nothing, and the status says it too.
    let _ = writeln!(io::stderr(), "fanout: {why}");
    ExitCode::from(status)
}
