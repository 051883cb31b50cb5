//! Command lines, and the mistakes in them.

use super::*;
use reactor_chat::usage::Value;

const NOTHING: &dyn Fn(&str) -> Option<OsString> = &|_| None;

fn entry_in(environment: &dyn Fn(&str) -> Option<OsString>, args: &[&str]) -> ChatOptions {
    match parse_with(args.iter().map(OsString::from), environment) {
        Ok(Invocation::Chat(entry)) => entry,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn entry_of(args: &[&str]) -> ChatOptions {
    entry_in(NOTHING, args)
}

fn network(entry: ChatOptions) -> ServerAddress {
    match entry.server {
        Server::Network(server) => server,
        Server::Unix(addr) => panic!("a Unix socket: {addr}"),
    }
}

fn mistake_of(args: &[&str]) -> String {
    parse_with(args.iter().map(OsString::from), NOTHING).expect_err("a mistake").to_string()
}

#[test]
fn u4_host_names_unix_socket() {
    let path = entry_of(&["join", "r", "b", "--carry", "--host", "unix:/run/a chat"]).server;
    assert_eq!(path, Server::Unix(UnixAddr::Path("/run/a chat".into())));
    assert_eq!(
        (path.place(), path.options()),
        ("unix:/run/a chat".into(), " --host 'unix:/run/a chat'".into())
    );
    let name = entry_of(&["join", "r", "b", "--host", "unix:@chat"]).server;
    assert_eq!(name, Server::Unix(UnixAddr::Abstract("chat".into())));
    assert_eq!(name.options(), " --host unix:@chat");
}

/// The fingerprint of other servers may be in the environment of a shell.
#[test]
fn u4_options_without_effect_are_refused() {
    let unix = ["join", "r", "b", "--host", "unix:/c"];
    for (args, name) in [
        (&["--tcp-port", "1"][..], "tcp-port"),
        (&["--udp-port", "1"], "udp-port"),
        (&["--fingerprint", "x"], "fingerprint"),
        (&["--insecure"], "insecure"),
        (&["--plain"], "plain"),
    ] {
        let expected = format!(
            "--host unix:/c takes no --{name}: a Unix socket has no ports and no keys (--help tells \
             more)"
        );
        assert_eq!(mistake_of(&[&unix[..], args].concat()), expected);
    }
    let environment: &dyn Fn(&str) -> Option<OsString> =
        &|name| (name == "REACTOR_CHAT_FINGERPRINT").then(|| "of another server".into());
    assert!(matches!(entry_in(environment, &unix).server, Server::Unix(_)));
}

#[test]
fn u4_impossible_addresses_are_mistakes() {
    let long = format!("unix:/{}", "x".repeat(107));
    let told = |host| mistake_of(&["list", "--host", host]);
    assert!(told(&long).contains("it has 108 bytes, and a Unix socket's address has at most 107"));
    for empty in ["unix:", "unix:@"] {
        assert!(
            told(empty).starts_with("--host names no Unix socket: a path or a name must follow")
        );
    }
}

#[test]
fn defaults_are_local_server() {
    let entry = entry_of(&["join", "r1", "bob"]);
    assert_eq!((&*entry.room, &*entry.name, &entry.password), ("r1", "bob", &None));
    assert_eq!(entry.operation, Operation::Join);
    assert_eq!((entry.delivery, entry.history), (Delivery::Stream, 20));
    assert_eq!((entry.capacity, entry.is_hidden, entry.wants_color), (None, false, true));
    let server = network(entry);
    assert_eq!((&*server.host, server.tcp_port, server.udp_port), ("127.0.0.1", 9001, 9002));
}

#[test]
fn name_comes_from_word_option_or_login() {
    let login: &dyn Fn(&str) -> Option<OsString> =
        &|name| (name == "LOGNAME").then(|| "kim".into());
    for (args, name, is_named) in [
        (&["join", "r1"][..], "kim", false),
        (&["join", "r1", "bob"], "bob", true),
        (&["join", "r1", "--name", "bob"], "bob", true),
        (&["join", "r1", "bob", "--name", "bob"], "bob", true),
        (&["create", "r1", "--name", "kim"], "kim", true),
        (&["create", "r1"], "kim", false),
    ] {
        let entry = entry_in(login, args);
        assert_eq!((&*entry.name, entry.is_named), (name, is_named), "{args:?}");
    }
}

#[test]
fn password_option_overrides_environment() {
    let environment: &dyn Fn(&str) -> Option<OsString> =
        &|name| (name == "REACTOR_CHAT_PASSWORD").then(|| "secret".into());
    let password_of = |args: &[&str]| entry_in(environment, args).password;
    assert_eq!(password_of(&["join", "r", "b"]).as_deref(), Some("secret"));
    assert_eq!(password_of(&["join", "r", "b", "--password", "x"]).as_deref(), Some("x"));
    assert_eq!(password_of(&["join", "r", "b", "--password", ""]).as_deref(), Some(""));
    assert_eq!(entry_in(&|_| Some("".into()), &["join", "r", "b"]).password, None);
}

#[test]
fn field_k_password_loses_line_end() {
    for value in ["secret\n", "secret\r\n", "secret\r\n\n"] {
        let environment = &|name: &str| (name == "REACTOR_CHAT_PASSWORD").then(|| value.into());
        let entry = entry_in(environment, &["join", "r", "b"]);
        assert_eq!(entry.password.as_deref(), Some("secret"), "{value:?}");
        let entry = entry_of(&["join", "r", "b", "--password", value]);
        assert_eq!(entry.password.as_deref(), Some("secret"), "{value:?}");
    }
    let entry = entry_of(&["join", "r", "b", "--password", "\nse cret "]);
    assert_eq!(entry.password.as_deref(), Some("\nse cret "));
}

#[test]
fn impossible_password_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let mistake_in = |value: OsString| {
        let args = ["join", "r", "b"].map(OsString::from);
        let variable = |name: &str| (name == PASSWORD_VARIABLE).then(|| value.clone());
        let parsed = parse_with(args, &variable);
        parsed.expect_err("a mistake").to_string()
    };
    let broken = mistake_in(OsString::from_vec(vec![0xff]));
    assert!(broken.contains("REACTOR_CHAT_PASSWORD is not UTF-8"), "{broken}");
    let long = mistake_in("x".repeat(1025).into());
    assert!(long.contains("the password has 1025 bytes") && !long.contains('x'), "{long}");
}

#[test]
fn c5_carry_can_be_requested() {
    assert!(entry_of(&["join", "r", "b", "--carry"]).carries);
    assert!(!entry_of(&["join", "r", "b"]).carries);
}

#[test]
fn create_has_its_own_options() {
    let entry = entry_of(&["create", "r", "b", "--capacity", "5", "--hidden", "--no-color"]);
    assert_eq!(entry.capacity.map(NonZeroU32::get), Some(5));
    assert!(entry.is_hidden && !entry.is_sealed_only && !entry.wants_color);
    assert!(entry_of(&["create", "r", "b", "--sealed-only"]).is_sealed_only);
}

#[test]
fn list_takes_json() {
    for (args, json) in [(&["list"][..], false), (&["--json", "list", "--no-color"], true)] {
        match parse(args.iter().map(OsString::from)) {
            Ok(Invocation::List(listing)) => assert_eq!(listing.is_json, json),
            other => panic!("{args:?}: {other:?}"),
        }
    }
}

#[test]
fn dashes_end_the_options() {
    let entry = entry_of(&["create", "--host=[::1]", "r 1", "--tcp-port", "1", "--", "-b"]);
    assert_eq!((&*entry.room, &*entry.name), ("r 1", "-b"));
    assert_eq!((entry.operation, &*network(entry).host), (Operation::Create, "::1"));
}

#[test]
fn delivery_and_history_are_parsed() {
    for (text, delivery) in [
        ("text", Delivery::Plain(Form::Text)),
        ("named", Delivery::Plain(Form::Named)),
        ("stream", Delivery::Stream),
    ] {
        assert_eq!(entry_of(&["join", "r", "b", "--delivery", text]).delivery, delivery);
    }
    for history in [0, 1, 1024] {
        let text = history.to_string();
        assert_eq!(entry_of(&["join", "r", "b", "--history", &text]).history, history);
    }
}

#[test]
fn usage_error_is_one_line() {
    let long = "x".repeat(256);
    for (args, part) in [
        (&[][..], "join ROOM"),
        (&["join"], "join ROOM"),
        (&["join", "r1", "bob", "x"], "join ROOM"),
        (&["leave", "r1", "bob"], "unknown command 'leave r1 bob'"),
        (&["list", "r1"], "list"),
        (&["list", "--name", "x"], "list takes no --name"),
        (&["list", "--hidden"], "list takes no --hidden"),
        (&["join", "r", "b", "--hidden"], "join takes no --hidden"),
        (&["join", "r", "b", "--sealed-only"], "join takes no --sealed-only"),
        (&["join", "r", "b", "--capacity", "2"], "join takes no --capacity"),
        (&["join", "r", "b", "--json"], "join takes no --json"),
        (&["create", "r", "b", "--json"], "create takes no --json"),
        (&["create", "r", "b", "--capacity", "0"], "--capacity takes 1 to 4294967295, not '0'"),
        (&["create", "r", "b", "--capacity", "x"], "not 'x'"),
        (&["join", "r", "bob", "--name", "b\x1b"], "as 'bob' and as 'b\\u{1b}'"),
        (&["--host", "a:0", "list"], "1 to 65535, not '0'"),
        (&["list", "--password", "x"], "--password"),
        (&["list", "--delivery", "text"], "--delivery"),
        (&["list", "--history", "1"], "--history"),
        (&["list", "--carry"], "list takes no --carry"),
        (&["join", "r", "b", "--delivery", "x"], "text, named or stream, not 'x'"),
        (&["join", "r", "b", "--history", "1025"], "0 to 1024, not '1025'"),
        (&["join", "r", "b", "--history", "-1"], "0 to 1024, not '-1'"),
        (&["--tcp-port", "0", "list"], "1 to 65535, not '0'"),
        (&["--udp-port", "70000", "list"], "--udp-port"),
        (&["--non\nsense", "list"], "non sense"),
        (&["join", &long, "bob"], "ROOM has 256 bytes"),
        (&["join", "r1", &long], "NAME has 256 bytes"),
    ] {
        let mistake = parse(args.iter().map(OsString::from)).expect_err("a mistake");
        let line = mistake.to_string();
        assert!(line.contains(part) && !line.contains('\n'), "{args:?}: {line}");
    }
}

#[test]
fn u9_help_fits_and_names_all_options() {
    let help = printed(&["--help"]);
    assert!(help.lines().all(|line| line.len() < 80), "80 columns");
    for option in CLIENT.options() {
        assert!(help.contains(&format!("--{} ", option.name)), "{}", option.name);
    }
}

fn printed(args: &[&str]) -> String {
    match parse_with(args.iter().map(OsString::from), NOTHING) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// Compares as text, because the options have no equality.
#[test]
fn u9_defaults_and_choices_hold() {
    let usual = format!("{:?}", entry_of(&["join", "r", "b"]));
    for option in CLIENT.options().filter(|option| !option.default.is_empty()) {
        // "the login name" is no value.
        if !option.default.contains(' ') {
            let given =
                entry_of(&[&format!("--{}", option.name), option.default, "join", "r", "b"]);
            assert_eq!(format!("{given:?}"), usual, "{}", option.name);
        }
        if let Value::Choice(words) = option.value {
            words.iter().for_each(|word| {
                entry_of(&[&format!("--{}", option.name), word, "join", "r", "b"]);
            });
        }
    }
}
