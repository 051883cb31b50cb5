//! The decision between TLS and cleartext, on bytes in any pieces.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use reactor_chat::connection::{Connection, Protection, ReadOutcome, Received, Transport};
use reactor_chat::tls::Wire;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::ResolvesServerCertUsingSni;

use super::input::Input;

/// The result of reading a stream to its end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Bytes that were passed on.
    passed: Vec<u8>,
    protection: Protection,
    failure: Option<String>,
    /// The answer of the server: an alert, because it has no certificate.
    written: Vec<u8>,
}

/// A stream in memory, which ends behind its last piece.
#[derive(Debug)]
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.pieces.pop_front() else { return Ok(0) };
        let size = piece.len().min(buffer.len());
        buffer[..size].copy_from_slice(&piece[..size]);
        if size < piece.len() {
            self.pieces.push_front(piece.split_off(size));
        }
        Ok(size)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Pieces {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        Ok(match self.read(buffer)? {
            0 => Received::End,
            size => Received::Bytes(size),
        })
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Err(ErrorKind::NotConnected.into())
    }
}

/// The input is the sizes of the pieces, then the stream.
pub fn first_bytes(data: &[u8]) {
    let mut input = Input(data);
    let cuts = input.bytes();
    let stream = input.0;
    let whole = read(stream, &[]);
    assert_eq!(read(stream, &cuts), whole, "in pieces");
    assert_eq!(read(stream, &[0; 16]), whole, "the first bytes one by one");
    let is_tls = whole.protection != Protection::Clear;
    assert_eq!(is_tls, begins_a_record(stream));
    assert!(is_tls || whole.passed == stream, "cleartext is unchanged");
}

/// The decision by the letter of the design.
fn begins_a_record(stream: &[u8]) -> bool {
    let length = stream.iter().skip(3).take(2);
    matches!(stream, [22, 3, 0..=4, ..]) && length.into_iter().any(|byte| *byte != 0)
}

fn read(stream: &[u8], cuts: &[u8]) -> Outcome {
    let (mut pieces, mut rest) = (VecDeque::new(), stream);
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut) + 1);
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        pieces.push_back(piece.to_vec());
        rest = later;
    }
    let pieces = Pieces { pieces, written: Vec::new() };
    let mut connection = Connection::new(Wire::undecided(pieces, config()));
    while matches!(connection.fill(&mut [0; 4096]), ReadOutcome::Filled(_) | ReadOutcome::Partial) {
        connection.flush();
    }
    connection.flush();
    Outcome {
        passed: connection.input().to_vec(),
        protection: connection.protection(),
        failure: connection.failure(),
        written: connection.transport_mut().stream_mut().written.clone(),
    }
}

/// Without a certificate no handshake succeeds, so no answer is random.
fn config() -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    Arc::new(config)
}
