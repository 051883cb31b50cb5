//! Handshakes with a TLS server in this process, and with servers that have no TLS.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ServerConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ProtocolVersion, ServerConnection, StreamOwned};
use socket2::SockRef;

use super::*;

const HOST: &str = "chat.example";

type TlsServer = StreamOwned<ServerConnection, TcpStream>;

/// Returns a socket to a server that handles one connection with this.
fn with_server(serve: impl FnOnce(TcpStream) + Send + 'static) -> (TcpStream, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let server = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || serve(listener.accept().expect("a client").0));
    (TcpStream::connect(server).expect("a server"), thread)
}

/// Returns a configuration with a certificate for the key `shown`, and signatures by `signing`.
fn config(shown: &KeyPair, signing: &KeyPair) -> Arc<ServerConfig> {
    let params = CertificateParams::new([HOST.into()]).expect("a name");
    let certificate = params.self_signed(shown).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing.serialize_der()).expect("a key");
    let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_protocol_versions(&[&TLS13])
        .expect("a version")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.into()];
    Arc::new(config)
}

/// Returns a socket to a TLS server with this key.
fn with_tls_server(
    shown: &KeyPair,
    signing: &KeyPair,
    serve: impl FnOnce(&mut TlsServer) + Send + 'static,
) -> (TcpStream, JoinHandle<()>) {
    let config = config(shown, signing);
    with_server(move |socket| {
        let session = ServerConnection::new(config).expect("a session");
        serve(&mut StreamOwned::new(session, socket));
    })
}

fn key_pair() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn failure(socket: TcpStream) -> HandshakeError {
    match shake_hands(socket, HOST) {
        Err(error) => error,
        Ok(_) => panic!("a session"),
    }
}

#[test]
fn e2_only_tls_1_3() {
    let key = key_pair();
    let (socket, server) = with_tls_server(&key, &key, |stream| {
        let mut request = [0; 5];
        stream.read_exact(&mut request).expect("a request");
        assert_eq!(&request, b"hello");
        assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(stream.conn.alpn_protocol(), Some(ALPN));
        assert_eq!(stream.conn.server_name(), Some(HOST));
        stream.write_all(b"and back").expect("sent");
    });
    let (mut stream, identity) = shake_hands(socket, HOST).expect("a session");
    assert_eq!(identity.key, Fingerprint::of_key(&key.subject_public_key_info()));
    assert!(!identity.is_vouched(HOST) && !identity.is_vouched("not a name"));
    stream.write_all(b"hello").and_then(|()| stream.flush()).expect("sent");
    // The server ends without an alert, and that is an end.
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "and back");
    server.join().expect("a server");
}

#[test]
fn e2_finished_stream_sends_the_alert() {
    let key = key_pair();
    let (socket, server) = with_tls_server(&key, &key, |stream| {
        let mut request = Vec::new();
        // Without the alert this would be an error.
        stream.read_to_end(&mut request).expect("an end");
        assert_eq!(request, b"port");
    });
    let (mut stream, _) = shake_hands(socket, HOST).expect("a session");
    stream.write_all(b"port").and_then(|()| stream.finish()).expect("sent");
    server.join().expect("a server");
}

/// A certificate is public: whoever shows it must also have its key.
#[test]
fn e12_server_proves_its_key() {
    let (socket, server) = with_tls_server(&key_pair(), &key_pair(), |stream| {
        stream.read_exact(&mut [0]).expect_err("an alert");
    });
    let error = failure(socket);
    assert!(matches!(error, HandshakeError::Failed(Error::InvalidCertificate(_))), "{error:?}");
    server.join().expect("a server");
}

/// Names that no certificate has, and addresses.
#[test]
fn e12_any_host_gets_a_handshake() {
    for host in ["127.0.0.1", "::1", "fe80::1%eth0", "a_b.example.", "部屋"] {
        let key = key_pair();
        let (socket, server) = with_tls_server(&key, &key, |stream| {
            stream.read_exact(&mut [0]).expect("a byte");
        });
        let (mut stream, _) = shake_hands(socket, host).expect(host);
        stream.write_all(b"x").expect("sent");
        server.join().expect("a server");
    }
}

#[test]
fn e13_kinds_of_no_tls() {
    let answering = |answer: &'static [u8]| {
        let (socket, server) = with_server(move |mut socket| {
            assert!(socket.read(&mut [0; 4096]).expect("a handshake") > 0);
            socket.write_all(answer).expect("sent");
            // Until the client ends: an earlier end could overtake the answer.
            let _ = socket.read_to_end(&mut Vec::new());
        });
        let error = failure(socket);
        server.join().expect("a server");
        error
    };
    let mut acknowledgement = [0; 33];
    (acknowledgement[1], acknowledgement[2]) = (3, 1);
    (acknowledgement[31], acknowledgement[32]) = (1, 9);
    let acknowledged = answering(Box::leak(Box::new(acknowledgement)));
    assert!(matches!(acknowledged, HandshakeError::Acknowledged), "{acknowledged:?}");
    acknowledgement[32] = Status::ServerFull as u8;
    let full = answering(Box::leak(Box::new(acknowledgement)));
    assert!(matches!(full, HandshakeError::Refused(Status::ServerFull)), "{full:?}");
    let foreign = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>");
    assert!(matches!(foreign, HandshakeError::Foreign), "{foreign:?}");
    // A fatal alert, protocol_version.
    let refused = answering(b"\x15\x03\x03\x00\x02\x02\x46");
    assert!(matches!(refused, HandshakeError::Failed(Error::AlertReceived(_))), "{refused:?}");
}

#[test]
fn e13_end_and_reset_are_no_silence() {
    let (socket, server) = with_server(|mut socket| {
        assert!(socket.read(&mut [0; 65536]).expect("a handshake") > 0);
    });
    let ended = failure(socket);
    assert!(matches!(ended, HandshakeError::Ended | HandshakeError::Broken(_)), "{ended:?}");
    server.join().expect("a server");
    let (socket, server) = with_server(|socket| {
        // A close without lingering is a reset (socket(7), SO_LINGER).
        SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("an option");
    });
    server.join().expect("a server");
    let reset = failure(socket);
    assert!(matches!(reset, HandshakeError::Broken(_)), "{reset:?}");
}

#[test]
fn e13_silence_ends_after_3_s() {
    let (socket, server) = with_server(|mut socket| {
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let start = Instant::now();
    let silent = failure(socket);
    assert!(matches!(silent, HandshakeError::Silent), "{silent:?}");
    let waited = start.elapsed();
    assert!(waited >= SILENCE && waited < SILENCE + Duration::from_secs(2), "{waited:?}");
    server.join().expect("a server");
}
