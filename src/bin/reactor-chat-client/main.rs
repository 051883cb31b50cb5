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
//! | `username.rs` | the name that one has without giving any |
//! | `resolve.rs` | a host name to addresses |
//! | `connect.rs` | connections to several addresses that race |
//! | `requests.rs` | requests over TCP |
//! | `explain.rs` | why they did not succeed, and what to do next |
//! | `credential.rs` | a token, whatever a server takes for one |
//! | `password.rs` | asking for a room's password |
//! | `room_table.rs` | the list of rooms, as it is shown |
//! | `room_list.rs` | the list of rooms, as the server gives it |
//! | `tty.rs` | what a terminal is like |
//! | `quoting.rs` | words that a shell is to read |
//! | `link.rs` | the UDP socket: datagrams to and from the server |
//! | `joined_room.rs` | the membership, as the loop sees it |
//! | `plain.rs` | a membership with text or named delivery |
//! | `streamed.rs` | one with stream delivery, on top of [`stream`](reactor_chat::stream) |
//! | `member_queries.rs` | questions who is there, and their answers |
//! | `sent_lines.rs` | what became of each line that was said in one |
//! | `transcript.rs` | what is shown of a stream, and how it ended |
//! | `reconnect.rs` | a server that does not answer, and the way back to it |
//! | `failure.rs` | the error that ends the client |
//! | `panic.rs` | panics |
//! | `path_check.rs` | whether datagrams come back |
//! | `suspension.rs` | times in which nothing ran here |
//! | `stdin.rs` | the thread that reads lines |
//! | `output.rs` | what the user sees, in one of two ways |
//! | `log_file.rs` | the room's record in a file |
//! | `stdout.rs` | stdout and stderr, in plain lines |
//! | `writer.rs` | the threads that write them |
//! | `blocking.rs` | descriptors that another program has made non-blocking |
//! | `terminal/` | a conversation on a terminal |
//! | `sanitize.rs` | what may be shown there |
//! | `signals.rs` | SIGINT, SIGTERM and SIGHUP |

#![forbid(unsafe_code)]

mod address;
mod blocking;
mod client;
mod connect;
mod credential;
mod explain;
mod failure;
mod joined_room;
mod link;
mod log_file;
mod member_queries;
mod options;
mod output;
mod panic;
mod password;
mod path_check;
mod plain;
mod quoting;
mod reconnect;
mod requests;
mod resolve;
mod room_list;
mod room_table;
mod sanitize;
mod sent_lines;
mod signals;
mod stdin;
mod stdout;
mod streamed;
mod suspension;
mod terminal;
mod transcript;
mod tty;
mod username;
mod writer;

use std::env;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use client::ChatEnd;
use failure::{Failure, unless_unread};
use options::{Invocation, ListOptions};
use signals::SIGNAL_BASE;

/// The command line is wrong.
const USAGE: u8 = 2;
/// The request is refused, or the server can't be reached or is gone.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    match options::parse(env::args_os().skip(1)) {
        Err(mistake) => complain(mistake, USAGE),
        Ok(Invocation::Print(text)) => print(&text),
        Ok(Invocation::List(listing)) => status(list(&listing).map(|()| ChatEnd::Left)),
        Ok(Invocation::Chat(options)) => status(client::chat(&options)),
    }
}

/// Prints the rooms that the server lists.
fn list(listing: &ListOptions) -> Result<(), Failure> {
    let list = room_list::fetch(&listing.server)?;
    room_table::print(&list, listing).or_else(unless_unread)?;
    list.cut.map_or(Ok(()), Err)
}

fn status(outcome: Result<ChatEnd, Failure>) -> ExitCode {
    match outcome {
        Ok(ChatEnd::Left) => ExitCode::SUCCESS,
        Ok(ChatEnd::UnacceptedLines) => ExitCode::from(FAILURE),
        Ok(ChatEnd::Signalled(number)) => {
            u8::try_from(SIGNAL_BASE + number).map_or(ExitCode::FAILURE, ExitCode::from)
        }
        Err(failure) => complain(failure, FAILURE),
    }
}

fn print(text: &str) -> ExitCode {
    match blocking::write_all(io::stdout(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

fn complain(why: impl Display, status: u8) -> ExitCode {
    stdout::tell(&why.to_string());
    ExitCode::from(status)
}
