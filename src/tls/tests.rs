//! Connections over wires in memory, against a client of rustls.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::identity::Source;
use super::wire::Wire;
use super::{DATE_INTERVAL, Served, Tls, check};
use crate::config::CERTIFICATE_AGE;
use crate::connection::{Connection, Protection, ReadOutcome, Received, Transport, WriteOutcome};

/// A stream in memory.
#[derive(Debug, Default)]
struct Line {
    /// The reads to come. An empty one is the end, and stays.
    reads: VecDeque<Vec<u8>>,
    written: Vec<u8>,
    /// Bytes that are still taken, or all.
    space: Option<usize>,
    is_shut: bool,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut bytes) = self.reads.pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let size = bytes.len().min(buffer.len());
        buffer[..size].copy_from_slice(&bytes[..size]);
        if size < bytes.len() || bytes.is_empty() {
            self.reads.push_front(bytes.split_off(size));
        }
        Ok(size)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len().min(self.space.unwrap_or(usize::MAX));
        if size == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.space = self.space.map(|space| space - size);
        self.written.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Line {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        Ok(match self.read(buffer)? {
            0 => Received::End,
            size => Received::Bytes(size),
        })
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.is_shut = true;
        Ok(())
    }
}

/// Returns a server's connection, and a client that trusts its key.
fn pair() -> (Connection<Wire<Line>>, ClientConnection) {
    let mut source = Source::own(None, vec!["localhost".into()]).expect("a key");
    let identity = source.load(SystemTime::now()).expect("a certificate");
    let mut roots = RootCertStore::empty();
    let Source::Own(own) = &source else { unreachable!("a key of its own") };
    let certified = own.certify(SystemTime::now()).expect("a certificate");
    roots.add(certified.cert[0].clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    (Connection::new(Wire::undecided(Line::default(), identity.config)), client)
}

/// Lets bytes come in steps of this size.
fn feed(connection: &mut Connection<Wire<Line>>, bytes: &[u8], step: usize) {
    let reads = bytes.chunks(step).map(<[u8]>::to_vec);
    connection.transport_mut().stream_mut().reads.extend(reads);
    connection.note_readable();
}

/// Reads all there is. Returns the last outcome.
fn read_all(connection: &mut Connection<Wire<Line>>) -> ReadOutcome {
    loop {
        match connection.fill(&mut [0; 4096]) {
            ReadOutcome::Filled(_) | ReadOutcome::Partial => {}
            last => return last,
        }
    }
}

/// Returns what a client has to send.
fn records(client: &mut ClientConnection) -> Vec<u8> {
    let mut records = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut records).expect("a Vec takes all");
    }
    records
}

/// Passes to a client the bytes that the server has written.
fn answer(connection: &mut Connection<Wire<Line>>, client: &mut ClientConnection) {
    let written = std::mem::take(&mut connection.transport_mut().stream_mut().written);
    let mut rest = written.as_slice();
    while !rest.is_empty() {
        client.read_tls(&mut rest).expect("bytes");
        client.process_new_packets().expect("records of the server");
    }
}

/// Finishes a handshake, with the client's bytes in steps of this size.
fn established(step: usize) -> (Connection<Wire<Line>>, ClientConnection) {
    let (mut connection, mut client) = pair();
    while client.is_handshaking() || client.wants_write() {
        feed(&mut connection, &records(&mut client), step);
        assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        answer(&mut connection, &mut client);
    }
    assert!(connection.is_encrypted() && connection.pending_input() == 0);
    (connection, client)
}

#[test]
fn e1_clear_bytes_pass_unchanged() {
    let frame = |room: &[u8], operation, state, rest: &[u8]| {
        [&[room.len() as u8, operation, state], rest, room].concat()
    };
    let room = [b'x'; 22];
    let mut streams: Vec<Vec<u8>> = (0..=u8::MAX).map(|first| vec![first, 1, 0, 0, 0, 0]).collect();
    for (operation, state) in [(1, 0), (2, 0), (3, 0), (3, 1), (3, 4), (3, 5), (4, 0)] {
        streams.push(frame(&room, operation, state, &[0; 29]));
    }
    streams.extend([vec![22], vec![22, 3], vec![22, 3, 4, 0], vec![22, 3, 5, 1, 0]]);
    for stream in streams {
        for cut in 1..=stream.len() {
            let (mut connection, _) = pair();
            let (before, after) = stream.split_at(cut);
            feed(&mut connection, before, stream.len());
            feed(&mut connection, after, 1);
            read_all(&mut connection);
            connection.transport_mut().stream_mut().reads.push_back(Vec::new());
            connection.note_readable();
            assert_eq!(read_all(&mut connection), ReadOutcome::Ended, "{stream:?} cut at {cut}");
            assert_eq!(connection.input(), stream, "cut at {cut}");
            assert_eq!(connection.protection(), Protection::Clear);
        }
    }
}

#[test]
fn e1_undecided_bytes_are_a_begun_frame() {
    let (mut connection, _) = pair();
    feed(&mut connection, &[22, 3, 1, 0], 1);
    assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
    assert_eq!((connection.input(), connection.pending_input()), (&b""[..], 4));
}

/// The first record decides, and later bytes are never taken for one.
#[test]
fn e1_decision_is_made_once() {
    let (mut connection, mut client) = pair();
    let frame = [0; 32];
    let hello = records(&mut client);
    feed(&mut connection, &frame, 32);
    feed(&mut connection, &hello, 5);
    assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
    assert_eq!(connection.input(), [&frame[..], &hello].concat());
}

#[test]
fn e1_hello_is_answered_wherever_cut() {
    for cut in 1..10 {
        let (mut connection, mut client) = pair();
        let hello = records(&mut client);
        feed(&mut connection, &hello[..cut], cut);
        assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
        feed(&mut connection, &hello[cut..], hello.len());
        assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
        assert_eq!(connection.protection(), Protection::Handshake, "cut at {cut}");
        assert!(connection.unsent() > 0, "reading has made an answer");
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        answer(&mut connection, &mut client);
        assert!(!client.is_handshaking(), "cut at {cut}");
    }
}

#[test]
fn e2_bytes_arrive_in_any_steps() {
    for step in [1, 2, 3, 7, 100, 4096, 100_000] {
        let (mut connection, mut client) = established(step);
        let text: Vec<u8> = (0..30_000u32).map(|number| number as u8).collect();
        client.writer().write_all(&text).expect("space");
        feed(&mut connection, &records(&mut client), step);
        assert_eq!(read_all(&mut connection), ReadOutcome::Empty);
        assert!(connection.input() == text, "in steps of {step}");
        assert_eq!(connection.pending_input(), text.len());
    }
}

/// Plaintext that does not fit one read waits for the next one, without an event.
#[test]
fn e4_small_reads_lose_nothing() {
    let (mut connection, mut client) = established(4096);
    client.writer().write_all(&[7; 10_000]).expect("space");
    feed(&mut connection, &records(&mut client), 100_000);
    while connection.is_readable() {
        connection.fill(&mut [0; 64]);
    }
    assert_eq!(connection.input(), [7; 10_000]);
}

/// Without the question to the transport, one reply in a hundred stayed in it.
#[test]
fn e4_held_back_bytes_are_flushed() {
    let (mut connection, mut client) = established(4096);
    let reply: Vec<u8> = (0..40_000u32).map(|number| number as u8).collect();
    connection.send(reply.clone());
    let (mut read, mut blocks) = (Vec::new(), 0);
    connection.transport_mut().stream_mut().space = Some(0);
    while connection.flush() == WriteOutcome::Blocked {
        assert!(connection.unsent() > 0, "its deadline is that of an unread reply");
        assert!(connection.transport_mut().held_back() < 20_000, "bounded");
        connection.transport_mut().stream_mut().space = Some(700);
        assert!(connection.note_writable());
        blocks += 1;
        answer(&mut connection, &mut client);
        let _ = client.reader().read_to_end(&mut read);
    }
    assert_eq!(connection.unsent(), 0);
    answer(&mut connection, &mut client);
    let _ = client.reader().read_to_end(&mut read);
    assert!(read == reply && blocks > 50, "{blocks} blocks");
}

/// A client of rustls prefers AES-256.
#[test]
fn e4_server_chooses_the_cheap_suite() {
    let (_, client) = established(usize::MAX);
    let suite = client.negotiated_cipher_suite().expect("a suite").suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
}

#[test]
fn e4_end_without_close_notify_is_an_end() {
    for says_so in [false, true] {
        let (mut connection, mut client) = established(4096);
        client.writer().write_all(b"last").expect("space");
        if says_so {
            client.send_close_notify();
        }
        feed(&mut connection, &records(&mut client), 4096);
        connection.transport_mut().stream_mut().reads.push_back(Vec::new());
        assert_eq!(read_all(&mut connection), ReadOutcome::Ended);
        assert_eq!((connection.input(), connection.failure()), (&b"last"[..], None));
        connection.finish();
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        answer(&mut connection, &mut client);
        let end = client.reader().read(&mut [0; 8]).expect("close_notify");
        assert!(end == 0 && connection.is_over());
    }
}

#[test]
fn e4_end_mark_waits_for_space() {
    let (mut connection, mut client) = established(4096);
    connection.transport_mut().stream_mut().space = Some(0);
    connection.finish();
    assert_eq!(connection.flush(), WriteOutcome::Blocked);
    assert!(!connection.transport_mut().stream_mut().is_shut);
    connection.transport_mut().stream_mut().space = None;
    connection.note_writable();
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert!(connection.transport_mut().stream_mut().is_shut);
    answer(&mut connection, &mut client);
    assert_eq!(client.reader().read(&mut [0; 8]).expect("close_notify"), 0);
}

#[test]
fn e4_bad_record_ends_the_connection() {
    let (mut connection, mut client) = established(4096);
    client.writer().write_all(b"request").expect("space");
    let mut records = records(&mut client);
    *records.last_mut().expect("a record") ^= 1;
    feed(&mut connection, &records, 4096);
    assert_eq!(read_all(&mut connection), ReadOutcome::Ended);
    assert!(connection.input().is_empty() && connection.failure().is_some());
}

/// A browser that has the hash of a certificate accepts 14 days at most.
#[test]
fn h9_certificate_is_valid_for_13_days() {
    let mut source = Source::own(None, vec!["localhost".into()]).expect("a key");
    let identity = source.load(SystemTime::now()).expect("a certificate");
    let (first, last) = check::dates(&identity.certificate).expect("dates");
    assert_eq!(last - first, 13 * 24 * 60 * 60);
}

#[test]
fn e3_certificate_is_renewed_by_its_date() {
    let (start, begin) = (Instant::now(), UNIX_EPOCH + CERTIFICATE_AGE * 1_000);
    let mut source = Source::own(None, vec!["localhost".into()]).expect("a key");
    let identity = source.load(begin).expect("a certificate");
    let fingerprint = identity.fingerprint;
    let mut served = Served { source, identity, look_at: start + DATE_INTERVAL };
    let mut is_renewed_at = |date| {
        let before = Arc::clone(&served.identity.config);
        served.renew(date);
        assert_eq!(served.identity.fingerprint, fingerprint, "the key stays");
        !Arc::ptr_eq(&served.identity.config, &before)
    };
    let second = Duration::from_secs(1);
    assert!(!is_renewed_at(begin + CERTIFICATE_AGE - second));
    assert!(is_renewed_at(begin + CERTIFICATE_AGE), "after ten days");
    assert!(!is_renewed_at(begin + 2 * CERTIFICATE_AGE - second));
    assert!(is_renewed_at(begin), "the clock was set back");
    assert!(!is_renewed_at(begin));
    let mut tls = Tls { is_required: false, served: Some(served) };
    assert_eq!(tls.next_deadline(), Some(start + DATE_INTERVAL), "for the loop");
    tls.expire(start + DATE_INTERVAL);
    assert_eq!(tls.next_deadline(), Some(start + 2 * DATE_INTERVAL));
}
