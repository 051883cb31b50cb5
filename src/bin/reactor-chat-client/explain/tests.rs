//! The sentences about failures, and the commands in them.

use super::*;
use crate::options::{Invocation, parse};
use std::time::Duration;

fn options(args: &[&str]) -> ChatOptions {
    match parse(args.iter().map(Into::into)) {
        Ok(Invocation::Chat(options)) => options,
        other => panic!("{other:?}"),
    }
}

/// Returns the server at this host.
fn network(host: &str) -> ServerAddress {
    match options(&["join", "r", "b", "--host", host]).server {
        Server::Network(server) => server,
        Server::Unix(addr) => panic!("a Unix socket: {addr}"),
    }
}

fn refused(args: &[&str], status: Status) -> String {
    failed_entry(&options(args), &RequestError::Refused(status as u8)).to_string()
}

#[test]
fn next_step_is_valid_shell() {
    let mut login = options(&["join", "r1", "bob"]);
    login.is_named = false;
    assert_eq!(
        failed_entry(&login, &RequestError::Refused(Status::RoomNotFound as u8)).to_string(),
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
fn suggested_command_parses_back() {
    let options = options(&["join", "--host", "[::1]:7", "--", "-r", "-b"]);
    let line = command(&options, Operation::Create);
    // A shell takes the quotes away.
    let words = line.split(' ').skip(1).map(|word| word.trim_matches('\'').into());
    let Ok(Invocation::Chat(advised)) = parse(words) else { panic!("{line}") };
    assert_eq!((&*advised.room, &*advised.name), ("-r", "-b"));
    assert_eq!((advised.server, advised.operation), (options.server, Operation::Create));
}

#[test]
fn lost_server_names_way_back() {
    let lost = lost_server(&options(&["create", "r1", "ann"]), "nothing comes from it");
    assert_eq!(
        lost.to_string(),
        "the server is gone: nothing comes from it; when it is back, go on with: \
         reactor-chat-client --name ann create r1"
    );
}

#[test]
fn password_advice_fits_the_attempt() {
    let join = ["join", "r1", "bob"];
    let with =
        |password: &str, status| refused(&[&join[..], &["--password", password]].concat(), status);
    for missing in [refused(&join, Status::WrongPassword), with("", Status::WrongPassword)] {
        assert!(missing.starts_with("room 'r1' needs a password; give it with"), "{missing}");
    }
    assert!(with("x", Status::WrongPassword).starts_with("that is not the password of"));
    assert!(with("x", Status::RoomNotFound).contains(", or is hidden and has another"));
    let unknown = refused(&join, Status::RoomNotFound);
    assert!(unknown.contains(", or is hidden and needs a password"), "{unknown}");
}

#[test]
fn rate_limit_advice_fits_request() {
    let join = refused(&["join", "r1", "bob"], Status::RateLimited);
    assert!(join.starts_with("room 'r1' accepts nobody from this address"), "{join}");
    assert!(join.contains("wrong passwords") && join.ends_with("; try again in a minute"));
    let create = refused(&["create", "r1", "bob"], Status::RateLimited);
    assert!(create.starts_with("too many rooms, members or connections"), "{create}");
    let server = options(&["join", "r1", "bob"]).server;
    let list = failed_list(&server, &RequestError::Refused(Status::RateLimited as u8)).to_string();
    assert!(list.contains("too many connections from this address; try"), "{list}");
}

fn lines_of(entry: &ChatOptions, why: &RequestError) -> [String; 2] {
    [failed_entry(entry, why), failed_list(&entry.server, why)].map(|line| line.to_string())
}

/// A Unix socket has no port and no address in the sense of a network.
#[test]
fn every_error_has_a_next_step() {
    let refusals = (1..Status::COUNT as u8).chain([99]).map(RequestError::Refused);
    let broken = io::Error::from(ErrorKind::ConnectionReset);
    let faults = [
        RequestError::Invalid,
        RequestError::TimedOut(Duration::from_secs(9)),
        RequestError::Ended,
        RequestError::Broken(broken),
        RequestError::NotCarried,
    ];
    let unix = ["join", "r\n1", "b\x1b", "--host", "unix:/c\x1b"];
    let entries = [options(&["join", "r\n1", "b\x1b"]), options(&unix)];
    for why in refusals.chain(faults) {
        for line in entries.iter().flat_map(|entry| lines_of(entry, &why)) {
            assert!(line.contains("; ") && !line.contains(char::is_control), "{line}");
        }
        for line in lines_of(&entries[1], &why) {
            let has_word = |word: &&&str| line.contains(**word);
            assert_eq!(
                ["TCP", " port", "address", "--plain"].iter().find(has_word),
                None,
                "{line}"
            );
        }
    }
    assert!(refused(&["join", "r", "b\x1b"], Status::NameTaken).contains(r"b\u{1b}"));
}

#[test]
fn connection_errors_differ() {
    let attempt = |ip: [u8; 4], kind| ((ip, 9001).into(), io::Error::from(kind));
    use ErrorKind::{ConnectionRefused, NetworkUnreachable, TimedOut};
    let told = |host: &str, kinds: &[ErrorKind]| {
        let attempts: Vec<_> =
            (1..).zip(kinds).map(|(last, kind)| attempt([127, 0, 0, last], *kind)).collect();
        failed_connection(&network(host), &attempts).to_string()
    };
    let refused = told("127.0.0.1", &[ConnectionRefused]);
    let expected = "no server listens at 127.0.0.1 port 9001; start one with: reactor-chat,";
    assert!(refused.starts_with(expected), "{refused}");
    let elsewhere = told("a.example", &[ConnectionRefused]);
    assert!(
        elsewhere.contains("no server listens at a.example")
            && elsewhere.contains("ask its operator")
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
fn field_client_only_unknown_names_are_misspelt() {
    let told = |is_temporary| {
        let error = io::Error::other("no answer");
        failed_lookup(&network("a\x1b"), &ResolveError { is_temporary, error }).to_string()
    };
    let unknown = r"the host 'a\u{1b}' is not found: no answer; check its spelling";
    assert_eq!(told(false), unknown);
    assert!(told(true).contains("cannot be looked up for now: no answer; check the network"));
}
