//! The terminal client: the command line to a [`client`], and how it ends to an exit status.

use std::env;
use std::fmt::Display;
use std::process::ExitCode;

use reactor_chat::client::options::{self, Invocation};
use reactor_chat::client::{self, End, Failure, SIGNAL_BASE};

/// The command line is wrong.
const USAGE: u8 = 2;
/// The request is refused, or the server can't be reached or is gone.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    match options::parse(env::args_os().skip(1)) {
        Err(mistake) => complain(mistake, USAGE),
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::List(listing)) => status(client::list(&listing).map(|()| End::Left)),
        Ok(Invocation::Chat(entry)) => status(client::chat(&entry)),
    }
}

fn status(outcome: Result<End, Failure>) -> ExitCode {
    match outcome {
        Ok(End::Left) => ExitCode::SUCCESS,
        Ok(End::Untaken) => ExitCode::from(FAILURE),
        Ok(End::Signalled(number)) => {
            u8::try_from(SIGNAL_BASE + number).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(failure) => complain(failure, FAILURE),
    }
}

fn print(text: &str) -> ExitCode {
    match client::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn complain(why: impl Display, status: u8) -> ExitCode {
    client::complain(why);
    ExitCode::from(status)
}
