//! TLS with the server: the handshake, and the key that the server proves to have.
//!
//! The handshake itself accepts any certificate, because `trust.rs` judges the key after it and
//! before the first request. TLS 1.3 alone is spoken (E2).

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConnection, Error, RootCertStore};

use crate::first_bytes::{FirstBytes, classify};
use crate::request_error::PATIENCE;
use crate::server_stream::ServerStream;
use reactor_chat::fingerprint::Fingerprint;
use reactor_chat::proof_of_key::client_builder;
use reactor_chat::protocol::Status;

/// Time without any byte from the server after which it may have no TLS (E13).
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// The protocol inside TLS, as the server expects it (E2).
const ALPN: &[u8] = b"http/1.1";

/// Bytes of one read: a record of TLS, and its header.
const CHUNK: usize = (16 << 10) + 5;

/// The reason why there is no TLS session.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// The server acknowledged the handshake as if it was a request.
    Acknowledged,
    /// The server has no place for the connection, and did not read the handshake. It may have TLS.
    Refused(Status),
    /// The server sent nothing for [`SILENCE`].
    Silent,
    /// The connection ended.
    Ended,
    /// The handshake was not complete in time.
    TimedOut,
    /// The connection failed.
    Broken(io::Error),
    /// The server speaks neither TLS nor this protocol.
    Foreign,
    /// TLS failed.
    Failed(Error),
}

/// The certificates that a server has shown, and the key of the first one, which it has proved to
/// have.
pub(crate) struct ServerIdentity {
    chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Fingerprint,
}

impl ServerIdentity {
    fn of_session(session: &ClientConnection) -> Result<Self, Error> {
        let chain = session.peer_certificates().unwrap_or_default().to_vec();
        let first = chain.first().ok_or(Error::NoCertificatesPresented)?;
        let spki = ParsedCertificate::try_from(first)?.subject_public_key_info();
        Ok(Self { key: Fingerprint::of_key(&spki), chain })
    }

    /// Returns true if the roots of the system vouch for the certificate, for this host.
    pub(crate) fn is_vouched(&self, host: &str) -> bool {
        let Some((first, others)) = self.chain.split_first() else { return false };
        let Ok(name) = ServerName::try_from(host) else { return false };
        let mut roots = RootCertStore::empty();
        // A root that cannot be read vouches for nothing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
        // Without any root there is no verifier.
        verifier.is_ok_and(|verifier| {
            verifier.verify_server_cert(first, others, &name, &[], UnixTime::now()).is_ok()
        })
    }
}

/// Makes a handshake over a connection that is new. Writes have a timeout already.
pub(crate) fn shake_hands(
    mut socket: TcpStream,
    host: &str,
) -> Result<(ServerStream, ServerIdentity), HandshakeError> {
    let start = Instant::now();
    let mut session = session(host, &socket).map_err(HandshakeError::Failed)?;
    write_all(&mut session, &mut socket)?;
    let mut input = read_first_bytes(&mut socket, start)?;
    loop {
        feed(&mut session, &mut socket, &input)?;
        if !session.is_handshaking() {
            break;
        }
        input.clear();
        read(&mut socket, start + PATIENCE, &mut input).map_err(|error| match error {
            HandshakeError::Silent => HandshakeError::TimedOut,
            error => error,
        })?;
    }
    let identity = ServerIdentity::of_session(&session).map_err(HandshakeError::Failed)?;
    Ok((ServerStream::encrypted(socket.into(), session), identity))
}

fn session(host: &str, socket: &TcpStream) -> Result<ClientConnection, Error> {
    // A name that no certificate can have, such as one with an IPv6 zone, is not sent. The address
    // in its place is not sent either (RFC 6066, section 3).
    let name = ServerName::try_from(host.to_owned()).or_else(|_| {
        let peer = socket.peer_addr().map_err(|error| Error::General(error.to_string()))?;
        Ok::<_, Error>(ServerName::IpAddress(peer.ip().into()))
    })?;
    let mut config = client_builder()?.with_no_client_auth();
    config.alpn_protocols = vec![ALPN.into()];
    config.resumption = Resumption::disabled();
    ClientConnection::new(Arc::new(config), name)
}

/// Reads until the bytes show that the server speaks TLS.
fn read_first_bytes(socket: &mut TcpStream, start: Instant) -> Result<Vec<u8>, HandshakeError> {
    let mut input = Vec::new();
    loop {
        let patience = if input.is_empty() { SILENCE } else { PATIENCE };
        match read(socket, start + patience, &mut input) {
            Err(HandshakeError::Silent) if !input.is_empty() => {
                return Err(HandshakeError::TimedOut);
            }
            outcome => outcome?,
        }
        match classify(&input) {
            FirstBytes::TooFew => {}
            FirstBytes::Tls => return Ok(input),
            FirstBytes::Acknowledgement(status) => return Err(acknowledged(status)),
            FirstBytes::Foreign => return Err(HandshakeError::Foreign),
        }
    }
}

/// Returns the error for an acknowledgement in place of a handshake. A server that is full sends one
/// before it knows whether a client begins TLS.
fn acknowledged(status: u8) -> HandshakeError {
    match Status::from_byte(status) {
        Some(status @ (Status::ServerFull | Status::RateLimited)) => {
            HandshakeError::Refused(status)
        }
        _ => HandshakeError::Acknowledged,
    }
}

/// Adds some bytes to the input.
///
/// # Errors
/// [`HandshakeError::Silent`] after the deadline, [`HandshakeError::Ended`], or
/// [`HandshakeError::Broken`].
fn read(
    socket: &mut TcpStream,
    deadline: Instant,
    input: &mut Vec<u8>,
) -> Result<(), HandshakeError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(HandshakeError::Silent);
    }
    socket.set_read_timeout(Some(left)).map_err(HandshakeError::Broken)?;
    let mut chunk = [0; CHUNK];
    match socket.read(&mut chunk) {
        Ok(0) => Err(HandshakeError::Ended),
        Ok(size) => {
            input.extend_from_slice(&chunk[..size]);
            Ok(())
        }
        Err(error) => match error.kind() {
            // Sockets report a timeout as either of them (socket(7), SO_RCVTIMEO).
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(HandshakeError::Silent),
            ErrorKind::Interrupted => Ok(()),
            _ => Err(HandshakeError::Broken(error)),
        },
    }
}

/// Hands bytes to the session, and writes what it answers.
fn feed(
    session: &mut ClientConnection,
    socket: &mut TcpStream,
    mut input: &[u8],
) -> Result<(), HandshakeError> {
    while !input.is_empty() {
        session.read_tls(&mut input).map_err(HandshakeError::Broken)?;
        if let Err(error) = session.process_new_packets() {
            // The alert for the server. It may be gone.
            let _ = write_all(session, socket);
            return Err(HandshakeError::Failed(error));
        }
    }
    write_all(session, socket)
}

fn write_all(session: &mut ClientConnection, socket: &mut TcpStream) -> Result<(), HandshakeError> {
    while session.wants_write() {
        session.write_tls(socket).map_err(HandshakeError::Broken)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
