//! TLS connections to a server, and certificates for one.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use reactor_chat::proof_of_key::client_builder;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection};

use super::*;

/// A client's end of a TLS connection. The test sees the records that it sends.
pub struct Encrypted {
    pub tls: ClientConnection,
    pub stream: TcpStream,
}

impl Encrypted {
    /// Connects and finishes the handshake.
    pub fn connect(server: &Server) -> Self {
        Self::connect_to(server.tcp)
    }

    pub fn connect_to(address: SocketAddr) -> Self {
        let mut encrypted = Self::over(Control::connect_to(address), client_config());
        encrypted.finish_handshake().expect("a handshake");
        encrypted
    }

    /// Begins a session over a connection. Nothing is sent yet.
    pub fn over(control: Control, config: ClientConfig) -> Self {
        let name = ServerName::try_from("localhost").expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let stream = control.stream().try_clone().expect("a descriptor");
        Self { tls, stream }
    }

    pub fn finish_handshake(&mut self) -> std::io::Result<()> {
        while self.tls.is_handshaking() || self.tls.wants_write() {
            self.tls.complete_io(&mut self.stream)?;
        }
        Ok(())
    }

    /// Returns the records that wait to be sent.
    pub fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).expect("a Vec takes all");
        }
        records
    }

    /// Encrypts bytes and returns the records.
    pub fn encrypt(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.tls.writer().write_all(bytes).expect("space");
        self.records()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let records = self.encrypt(bytes);
        self.stream.write_all(&records).expect("sent");
    }

    pub fn expect_reply(&mut self) -> Reply {
        Reply::read(self)
    }

    /// Makes a request and returns the status.
    pub fn status_of(&mut self, operation: u8, room: &str, payload: &[u8]) -> u8 {
        self.send(&frame(operation, room, payload));
        let status = self.expect_reply().payload[0];
        if status == 0 {
            assert_eq!(self.expect_reply().state, 2);
        }
        status
    }

    /// Returns the certificate that the server has shown.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.tls.peer_certificates().expect("a finished handshake")[0].clone()
    }
}

impl Read for Encrypted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            self.tls.read_tls(&mut self.stream)?;
            self.tls.process_new_packets().map_err(std::io::Error::other)?;
        }
    }
}

/// Returns a client that shows no certificate.
pub fn client_config() -> ClientConfig {
    client_builder().expect("TLS 1.3").with_no_client_auth()
}

/// A directory for the files of one test, which is removed when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").into()
    }

    /// Writes a new certificate and its key, as `certbot renew` does, and returns the certificate.
    pub fn write_certificate(&self) -> CertificateDer<'static> {
        let (certificate, key) = certificate();
        fs::write(self.path("cert.pem"), certificate.pem()).expect("a file");
        fs::write(self.path("key.pem"), key.serialize_pem()).expect("a file");
        certificate.der().clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a certificate with a new key.
pub fn certificate() -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".into()]).expect("a name");
    (params.self_signed(&key).expect("a certificate"), key)
}

/// Returns a client that shows a certificate of its own if the server asks for one.
pub fn client_with_certificate() -> ClientConfig {
    let (certificate, key) = certificate();
    let (chain, key) = (vec![certificate.der().clone()], key.serialize_der());
    let builder = client_builder().expect("TLS 1.3");
    let config = builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key.into()));
    config.expect("a certificate of its key")
}

/// Runs openssl(1) with this input. Returns `None` on a machine without it; CI has it.
pub fn openssl(args: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new("openssl");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "openssl: {error}");
            return None;
        }
    };
    // It may end before it has read everything.
    let _ = child.stdin.take().expect("piped").write_all(input);
    Some(child.wait_with_output().expect("its output"))
}
