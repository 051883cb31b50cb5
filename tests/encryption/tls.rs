//! TLS on the request port: detection, versions, and bad peers.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::encrypted::*;
use crate::support::namespace::skip;
use crate::support::peers::*;
use crate::support::*;

/// The begin of a record whose 512 bytes never come.
const HALF_A_HELLO: [u8; 6] = [22, 3, 1, 2, 0, 1];

/// Status of a request that needs encryption.
const ENCRYPTION_REQUIRED: u8 = 12;

#[test]
fn e2_requests_are_answered_as_in_clear() {
    let server = Server::start(&[]);
    let (mut clear, mut encrypted) = (Control::connect(&server), Encrypted::connect(&server));
    for (operation, room, payload) in [
        (LIST, "", &b""[..]),
        (CREATE, "lobby", text("alice").as_bytes()),
        (CREATE, "lobby", text("bob").as_bytes()),
        (JOIN, "nowhere", b"carol"),
        (JOIN, "lobby", b"{"),
        (9, "lobby", b""),
    ] {
        encrypted.send(&frame(operation, room, payload));
        let reply = encrypted.expect_reply();
        if reply.payload == [0] {
            assert_eq!(encrypted.expect_reply().state, 2);
            // The name is taken now, so the other one takes the next.
            continue;
        }
        clear.request(operation, room, payload);
        assert_eq!(clear.expect_reply(), reply);
    }
    // A ticket would have come before the first reply.
    assert_eq!(encrypted.tls.tls13_tickets_received(), 0);
}

/// The first bytes come one at a time, and so does everything else.
#[test]
fn e1_byte_by_byte_is_answered() {
    let server = Server::start(&[]);
    let mut encrypted = Encrypted::over(Control::connect(&server), client_config());
    while encrypted.tls.is_handshaking() {
        for byte in encrypted.records() {
            encrypted.stream.write_all(&[byte]).expect("sent");
        }
        encrypted.tls.read_tls(&mut encrypted.stream).expect("an answer");
        encrypted.tls.process_new_packets().expect("records of the server");
    }
    let request = frame(CREATE, "a room of 22 bytes, 22", b"alice");
    let records = [encrypted.records(), encrypted.encrypt(&request)].concat();
    for byte in records {
        encrypted.stream.write_all(&[byte]).expect("sent");
    }
    assert_eq!(encrypted.expect_reply().payload, [0]);
}

/// In cleartext the size of this room is the type of a record.
#[test]
fn e1_room_of_22_bytes_is_no_hello() {
    let server = Server::start(&[]);
    let room = "a room of 22 bytes, 22";
    for cut in 0..6 {
        for (operation, payload) in [(CREATE, &b"alice"[..]), (JOIN, b"bob"), (LIST, b"")] {
            let mut control = Control::connect(&server);
            let bytes = frame(operation, room, payload);
            control.send(&bytes[..cut]);
            control.send(&bytes[cut..]);
            control.expect_status();
        }
    }
    assert!(server.final_counts().contains("status-0 replies"));
}

/// A port announcement of 0x1603 comes after the first bytes, and the begin of a record alone is a frame
/// that never becomes whole.
#[test]
fn e1_port_announcement_is_no_hello() {
    let server = Server::start(&["--handshake-timeout", "1"]);
    let mut control = Control::connect(&server);
    control.enter(CREATE, "lobby", b"alice");
    control.send(&[0x16, 0x03]);
    control.end();
    control.expect_end();
    let mut undecided = Control::connect(&server);
    undecided.send(&[0x16, 0x03, 0x01]);
    let start = Instant::now();
    assert_eq!(undecided.expect_status(), 9);
    assert!(start.elapsed() > Duration::from_millis(900), "the time of a frame");
    undecided.expect_end();
    let counts = server.final_counts();
    assert!(counts.contains("ports announced 1") && !counts.contains("handshake"), "{counts}");
}

#[test]
fn e3_required_refuses_cleartext() {
    let server = Server::start(&["--tls", "required"]);
    let mut clear = Control::connect(&server);
    for (operation, room, payload) in
        [(LIST, "", &b""[..]), (CREATE, "lobby", b"alice"), (JOIN, "lobby", b"{"), (77, "", b"")]
    {
        assert_eq!(clear.status_of(operation, room, payload), ENCRYPTION_REQUIRED);
    }
    clear.send(&oversized_header());
    assert_eq!(clear.expect_status(), ENCRYPTION_REQUIRED);
    clear.expect_end();
    assert_eq!(Encrypted::connect(&server).status_of(CREATE, "lobby", b"alice"), 0);
}

#[test]
fn e3_off_takes_everything_as_cleartext() {
    let server = Server::start(&["--tls", "off"]);
    assert_eq!(server.fingerprint, None);
    let mut encrypted = Encrypted::over(Control::connect(&server), client_config());
    let hello = encrypted.records();
    encrypted.stream.write_all(&hello).expect("sent");
    assert_eq!(Reply::read(&mut encrypted.stream).payload, [9]);
    expect_service(&server);
}

#[test]
fn e2_only_tls_1_3_is_served() {
    let server = Server::start(&[]);
    let address = server.tcp.to_string();
    let connect = |options: &[&str]| {
        let args = [&["s_client", "-connect", &address][..], options].concat();
        openssl(&args, b"").map(|output| {
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        })
    };
    let Some((is_served, said)) = connect(&["-alpn", "http/1.1"]) else {
        return skip("a scan of versions and ciphers", "no openssl(1)");
    };
    assert!(is_served && said.contains("TLSv1.3"), "{said}");
    assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
    for version in ["-tls1", "-tls1_1", "-tls1_2"] {
        let (is_served, said) = connect(&[version, "-cipher", "ALL:@SECLEVEL=0"]).expect("openssl");
        assert!(!is_served, "{version}: {said}");
    }
    for (suite, is_known) in [
        ("TLS_AES_128_GCM_SHA256", true),
        ("TLS_AES_256_GCM_SHA384", true),
        ("TLS_CHACHA20_POLY1305_SHA256", true),
        ("TLS_AES_128_CCM_SHA256", false),
        ("TLS_AES_128_CCM_8_SHA256", false),
    ] {
        let (is_served, said) = connect(&["-ciphersuites", suite]).expect("openssl");
        assert_eq!(is_served, is_known, "{suite}: {said}");
    }
    let (is_served, said) = connect(&["-alpn", "h2"]).expect("openssl");
    assert!(!is_served, "{said}");
    expect_service(&server);
}

#[test]
fn e4_garbage_ends_its_connection() {
    let server = Server::start(&["-v"]);
    let mut random = crate::support::random::Random(4);
    for round in 0..200 {
        let mut encrypted = Encrypted::over(Control::connect(&server), client_config());
        let mut hello = encrypted.records();
        match round % 4 {
            0 => hello.truncate(5),
            1 => hello[5] = 99,
            2 => hello.truncate(hello.len() / 2),
            _ => {}
        }
        hello.extend((0..300).map(|_| random.below(256) as u8));
        // The server may end it before it has read everything.
        let _ = encrypted.stream.write_all(&hello);
        let _ = encrypted.stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = encrypted.stream.read_to_end(&mut rest);
        expect_service(&server);
    }
    server.expect_log("DEBUG] 127.0.0.1: TLS: ");
    let counts = server.final_counts();
    assert!(counts.contains("handshakes failed 200"), "{counts}");
}

/// A quiet client in cleartext does not notice 2,000 handshakes that never go on.
#[test]
fn e4_half_open_handshakes_are_bounded() {
    const PEERS: u8 = 250;
    const EACH: usize = 8;
    allow_a_crowd();
    let server = Server::start(&["--handshake-timeout", "2", "--rate-limit", "0"]);
    let mut quiet = Control::connect(&server);
    let mut memory = Vec::new();
    for round in 1..=2 {
        let mut half_open = Vec::new();
        for peer in 1..=PEERS {
            let source = IpAddr::from(Ipv4Addr::new(127, 0, 1, peer));
            for _ in 0..EACH {
                let mut control = Control::connect_from(&server, source);
                control.send(&HALF_A_HELLO);
                half_open.push(control);
            }
            let start = Instant::now();
            expect_answer(&mut quiet);
            assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        }
        for peer in 1..=10 {
            let source = IpAddr::from(Ipv4Addr::new(127, 0, 1, peer));
            let mut ninth = Control::connect_from(&server, source);
            ninth.send(&HALF_A_HELLO);
            ninth.expect_lost();
        }
        memory.push(server.memory());
        half_open.iter_mut().for_each(Control::expect_lost);
        expect_answer(&mut quiet);
        assert_eq!(Encrypted::connect(&server).status_of(LIST, "", b""), 0, "round {round}");
    }
    assert!(memory[1] < memory[0] + LITTLE_MEMORY, "{memory:?}");
    let counts = server.final_counts();
    let of = |count: usize| format!("{}", 2 * count);
    let failed = format!("handshakes failed {}", of(usize::from(PEERS) * EACH));
    assert!(counts.contains(&failed), "{counts}");
    assert!(counts.contains(&format!("handshakes refused {}", of(10))), "{counts}");
}

#[test]
fn e2_client_certificate_is_not_asked_for() {
    let server = Server::start(&[]);
    let mut encrypted = Encrypted::over(Control::connect(&server), client_with_certificate());
    encrypted.finish_handshake().expect("a handshake");
    assert_eq!(encrypted.status_of(LIST, "", b""), 0);
}

/// TLS 1.3 has no renegotiation. A second hello inside the session is an error of that peer alone.
#[test]
fn e2_renegotiation_is_harmless() {
    let server = Server::start(&[]);
    let address = server.tcp.to_string();
    // A line with R asks s_client for a renegotiation, one with K for new keys.
    let args = ["s_client", "-connect", &address];
    if openssl(&args, b"K\nK\nR\n").is_none() {
        return skip("a renegotiation", "no openssl(1)");
    }
    let mut encrypted = Encrypted::connect(&server);
    let mut other = Encrypted::over(Control::connect(&server), client_config());
    let hello = other.records();
    encrypted.stream.write_all(&hello).expect("sent");
    let mut rest = Vec::new();
    let error = encrypted.read_to_end(&mut rest).expect_err("an alert");
    assert_ne!(error.kind(), ErrorKind::WouldBlock, "not the deadline: {error}");
    expect_service(&server);
}

#[test]
fn e4_end_without_close_notify_loses_nothing() {
    let server = Server::start(&[]);
    let mut encrypted = Encrypted::connect(&server);
    encrypted.send(&frame(LIST, "", b""));
    encrypted.stream.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(encrypted.expect_reply().payload, [0]);
    assert_eq!(encrypted.expect_reply().payload, b"[]");
    let mut rest = Vec::new();
    encrypted.read_to_end(&mut rest).expect("close_notify");
    assert!(rest.is_empty());
    let counts = server.final_counts();
    assert!(!counts.contains("connection errors"), "{counts}");
}

/// rustls holds ciphertext that the socket did not take, while the outbox is empty.
#[test]
fn e4_slow_reader_gets_every_byte() {
    let server = server_with_a_long_list(&[]);
    let mut plain = Control::connect(&server);
    plain.request(LIST, "", b"");
    let list = plain.expect_success();
    assert!(list.len() > 40_000);
    let stream = connect_with_a_small_window(&server);
    let mut encrypted = Encrypted::over(Control::over(stream), client_config());
    encrypted.finish_handshake().expect("a handshake");
    for _ in 0..5 {
        encrypted.send(&frame(LIST, "", b"").repeat(4));
        for _ in 0..4 {
            // The server is idle by now, with its last bytes in rustls or in the socket.
            thread::sleep(Duration::from_millis(50));
            assert_eq!(encrypted.expect_reply().payload, [0]);
            assert!(encrypted.expect_reply().payload == list);
        }
    }
}
