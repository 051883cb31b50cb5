//! The terminal client: sends lines from stdin to a room, and prints the room's messages on stdout.
//!
//! It is a small event loop of its own, on top of [`protocol`](reactor_chat::protocol) and
//! [`stream`](reactor_chat::stream). Start at `Client::turn` in `client/mod.rs`. The files:
//!
//! | file | what it owns |
//! | --- | --- |
//! | `options.rs` | the command line |
//! | `address.rs` | the server's address in options: of a network, or of a Unix socket |
//! | `username.rs` | the default name |
//! | `client/` | the event loop |
//! | `resolve.rs` | host name resolution |
//! | `connect.rs` | TCP connections to several addresses that race |
//! | `connect_unix.rs` | connections to Unix sockets |
//! | `server_connection.rs` | a connection that the client trusts |
//! | `trust.rs` | the options about trust, and the verdict on a key |
//! | `tls.rs` | the handshake, and the proof of the server's key |
//! | `first_bytes.rs` | the answer of a server without TLS |
//! | `known_hosts.rs` | the keys that the user has accepted |
//! | `ask.rs` | questions at the terminal |
//! | `explain_trust.rs` | questions and failures about trust in words |
//! | `server_stream.rs` | the stream of a connection |
//! | `requests.rs` | requests |
//! | `admission.rs` | the completions of requests |
//! | `credential.rs` | a token of any server |
//! | `password.rs` | the question for a room's password |
//! | `rejoin.rs` | one attempt to get back into a room |
//! | `reconnect.rs` | the schedule of such attempts |
//! | `request_error.rs` | the errors of requests |
//! | `explain.rs` | errors in words, with the next step |
//! | `explain_unix.rs` | failed connections to Unix sockets in words |
//! | `failure.rs` | the error that ends the client |
//! | `quoting.rs` | words quoted for a shell |
//! | `room_list.rs` | the list of rooms from the server |
//! | `room_table.rs` | the list of rooms in print |
//! | `link/` | the path of messages: datagrams in the clear or sealed, or a connection |
//! | `path_check.rs` | whether datagrams come back |
//! | `joined_room.rs` | a membership with any delivery |
//! | `plain.rs` | a membership with text or named delivery |
//! | `streamed.rs` | a membership with stream delivery |
//! | `member_queries.rs` | `/who` and its answers |
//! | `sent_lines.rs` | the fate of each sent line |
//! | `transcript.rs` | events of a stream in print |
//! | `suspension.rs` | times in which the client did not run |
//! | `stdin.rs` | the thread that reads lines |
//! | `output.rs` | everything that the user sees |
//! | `stdout.rs` | plain lines for stdout and stderr |
//! | `writer.rs` | the threads that write them |
//! | `blocking.rs` | I/O on descriptors that another program made non-blocking |
//! | `log_file.rs` | the copy of the conversation in a file |
//! | `terminal/` | a conversation on a terminal |
//! | `tty.rs` | the size and the mode of a terminal |
//! | `sanitize.rs` | text that is safe on a terminal |
//! | `signals.rs` | SIGINT, SIGTERM and SIGHUP |
//! | `panic.rs` | the panic hook |

#![forbid(unsafe_code)]

mod address;
mod admission;
mod ask;
mod blocking;
mod client;
mod connect;
mod connect_unix;
mod credential;
mod explain;
mod explain_trust;
mod explain_unix;
mod failure;
mod first_bytes;
mod joined_room;
mod known_hosts;
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
mod rejoin;
mod request_error;
mod requests;
mod resolve;
mod room_list;
mod room_table;
mod sanitize;
mod sent_lines;
mod server_connection;
mod server_stream;
mod signals;
mod stdin;
mod stdout;
mod streamed;
mod suspension;
mod terminal;
mod tls;
mod transcript;
mod trust;
mod tty;
mod username;
mod writer;

use std::env;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use client::ChatEnd;
use failure::{Failure, unless_closed_pipe};
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
    room_table::print(&list, listing).or_else(unless_closed_pipe)?;
    list.cut.map_or(Ok(()), Err)
}

fn status(outcome: Result<ChatEnd, Failure>) -> ExitCode {
    match outcome {
        Ok(ChatEnd::Left) => ExitCode::SUCCESS,
        Ok(ChatEnd::Incomplete) => ExitCode::from(FAILURE),
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
    stdout::notify(&why.to_string());
    ExitCode::from(status)
}
