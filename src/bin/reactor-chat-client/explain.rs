//! Explains failures: turns every status and every error of a connection into a sentence that ends
//! with the next step. Text from the network is sanitized.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use reactor_chat::protocol::{Operation, Status};

use crate::failure::Failure;
use crate::options::{ChatOptions, PASSWORD_VARIABLE, Server, ServerAddress};
use crate::quoting::quoted;
use crate::request_error::{FailedAttempt, RequestError, ResolveError};
use crate::sanitize::plain;

/// Explains why the room could not be joined or created.
pub(crate) fn failed_entry(options: &ChatOptions, error: &RequestError) -> Failure {
    match error {
        RequestError::Refused(byte) => Failure::sentence(&match Status::from_byte(*byte) {
            Some(status) => refused_entry(options, status),
            None => refused_with_unknown_status(*byte),
        }),
        _ => failed_exchange(&options.server, error),
    }
}

/// Explains why there is no list of rooms.
pub(crate) fn failed_list(server: &Server, error: &RequestError) -> Failure {
    match error {
        RequestError::Refused(byte) => Failure::sentence(&match Status::from_byte(*byte) {
            Some(status) => refused_by_server(server, status),
            None => refused_with_unknown_status(*byte),
        }),
        _ => failed_exchange(server, error),
    }
}

/// Explains why there is no address to connect to. A name is called misspelt only if the resolver
/// says that it does not exist.
pub(crate) fn failed_lookup(server: &ServerAddress, why: &ResolveError) -> Failure {
    let (host, error) = (&server.host, &why.error);
    Failure::sentence(&match why.is_temporary {
        true => format!(
            "the host '{host}' cannot be looked up for now: {error}; check the network, and try \
             again"
        ),
        false => format!("the host '{host}' is not found: {error}; check its spelling"),
    })
}

/// Returns the line that says that a name is looked up again.
pub(crate) fn repeated_lookup(server: &ServerAddress, error: &io::Error) -> String {
    let host = &server.host;
    plain(&format!("the host '{host}' cannot be looked up for now: {error}; still trying"))
}

/// Explains why none of the server's addresses took the connection, with the error of each.
pub(crate) fn failed_connection(server: &ServerAddress, attempts: &[FailedAttempt]) -> Failure {
    let Some(error) = most_telling_error(attempts) else {
        let host = &server.host;
        return Failure::sentence(&format!("the host '{host}' has no address; check --host"));
    };
    let place = format!("{}{}", server.place(), tried(attempts));
    Failure::sentence(&match error.kind() {
        ErrorKind::ConnectionRefused if server.options().is_empty() => format!(
            "no server listens at {place}; start one with: reactor-chat, or give its address with \
             --host HOST:PORT"
        ),
        ErrorKind::ConnectionRefused => {
            format!("no server listens at {place}; check host and port, or ask its operator")
        }
        ErrorKind::TimedOut => format!(
            "nothing answers at {place}; check host and port, and whether a firewall is in the way"
        ),
        _ => format!("there is no way to {place}: {error}; check --host, and the network"),
    })
}

/// Returns the list of addresses and their errors, if there are several.
fn tried(attempts: &[FailedAttempt]) -> String {
    if attempts.len() < 2 {
        return String::new();
    }
    let tried = attempts.iter().map(|(address, error)| format!("{address}: {error}"));
    format!(" (tried {})", Vec::from_iter(tried).join(", "))
}

/// Returns the error of a host that answered, or else of one that may exist.
fn most_telling_error(attempts: &[FailedAttempt]) -> Option<&io::Error> {
    let rank = |error: &io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => 0,
        ErrorKind::TimedOut => 1,
        _ => 2,
    };
    attempts.iter().map(|(_, error)| error).min_by_key(|error| rank(error))
}

/// Explains that the server does not answer any more, and how to come back.
pub(crate) fn lost_server(options: &ChatOptions, why: &str) -> Failure {
    let back = command(options, options.operation);
    Failure::sentence(&format!("the server is gone: {why}; when it is back, go on with: {back}"))
}

/// Returns the command that starts this chat again.
pub(crate) fn command_to_return(options: &ChatOptions) -> String {
    plain(&command(options, options.operation))
}

/// Says that datagrams get no answer although requests do.
pub(crate) fn blocked_path(server: &ServerAddress, address: SocketAddr) -> String {
    let (port, tcp_port) = (silent_port(address), server.tcp_port);
    plain(&format!(
        "{port}, TCP port {tcp_port} does: a firewall may drop datagrams, or --udp-port is wrong; \
         still trying"
    ))
}

/// Says that messages travel over TCP, because datagrams get no answer (C5).
pub(crate) fn carried_now(address: SocketAddr) -> String {
    let (port, ip) = (address.port(), address.ip());
    format!("no datagram comes from UDP port {port} of {ip}; messages travel over TCP now")
}

pub(crate) fn silent_port(address: SocketAddr) -> String {
    format!("UDP port {} of {} does not answer", address.port(), address.ip())
}

/// Says that no datagram has come back. With plain delivery that proves nothing, because the server
/// answers only commands.
pub(crate) fn quiet_path(address: SocketAddr) -> String {
    let (port, ip) = (address.port(), address.ip());
    format!(
        "no datagram has come from UDP port {port} of {ip} yet: the room may be quiet, or a firewall \
         drops datagrams, which --carry avoids"
    )
}

/// Suggests to create the first room.
pub(crate) fn no_rooms(server: &Server) -> String {
    plain(&format!(
        "no rooms; create one with: reactor-chat-client{} create ROOM",
        server.options()
    ))
}

/// Returns the command that does this operation on the same room.
fn command(options: &ChatOptions, operation: Operation) -> String {
    let verb = if operation == Operation::Create { "create" } else { "join" };
    let name = match options.is_named {
        true => format!(" --name {}", quoted(&options.name)),
        false => String::new(),
    };
    // Without this a room name that begins with a dash would be read as an option.
    let dashes = if options.room.starts_with('-') { " --" } else { "" };
    let (server, room) = (options.server.options(), quoted(&options.room));
    format!("reactor-chat-client{server}{name} {verb}{dashes} {room}")
}

/// Returns the other explanation of a room that does not exist, as the server says.
pub(crate) fn hidden(has_password: bool) -> &'static str {
    match has_password {
        true => "is hidden and has another password",
        false => "is hidden and needs a password",
    }
}

fn refused_entry(options: &ChatOptions, status: Status) -> String {
    let (room, name) = (&options.room, &options.name);
    let origin = origin(&options.server);
    match status {
        Status::RoomExists | Status::RoomNotFound => refused_room(options, status),
        Status::WrongPassword if options.has_password() => {
            format!("that is not the password of room '{room}'; ask its host for it")
        }
        Status::WrongPassword => format!(
            "room '{room}' needs a password; give it with --password or in {PASSWORD_VARIABLE}"
        ),
        Status::InvalidRoomName | Status::InvalidUserName | Status::NameTaken => {
            refused_name(options, status)
        }
        Status::RoomFull => format!("room '{room}' is full; try again when somebody has left"),
        Status::Kicked => format!(
            "the host has banned '{name}' or {origin} from room '{room}'; ask the host, or find \
             another room with: reactor-chat-client{} list",
            options.server.options()
        ),
        Status::RateLimited if options.operation == Operation::Create => {
            format!("too many rooms, members or connections from {origin}; try again in a minute")
        }
        Status::RateLimited => format!(
            "room '{room}' accepts nobody from {origin} for now, because of too many wrong \
             passwords or too many members from it; try again in a minute"
        ),
        Status::EncryptionRequired => {
            let step = match options.server {
                Server::Network(_) => "leave out --plain",
                Server::Unix(_) => "ask its operator",
            };
            format!("room '{room}' or its server takes only encrypted members; {step}")
        }
        Status::Success | Status::ServerFull | Status::Malformed => {
            refused_by_server(&options.server, status)
        }
    }
}

/// Explains a room that exists although it should not, or the other way round.
fn refused_room(options: &ChatOptions, status: Status) -> String {
    let room = &options.room;
    if status == Status::RoomExists {
        let join = command(options, Operation::Join);
        return format!(
            "room '{room}' exists already; join it (a host that crashed is its host again, half a \
             minute later) with: {join}"
        );
    }
    let (create, hidden) = (command(options, Operation::Create), hidden(options.has_password()));
    format!("room '{room}' does not exist, or {hidden}; create it with: {create}")
}

fn refused_name(options: &ChatOptions, status: Status) -> String {
    let (room, name) = (&options.room, &options.name);
    match status {
        Status::InvalidRoomName => format!(
            "'{room}' cannot be the name of a room; choose 1 to 255 bytes of visible characters, \
             with single spaces between them"
        ),
        Status::InvalidUserName => format!(
            "'{name}' cannot be your name; choose another with --name, of visible characters \
             with single spaces between them, without ': ' in it or ':' at its end"
        ),
        _ => format!(
            "somebody in room '{room}' is called '{name}'; choose another name with --name, or try \
             again in half a minute if that was you, from {}",
            origin(&options.server)
        ),
    }
}

/// Explains a refusal that concerns no room.
pub(crate) fn refused_by_server(server: &Server, status: Status) -> String {
    let place = server.place();
    match status {
        Status::ServerFull => {
            format!("the server at {place} is full; try again later, or ask its operator")
        }
        Status::RateLimited => format!(
            "the server at {place} has too many connections from {}; try again in a minute",
            origin(server)
        ),
        Status::Malformed => format!(
            "the server at {place} does not understand the request; check that both programs are \
             of the same version"
        ),
        _ => format!("the server at {place} refuses it: {status}; ask its operator"),
    }
}

fn refused_with_unknown_status(byte: u8) -> String {
    format!("the server refuses it with status {byte}, unknown here; a newer client may know it")
}

/// Explains why there is no reply.
pub(crate) fn failed_exchange(server: &Server, error: &RequestError) -> Failure {
    let (place, check) = (server.place(), check(server));
    Failure::sentence(&match error {
        RequestError::Refused(byte) => refused_with_unknown_status(*byte),
        RequestError::NotCarried => match server {
            Server::Network(_) => {
                format!("the server at {place} carries no messages over TCP; leave out --carry")
            }
            Server::Unix(_) => format!("the server at {place} carries no messages; {check}"),
        },
        RequestError::Unsealed => format!(
            "the server at {place} does not encrypt messages, although it speaks TLS; do not trust \
             it, or ask its operator"
        ),
        RequestError::Invalid => {
            format!("the program at {place} is no server of this protocol; {check}")
        }
        RequestError::TimedOut(patience) => format!(
            "the server at {place} has not replied in {} s; try again, and {check}",
            patience.as_secs()
        ),
        RequestError::Ended => format!(
            "the server at {place} ended the connection without a reply; try again, and {check}"
        ),
        RequestError::Broken(error) => {
            format!("the connection to {place} broke: {error}; try again, and check the network")
        }
    })
}

/// Returns the words for the peers that the server counts as one.
fn origin(server: &Server) -> &'static str {
    match server {
        Server::Network(_) => "this address",
        Server::Unix(_) => "this user",
    }
}

/// Returns the advice for a place at which another program may listen.
fn check(server: &Server) -> &'static str {
    match server {
        Server::Network(_) => "check host and port",
        Server::Unix(_) => "check --host",
    }
}

#[cfg(test)]
mod tests;
