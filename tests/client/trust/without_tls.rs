//! Servers without TLS: the client goes on in the clear only if that is sure and the user agrees (E13).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::support::carried::Carried;
use socket2::SockRef;

#[test]
fn e13_server_without_tls() {
    elsewhere("e13_server_without_tls", |home| {
        let server = start(&["--tls", "off"]);
        let ann = ann(&server);
        let place = place(&server);
        for args in [&["list"][..], &["--insecure", "list"]] {
            expect_refusal(&home.run(&server, args), &[&place, "has no TLS", "add --plain"]);
        }
        // A fingerprint means that there is TLS.
        let named = home.run(&server, &["--fingerprint", OTHER, "list"]);
        expect_refusal(&named, &["has no TLS although it should; ask its operator"]);
        assert!(home.run(&server, &["--plain", "list"]).status.success());
        let question = [
            format!("The server at {place} has no TLS."),
            "Without it, others on the way can read and change everything, passwords too.".into(),
            "Go on without encryption? [y/N]".into(),
        ];
        let question = question.each_ref().map(String::as_str);
        let mut bob = home.bob(&server);
        bob.expect(&question);
        bob.keys("\r");
        bob.expect_end(1);
        bob.expect_row(&format!("reactor-chat-client: nothing was sent to {place} without"));
        let mut bob = home.bob(&server);
        bob.expect(&question);
        bob.keys("yes\r");
        ann.expect("bob joined");
        bob.expect_row("HH:MM         -- in r1 as bob, not encrypted; /exit leaves");
        assert!(!home.known_hosts().exists());
    });
}

#[test]
fn e13_known_host_is_never_in_clear() {
    elsewhere("e13_known_host_is_never_in_clear", |home| {
        let server = start(&["--tls", "off"]);
        home.keep(server.tcp, OTHER);
        let why =
            ["has no TLS, but had it before: somebody may want to read along", "remove line 2"];
        for args in [&["list"][..], &["--insecure", "list"]] {
            expect_refusal(&home.run(&server, args), &why);
        }
        let mut bob = home.bob(&server);
        bob.expect_end(1);
        bob.expect_row(&format!(
            "reactor-chat-client: the server at {} has no TLS",
            place(&server)
        ));
    });
}

#[test]
fn e13_loopback_goes_on_in_clear() {
    let server = Server::start(&["--tls", "off"]);
    let why = format!("the server at {} has no TLS, going on without encryption", place(&server));
    let line = format!("reactor-chat-client: {why}\n");
    expect_output(&run(&server, &["list", "--json"]), 0, "[]\n", &line);
}

/// A full server answers before it has read the handshake.
#[test]
fn e13_full_server_is_not_in_clear() {
    let server = Server::start(&["--max-connections", "1", "--max-carried", "0"]);
    let _alice = Carried::create(&server, "alice");
    for args in [&["list"][..], &JOIN_R1] {
        expect_refusal(&run(&server, args), &[&place(&server), "is full; try again later"]);
    }
}

/// A server that does this with each connection.
fn server_that(at: &str, serve: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((at, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

#[test]
fn e13_silence_is_offered_after_3_s() {
    elsewhere("e13_silence_is_offered_after_3_s", |home| {
        let silent = server_that(IP, |mut stream| {
            thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        });
        let start = Instant::now();
        let mut list = client(silent, silent, &["list"]);
        let output = list.env(STATE_HOME, &home.0).output().expect("the built client");
        expect_refusal(&output, &["has not answered TLS for 3 s; ", "add --plain"]);
        assert!(start.elapsed() >= Duration::from_secs(3));
        let home_path = home.0.to_str().expect("UTF-8");
        let mut bob =
            Terminal::spawn(&client(silent, silent, &JOIN_R1), USUAL, &[(STATE_HOME, home_path)]);
        let port = silent.port();
        bob.expect_row(&format!("The server at {IP} port {port} has not answered TLS for 3 s."));
        bob.expect_row("Go on without encryption? [y/N]");
        bob.keys("n\r");
        bob.expect_end(1);
        home.keep(silent, OTHER);
        let output = list.output().expect("the built client");
        expect_refusal(&output, &["has not answered TLS for 3 s, but had it before"]);
    });
}

/// An attacker on the way can make an end and a reset.
#[test]
fn e13_end_and_reset_offer_nothing() {
    elsewhere("e13_end_and_reset_offer_nothing", |home| {
        let reset = server_that(IP, |mut stream| {
            assert!(stream.read(&mut [0; 65536]).expect("a handshake") > 0);
            // A close without lingering is a reset (socket(7), SO_LINGER).
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option");
        });
        let ended = server_that(IP, |mut stream| {
            assert!(stream.read(&mut [0; 65536]).expect("a handshake") > 0);
        });
        let foreign = server_that(IP, |mut stream| {
            assert!(stream.read(&mut [0; 65536]).expect("a handshake") > 0);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>").expect("sent");
        });
        let home_path = home.0.to_str().expect("UTF-8");
        for (server, why) in [
            (reset, "reactor-chat-client: the connection to 10.9.0.1 port"),
            (ended, "reactor-chat-client: the server at 10.9.0.1 port"),
            (foreign, "reactor-chat-client: the program at 10.9.0.1 port"),
        ] {
            let command = client(server, server, &JOIN_R1);
            let mut bob = Terminal::spawn(&command, USUAL, &[(STATE_HOME, home_path)]);
            bob.expect_end(1);
            bob.expect_row(why);
        }
    });
}
