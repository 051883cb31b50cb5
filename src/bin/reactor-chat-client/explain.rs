//! Why nobody got in, in words: every status and every fault of a connection as a sentence that
//! ends with what to do next. Nothing from the network stands in it as it came.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use crate::connect::FailedAttempt;
use crate::failure::Failure;
use crate::options::{ChatOptions, PASSWORD_VARIABLE, ServerAddress};
use crate::quoting::quoted;
use crate::requests::RequestError;
use crate::resolve::ResolveError;
use crate::sanitize::plain;
use reactor_chat::protocol::{Operation, Status};

/// Why an entry did not succeed.
pub(crate) fn of_entry(options: &ChatOptions, why: &RequestError) -> Failure {
    let sentence = match why {
        RequestError::Refused(byte) => match Status::from_byte(*byte) {
            Some(status) => refusal(options, status),
            None => unknown(*byte),
        },
        _ => fault(&options.server, why),
    };
    Failure(plain(&sentence))
}

/// Why a list did not come.
pub(crate) fn of_list(server: &ServerAddress, why: &RequestError) -> Failure {
    let sentence = match why {
        RequestError::Refused(byte) => match Status::from_byte(*byte) {
            Some(status) => of_server(server, status),
            None => unknown(*byte),
        },
        _ => fault(server, why),
    };
    Failure(plain(&sentence))
}

/// Explains why there is no address to connect to. A name is called misspelt only if the resolver
/// says that it does not exist.
pub(crate) fn of_host(server: &ServerAddress, why: &ResolveError) -> Failure {
    let (host, error) = (&server.host, &why.error);
    Failure(plain(&match why.is_for_now {
        true => format!(
            "the host '{host}' cannot be looked up for now: {error}; check the network, and try \
             again"
        ),
        false => format!("the host '{host}' is not found: {error}; check how it is written"),
    }))
}

/// Says that a name is looked up again.
pub(crate) fn of_lookup(server: &ServerAddress, error: &io::Error) -> String {
    let host = &server.host;
    plain(&format!("the host '{host}' cannot be looked up for now: {error}; still trying"))
}

/// Explains why none of the server's addresses took the connection, with the error of each.
pub(crate) fn of_connection(server: &ServerAddress, attempts: &[FailedAttempt]) -> Failure {
    let place = place(server);
    let tried = match attempts {
        [] | [_] => String::new(),
        [..] => {
            let tried = attempts.iter().map(|(address, error)| format!("{address}: {error}"));
            format!(" (tried {})", Vec::from_iter(tried).join(", "))
        }
    };
    let options = server.options();
    let Some(error) = telling(attempts) else {
        return Failure(plain(&format!("the host '{}' has no address; check --host", server.host)));
    };
    let sentence = match error.kind() {
        ErrorKind::ConnectionRefused if options.is_empty() => format!(
            "no server listens at {place}{tried}; start one with: reactor-chat, or say where it \
             is with --host HOST:PORT"
        ),
        ErrorKind::ConnectionRefused => {
            format!("no server listens at {place}{tried}; check host and port, or ask who runs it")
        }
        ErrorKind::TimedOut => format!(
            "nothing answers at {place}{tried}; check host and port, and whether a firewall is \
             in the way"
        ),
        _ => format!("there is no way to {place}{tried}: {error}; check --host, and the network"),
    };
    Failure(plain(&sentence))
}

/// Returns the most telling error: that of a host that answered, else of one that may exist.
fn telling(attempts: &[FailedAttempt]) -> Option<&io::Error> {
    let rank = |error: &io::Error| match error.kind() {
        ErrorKind::ConnectionRefused => 0,
        ErrorKind::TimedOut => 1,
        _ => 2,
    };
    attempts.iter().map(|(_, error)| error).min_by_key(|error| rank(error))
}

/// Why there is nobody to talk to any more, and how to come back.
pub(crate) fn of_loss(options: &ChatOptions, why: &str) -> Failure {
    let back = command(options, options.operation);
    Failure(plain(&format!("the server is gone: {why}; when it is back, go on with: {back}")))
}

/// Returns the command that goes on where this one ended.
pub(crate) fn way_back(options: &ChatOptions) -> String {
    plain(&command(options, options.operation))
}

/// Says that a path passes no datagrams, although requests are answered.
pub(crate) fn of_path(server: &ServerAddress, address: SocketAddr) -> String {
    let (port, tcp_port) = (of_silent_port(address), server.tcp_port);
    plain(&format!(
        "{port}, TCP port {tcp_port} does: a firewall may drop datagrams, or --udp-port is another; \
         still trying"
    ))
}

pub(crate) fn of_silent_port(address: SocketAddr) -> String {
    format!("UDP port {} of {} does not answer", address.port(), address.ip())
}

/// Says that nothing has come back up to now. That proves nothing here: without stream delivery a
/// server answers only commands.
pub(crate) fn of_quiet_path(address: SocketAddr) -> String {
    let (port, ip) = (address.port(), address.ip());
    format!(
        "nothing has come from UDP port {port} of {ip} up to now: the room may be quiet, or a firewall \
         drops datagrams"
    )
}

/// What to do where there are no rooms.
pub(crate) fn of_first_room(server: &ServerAddress) -> String {
    plain(&format!("make one with: reactor-chat-client{} create ROOM", server.options()))
}

/// The command that does this to the room of the entry.
fn command(options: &ChatOptions, operation: Operation) -> String {
    let verb = if operation == Operation::Create { "create" } else { "join" };
    let name = match options.is_named {
        true => format!(" --name {}", quoted(&options.name)),
        false => String::new(),
    };
    // What begins with a dash would be taken for an option.
    let dashes = if options.room.starts_with('-') { " --" } else { "" };
    let (options, room) = (options.server.options(), quoted(&options.room));
    format!("reactor-chat-client{options}{name} {verb}{dashes} {room}")
}

/// Returns other explanations when the server says that a room does not exist.
pub(crate) fn hidden(has_password: bool) -> &'static str {
    match has_password {
        true => "is hidden and has another password",
        false => "is hidden and needs a password",
    }
}

fn refusal(options: &ChatOptions, status: Status) -> String {
    let (room, name) = (&options.room, &options.name);
    let has_password = options.has_password();
    match status {
        Status::RoomExists => {
            let join = command(options, Operation::Join);
            format!(
                "room '{room}' exists already; join it (a host that crashed is its host again, half \
                 a minute later) with: {join}"
            )
        }
        Status::RoomNotFound => {
            let create = command(options, Operation::Create);
            let hidden = hidden(has_password);
            format!("room '{room}' does not exist, or {hidden}; create it with: {create}")
        }
        Status::WrongPassword if has_password => {
            format!("that is not the password of room '{room}'; ask its host for it")
        }
        Status::WrongPassword => format!(
            "room '{room}' needs a password; give it with --password or in {PASSWORD_VARIABLE}"
        ),
        Status::InvalidRoomName => format!(
            "'{room}' cannot be the name of a room; choose 1 to 255 bytes of visible characters, \
             with single spaces between them"
        ),
        Status::InvalidUserName => format!(
            "'{name}' cannot be your name; choose another with --name, of visible characters \
             with single spaces between them, without ': ' in it or ':' at its end"
        ),
        Status::NameTaken => format!(
            "somebody in room '{room}' is called '{name}'; choose another name with --name, or try \
             again in half a minute if that was you, at this address"
        ),
        Status::RoomFull => {
            format!("room '{room}' is full; try again when somebody has left")
        }
        Status::Kicked => format!(
            "the host keeps '{name}' or this address out of room '{room}', for as long as it lasts; \
             ask the host, or find another room with: reactor-chat-client{} list",
            options.server.options()
        ),
        Status::RateLimited if options.operation == Operation::Create => {
            "too many rooms, members or connections from this address; try again in a minute".into()
        }
        Status::RateLimited => format!(
            "room '{room}' takes nobody from this address for now, because of too many wrong \
             passwords or too many members from it; try again in a minute"
        ),
        Status::Success | Status::ServerFull | Status::Malformed => {
            of_server(&options.server, status)
        }
    }
}

/// What has nothing to do with a room.
fn of_server(server: &ServerAddress, status: Status) -> String {
    let place = place(server);
    match status {
        Status::ServerFull => {
            format!("the server at {place} is full; try again later, or ask who runs it")
        }
        Status::RateLimited => format!(
            "the server at {place} has too many connections from this address; try again in a \
             minute"
        ),
        Status::Malformed => format!(
            "the server at {place} does not understand the request; check that both programs are \
             of the same version"
        ),
        _ => format!("the server at {place} refuses it: {status}; ask who runs it"),
    }
}

fn unknown(byte: u8) -> String {
    format!("the server refuses it with status {byte}, unknown here; a newer client may know it")
}

/// What is wrong with the reply.
fn fault(server: &ServerAddress, why: &RequestError) -> String {
    let place = place(server);
    match why {
        RequestError::Refused(byte) => unknown(*byte),
        RequestError::Nonsense => {
            format!("what answers at {place} is no server of this protocol; check host and port")
        }
        RequestError::Late(patience) => format!(
            "the server at {place} has not replied in {} s; try again, and check host and port",
            patience.as_secs()
        ),
        RequestError::Ended => format!(
            "the server at {place} ended the connection without a reply; try again, and check \
             host and port"
        ),
        RequestError::Broken(error) => {
            format!("the connection to {place} broke: {error}; try again, and check the network")
        }
    }
}

fn place(server: &ServerAddress) -> String {
    format!("{} port {}", server.host, server.tcp_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, parse};
    use std::time::Duration;

    fn options(args: &[&str]) -> ChatOptions {
        match parse(args.iter().map(Into::into)) {
            Ok(Invocation::Chat(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    fn refused(args: &[&str], status: Status) -> String {
        of_entry(&options(args), &RequestError::Refused(status as u8)).to_string()
    }

    #[test]
    fn the_next_step_is_a_command_that_a_shell_understands() {
        let mut login = options(&["join", "r1", "bob"]);
        login.is_named = false;
        assert_eq!(
            of_entry(&login, &RequestError::Refused(Status::RoomNotFound as u8)).to_string(),
            "room 'r1' does not exist, or is hidden and needs a password; create it with: \
             reactor-chat-client create r1"
        );
        assert_eq!(
            refused(&["join", "r 1", "it's", "--host", "a.example:7"], Status::RoomNotFound),
            "room 'r 1' does not exist, or is hidden and needs a password; create it with: \
             reactor-chat-client --host a.example:7 --name 'it'\\''s' create 'r 1'"
        );
        assert_eq!(
            refused(&["create", "--", "-r", "-b"], Status::RoomExists),
            "room '-r' exists already; join it (a host that crashed is its host again, half a \
             minute later) with: reactor-chat-client --name -b join -- -r"
        );
    }

    #[test]
    fn a_command_that_is_advised_leads_where_it_says() {
        let options = options(&["join", "--host", "[::1]:7", "--", "-r", "-b"]);
        let line = command(&options, Operation::Create);
        // A shell takes the quotes away.
        let words = line.split(' ').skip(1).map(|word| word.trim_matches('\'').into());
        let Ok(Invocation::Chat(advised)) = parse(words) else { panic!("{line}") };
        assert_eq!((&*advised.room, &*advised.name), ("-r", "-b"));
        assert_eq!((advised.server, advised.operation), (options.server, Operation::Create));
    }

    #[test]
    fn who_loses_the_server_reads_how_to_come_back() {
        let lost = of_loss(&options(&["create", "r1", "ann"]), "nothing comes from it");
        assert_eq!(
            lost.to_string(),
            "the server is gone: nothing comes from it; when it is back, go on with: \
             reactor-chat-client --name ann create r1"
        );
    }

    #[test]
    fn what_is_said_about_a_password_depends_on_what_was_tried() {
        let join = ["join", "r1", "bob"];
        let with = |password: &str, status| {
            refused(&[&join[..], &["--password", password]].concat(), status)
        };
        for missing in [refused(&join, Status::WrongPassword), with("", Status::WrongPassword)] {
            assert!(missing.starts_with("room 'r1' needs a password; give it with"), "{missing}");
        }
        assert!(with("x", Status::WrongPassword).starts_with("that is not the password of"));
        assert!(with("x", Status::RoomNotFound).contains(", or is hidden and has another"));
        let unknown = refused(&join, Status::RoomNotFound);
        assert!(unknown.contains(", or is hidden and needs a password"), "{unknown}");
    }

    #[test]
    fn what_is_too_much_from_one_address_depends_on_what_was_asked() {
        let join = refused(&["join", "r1", "bob"], Status::RateLimited);
        assert!(join.starts_with("room 'r1' takes nobody from this address"), "{join}");
        assert!(join.contains("wrong passwords") && join.ends_with("; try again in a minute"));
        let create = refused(&["create", "r1", "bob"], Status::RateLimited);
        assert!(create.starts_with("too many rooms, members or connections"), "{create}");
        let server = options(&["join", "r1", "bob"]).server;
        let list = of_list(&server, &RequestError::Refused(Status::RateLimited as u8)).to_string();
        assert!(list.contains("too many connections from this address; try"), "{list}");
    }

    #[test]
    fn every_reason_is_one_line_with_a_next_step() {
        let options = options(&["join", "r\n1", "b\x1b"]);
        let refusals = (1..Status::COUNT as u8).chain([99]).map(RequestError::Refused);
        let broken = io::Error::from(ErrorKind::ConnectionReset);
        let faults = [
            RequestError::Nonsense,
            RequestError::Late(Duration::from_secs(9)),
            RequestError::Ended,
            RequestError::Broken(broken),
        ];
        for why in refusals.chain(faults) {
            for failure in [of_entry(&options, &why), of_list(&options.server, &why)] {
                let line = failure.to_string();
                assert!(line.contains("; ") && !line.contains(char::is_control), "{line}");
            }
        }
        assert!(refused(&["join", "r", "b\x1b"], Status::NameTaken).contains(r"b\u{1b}"));
    }

    #[test]
    fn what_is_wrong_with_a_connection_is_told_apart() {
        let server = |host: &str| options(&["join", "r", "b", "--host", host]).server;
        let attempt = |ip: [u8; 4], kind| ((ip, 9001).into(), io::Error::from(kind));
        use ErrorKind::{ConnectionRefused, NetworkUnreachable, TimedOut};
        let told = |host: &str, kinds: &[ErrorKind]| {
            let attempts: Vec<_> =
                (1..).zip(kinds).map(|(last, kind)| attempt([127, 0, 0, last], *kind)).collect();
            of_connection(&server(host), &attempts).to_string()
        };
        let refused = told("127.0.0.1", &[ConnectionRefused]);
        let expected = "no server listens at 127.0.0.1 port 9001; start one with: reactor-chat,";
        assert!(refused.starts_with(expected), "{refused}");
        let elsewhere = told("a.example", &[ConnectionRefused]);
        assert!(
            elsewhere.contains("no server listens at a.example") && elsewhere.contains("ask who")
        );
        assert!(told("a.example", &[TimedOut]).contains("firewall"));
        assert!(told("a.example", &[NetworkUnreachable]).contains("no way to a.example"));
        assert!(told("a.example", &[]).contains("the host 'a.example' has no address;"));
        // Every address has its error, and the one that tells most makes the sentence.
        let all = told("a.example", &[NetworkUnreachable, TimedOut]);
        assert!(all.starts_with("nothing answers at a.example port 9001 (tried "), "{all}");
        assert!(all.contains("127.0.0.1:9001: network unreachable, 127.0.0.2:9001: timed out)"));
    }

    #[test]
    fn field_client_name_is_misspelt_only_if_the_resolver_says_so() {
        let server = options(&["join", "r", "b", "--host", "a\x1b"]).server;
        let told = |is_for_now| {
            let error = io::Error::other("no answer");
            of_host(&server, &ResolveError { is_for_now, error }).to_string()
        };
        let unknown = r"the host 'a\u{1b}' is not found: no answer; check how it is written";
        assert_eq!(told(false), unknown);
        assert!(told(true).contains("cannot be looked up for now: no answer; check the network"));
    }
}
