//! Handshakes in the turns of a whole loop.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::Reactor;
use super::tests::start_with;
use crate::config::{Budgets, KeyFiles, TlsConfig, TlsMode};
use crate::protocol::frame;

/// Starts a server with a certificate.
fn start(budgets: Budgets) -> Reactor {
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let folder = std::env::temp_dir().join(format!("reactor-chat-turn-{process}-{thread:?}"));
    fs::create_dir_all(&folder).expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    let files = KeyFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    fs::write(&files.certificate, made.cert.pem()).expect("a file");
    fs::write(&files.key, made.signing_key.serialize_pem()).expect("a file");
    let reactor = start_with(TlsConfig { mode: TlsMode::On, files: Some(files) }, budgets);
    fs::remove_dir_all(folder).expect("removed");
    reactor
}

fn hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("a Vec takes all");
    hello
}

/// Opens a connection and sends bytes, before the server accepts it.
fn send(server: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).expect("a place in the backlog");
    stream.write_all(bytes).expect("sent");
    stream.set_nonblocking(true).expect("an option");
    stream
}

/// Cleartext does not wait for the hellos before it.
#[test]
fn e4_hellos_wait_for_their_turn() {
    // The slices never end.
    let slice = Duration::from_secs(60);
    let mut reactor = start(Budgets { handshakes: 2, slice, ..Budgets::default() });
    let (server, _) = reactor.addresses().expect("addresses")[0];
    let mut hellos: Vec<TcpStream> = (0..5).map(|_| send(server, &hello())).collect();
    let mut clear = send(server, &frame::encode(3, 0, b"", b""));
    for waiting in [3, 1, 0] {
        reactor.turn().expect("a turn");
        hellos.retain(|hello| hello.peek(&mut [0]).is_err());
        assert_eq!(hellos.len(), waiting, "two are answered in a turn");
        assert_eq!(reactor.has_work(), waiting > 0, "no event comes for the others");
        assert_eq!(clear.read(&mut [0; 100]).is_ok(), waiting == 3, "in the first turn");
    }
}

/// A slice has time for a portion of two connections, and eight hellos wait.
#[test]
fn e4_storm_delays_hellos_only() {
    let (slice, connections) = (Duration::ZERO, 2);
    let budgets = Budgets { handshakes: 0, slice, connections, ..Budgets::default() };
    let mut reactor = start(budgets);
    let (server, _) = reactor.addresses().expect("addresses")[0];
    let _hellos: Vec<TcpStream> = (0..8).map(|_| send(server, &hello())).collect();
    (0..8).for_each(|_| reactor.turn().expect("a turn"));
    let mut clear = send(server, &frame::encode(3, 0, b"", b""));
    (0..2).for_each(|_| reactor.turn().expect("a turn"));
    assert!(clear.read(&mut [0; 100]).is_ok());
}
