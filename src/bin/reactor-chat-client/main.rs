//! The terminal client: lines from stdin to a room, a room's messages to stdout.
//!
//! It is a small event loop of its own and shares nothing with the server but
//! [`protocol`](reactor_chat::protocol) and the system calls of `sys.rs`. Start at `Client::turn` in
//! `client/mod.rs`. The files:
//!
//! | file | what it owns |
//! | --- | --- |
//! | `options.rs` | the command line |
//! | `client/mod.rs` | the event loop |
//! | `client/ending.rs` | the end of a chat: last lines, exit status |
//! | `address.rs` | where the server is, as options say it |
//! | `login.rs` | the name that one has without giving any |
//! | `resolving.rs` | a host name to addresses |
//! | `connecting.rs` | connections to several addresses that race |
//! | `entering.rs` | requests over TCP |
//! | `advice.rs` | why they did not succeed, and what to do next |
//! | `credential.rs` | a token, whatever a server takes for one |
//! | `password.rs` | asking for a room's password |
//! | `rooms.rs` | the list of rooms, as it is shown |
//! | `room_list.rs` | the list of rooms, as the server gives it |
//! | `screen.rs` | what a terminal is like |
//! | `shell.rs` | words that a shell is to read |
//! | `link.rs` | the UDP socket: datagrams to and from the server |
//! | `room.rs` | the membership, as the loop sees it |
//! | `each.rs` | a membership with text or named delivery |
//! | `streamed.rs` | one with stream delivery, on top of [`stream`](reactor_chat::stream) |
//! | `questions.rs` | questions who is there, and their answers |
//! | `fate.rs` | what became of each line that was said in one |
//! | `record.rs` | what is shown of a stream, and how it ended |
//! | `returning.rs` | a server that does not answer, and the way back to it |
//! | `failure.rs` | the error that ends the client |
//! | `crash.rs` | panics |
//! | `path.rs` | whether datagrams come back |
//! | `pauses.rs` | times in which nothing ran here |
//! | `stdin.rs` | the thread that reads lines |
//! | `page.rs` | what the user sees, in one of two ways |
//! | `log_file.rs` | the room's record in a file |
//! | `printing.rs` | stdout and stderr, in plain lines |
//! | `output.rs` | the threads that write them |
//! | `patient.rs` | descriptors that another program has made non-blocking |
//! | `terminal/` | a conversation on a terminal |
//! | `plain.rs` | what may be shown there |
//! | `signals.rs` | SIGINT, SIGTERM and SIGHUP |

#![forbid(unsafe_code)]

mod address;
mod advice;
mod client;
mod connecting;
mod crash;
mod credential;
mod each;
mod entering;
mod failure;
mod fate;
mod link;
mod log_file;
mod login;
mod options;
mod output;
mod page;
mod password;
mod path;
mod patient;
mod pauses;
mod plain;
mod printing;
mod questions;
mod record;
mod resolving;
mod returning;
mod room;
mod room_list;
mod rooms;
mod screen;
mod shell;
mod signals;
mod stdin;
mod streamed;
mod terminal;

use std::env;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use client::End;
use failure::{Failure, unless_unread};
use options::{Invocation, Listing};
use signals::SIGNAL_BASE;

/// The command line is wrong.
const USAGE: u8 = 2;
/// The request is refused, or the server can't be reached or is gone.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    match options::parse(env::args_os().skip(1)) {
        Err(mistake) => complain(mistake, USAGE),
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::List(listing)) => status(list(&listing).map(|()| End::Left)),
        Ok(Invocation::Chat(entry)) => status(client::chat(&entry)),
    }
}

/// Prints the rooms that the server lists.
fn list(listing: &Listing) -> Result<(), Failure> {
    let list = room_list::fetch(&listing.server)?;
    rooms::print(&list, listing).or_else(unless_unread)?;
    list.cut.map_or(Ok(()), Err)
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
    match patient::write_all(io::stdout(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn complain(why: impl Display, status: u8) -> ExitCode {
    printing::tell(&why.to_string());
    ExitCode::from(status)
}
