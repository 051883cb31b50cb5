//! Command lines of the server, and the mistakes in them.

use super::*;
use crate::config::WebConfig;
use crate::protocol::frame::PROTOCOL_MAX_PAYLOAD;
use crate::usage::Value;

fn serve(args: &[&str]) -> Config {
    match parse(args.iter().map(OsString::from)) {
        Ok(Invocation::Serve { config, .. }) => *config,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn refused(args: &[&str]) -> String {
    parse(args.iter().map(OsString::from)).expect_err("a mistake").to_string()
}

#[test]
fn defaults_serve_this_machine() {
    let config = serve(&[]);
    assert_eq!(ips(&config), ["127.0.0.1"]);
    assert_eq!((config.tcp_port, config.udp_port), (9001, 9002));
    assert_eq!(config.chat, ChatConfig::default());
    assert_eq!(config.connections, ConnectionConfig::default());
}

#[test]
fn zero_is_no_limit() {
    let config = serve(&["--idle-timeout", "0", "--max-members=0", "--max-payload", "0"]);
    assert_eq!((config.chat.idle_timeout, config.chat.max_members), (None, None));
    assert_eq!(config.connections.max_payload, PROTOCOL_MAX_PAYLOAD);
}

#[test]
fn c3_half_of_the_connections_may_carry() {
    let carried = |args: &[&str]| serve(args).chat.max_carried;
    assert_eq!(carried(&[]), Some(5_000));
    assert_eq!(carried(&["--max-connections", "600"]), Some(300));
    assert_eq!(carried(&["--max-connections", "1"]), Some(1));
    assert_eq!(carried(&["--max-connections", "0"]), None);
    assert_eq!(carried(&["--max-connections", "600", "--max-carried", "500"]), Some(500));
    assert_eq!(carried(&["--max-carried", "0"]), None);
    let of_one = |args: &[&str]| serve(args).chat.max_carried_ip;
    assert_eq!(of_one(&["--max-connections-ip", "7"]), Some(7));
    assert_eq!(of_one(&["--max-connections-ip", "0"]), None);
}

#[test]
fn binds_keep_order_without_repeats() {
    let config = serve(&["--bind", "::1", "--bind", "0.0.0.0", "--bind", "[::1]"]);
    assert_eq!(ips(&config), ["::1", "0.0.0.0"]);
}

fn ips(config: &Config) -> Vec<String> {
    let addresses = config.bind.iter().flat_map(|bind| &bind.addresses);
    addresses.map(|address| address.ip().to_string()).collect()
}

#[test]
fn field_j_repeated_address_is_merged() {
    let config = serve(&["--bind", "localhost", "--bind", "127.0.0.1", "--bind", "localhost"]);
    assert_eq!(ips(&config).iter().filter(|ip| *ip == "127.0.0.1").count(), 1);
    let config = serve(&["--bind", "::ffff:127.0.0.1", "--bind", "[::ffff:127.0.0.1]"]);
    assert_eq!(ips(&config), ["127.0.0.1"]);
}

#[test]
fn field_j_wildcard_conflict_is_named() {
    for (one, other) in [
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::", "::1"),
        ("0.0.0.0", "localhost"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "::ffff:127.0.0.1"),
    ] {
        let line = refused(&["--bind", one, "--bind", other]);
        assert!(line.contains("exclude each other"), "{line}");
        assert!(line.contains(&format!("--bind {one} ")), "{line}");
        assert!(line.contains(&format!("--bind {other} ")), "{line}");
    }
    for apart in [["0.0.0.0", "::"], ["0.0.0.0", "::1"], ["127.0.0.1", "::"]] {
        serve(&["--bind", apart[0], "--bind", apart[1]]);
    }
    let free = ["--tcp-port", "0", "--udp-port", "0"];
    serve(&[&free[..], &["--bind", "0.0.0.0", "--bind", "127.0.0.1"]].concat());
}

#[test]
fn error_is_one_line_with_its_option() {
    for (args, part) in [
        (&["--bind", "not an address"][..], "--bind 'not an address'"),
        (&["--tcp-port", "70000"], "--tcp-port"),
        (&["--tcp-port"], "tcp-port"),
        (&["--lang", "fr"], "en or ja, not 'fr'"),
        (&["--tls", "maybe"], "on or off or required, not 'maybe'"),
        (&["--idle-timeout", "-1"], "--idle-timeout"),
        (&["--idle-timeout", "99999999999"], "31536000"),
        (&["--max-payload", "536870913"], "536870912"),
        (&["--nonsense"], "nonsense"),
        (&["stray"], "'stray'"),
        (&["-q", "-v"], "exclude"),
        (&["--lang", "en", "--lang", "ja"], "lang"),
    ] {
        let line = refused(args);
        assert!(line.contains(part) && !line.contains('\n'), "{args:?}: {line}");
    }
}

#[test]
fn e3_certificate_options_need_each_other() {
    for (args, why) in [
        (&["--cert", "a.pem"][..], "need each other"),
        (&["--tls", "on", "--key", "a.pem"], "need each other"),
        (&["--tls", "off", "--cert", "a.pem", "--key", "b.pem"], "have no use with --tls off"),
    ] {
        let has_tls = cfg!(feature = "tls");
        let why = if has_tls { why } else { "this build has no TLS (cargo feature tls)" };
        assert!(refused(args).contains(why), "{args:?}");
    }
}

#[test]
fn u9_every_output_has_every_option() {
    for option in SERVER.options() {
        for output in [&["--help"][..], &["--man"]].into_iter().chain(COMPLETIONS) {
            let text = printed(output);
            // mdoc(7) writes the first dash, and escapes the others.
            let form = match output {
                ["--man"] => format!("Fl \\-{}", option.name.replace('-', "\\-")),
                [_, "fish"] => format!("-l {}", option.name),
                _ => format!("--{}", option.name),
            };
            assert!(text.contains(&form), "{output:?} lacks {form}");
            assert!(!text.contains(HIDDEN), "{output:?}");
        }
    }
}

const COMPLETIONS: [&[&str]; 3] =
    [&["--completions", "bash"], &["--completions", "zsh"], &["--completions", "fish"]];

fn printed(args: &[&str]) -> String {
    match parse(args.iter().map(OsString::from)) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

#[test]
fn u9_help_fits_80_columns() {
    assert!(printed(&["--help"]).lines().all(|line| line.len() < 80));
}

/// A default with several words is not a value.
#[test]
fn u9_defaults_hold() {
    let usual = serve(&[]);
    let mut count = 0;
    for option in SERVER.options().filter(|option| !option.default.is_empty()) {
        if option.default.contains(' ') || is_missing(option.name) {
            continue;
        }
        let config = serve(&[&format!("--{}", option.name), option.default]);
        assert_eq!(config, usual, "--{} {}", option.name, option.default);
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// Returns true if the build has only the value `off` of an option.
fn is_missing(name: &str) -> bool {
    let features = [
        ("tls", cfg!(feature = "tls")),
        ("web", cfg!(feature = "web")),
        ("webtransport", cfg!(feature = "webtransport")),
    ];
    features.contains(&(name, false))
}

#[test]
fn h1_switches_of_browsers() {
    let web = |args: &[&str]| serve(args).web;
    assert_eq!(web(&[]), WebConfig::default());
    let off = web(&["--web", "off", "--webtransport", "off"]);
    assert!(!off.http && !off.webtransport);
    assert!(!web(&["--tls", "off"]).webtransport, "QUIC has TLS inside");
    let why = match cfg!(feature = "webtransport") {
        true => "needs TLS",
        false => "cargo feature webtransport",
    };
    assert!(refused(&["--tls", "off", "--webtransport", "on"]).contains(why));
}

#[test]
fn h3_h5_values_for_browsers() {
    let web = serve(&["--allow-host", "chat.example.org", "--allow-host", "192.0.2.1"]).web;
    assert_eq!(web.allow_host, ["chat.example.org", "192.0.2.1"]);
    let web = serve(&["--allow-origin", "https://chat.example.org:8443"]).web;
    assert_eq!(web.allow_origin, ["https://chat.example.org:8443"]);
    let web = serve(&["--status-from", "10.0.0.0/8", "--status-from", "::1"]).web;
    assert_eq!(web.status_from.len(), 2);
    for (option, wrong) in [
        ("--allow-host", "chat.example.org:9001"),
        ("--allow-host", "https://chat.example.org"),
        ("--allow-origin", "chat.example.org"),
        ("--allow-origin", "https://chat.example.org/"),
        ("--allow-origin", "null"),
        ("--status-from", "10.0.0.1/8"),
        ("--status-from", "localhost"),
    ] {
        let line = refused(&[option, wrong]);
        assert!(line.contains(option) && line.contains(wrong), "{line}");
    }
}

#[test]
fn u9_choices_are_accepted() {
    for option in SERVER.options().chain(SERVER.hidden) {
        let Value::Choice(words) = option.value else { continue };
        for word in words {
            // A build without TLS refuses it in other words.
            let why = parse([format!("--{}", option.name), (*word).into()].map(Into::into));
            let line = why.err().map(|why| why.to_string()).unwrap_or_default();
            assert!(!line.contains("must be"), "{line}");
        }
    }
    assert!(refused(&["--completions", "csh"]).contains("bash or zsh or fish, not 'csh'"));
}
