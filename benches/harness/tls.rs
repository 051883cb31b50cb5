//! TLS to a server that the bench has started itself, so that its certificate needs no check.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, LazyLock};

use reactor_chat::proof_of_key::client_builder;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let builder = client_builder().expect("the provider has TLS 1.3");
    builder.with_no_client_auth().into()
});

/// Makes a handshake with the server at the other end.
///
/// # Errors
/// If it fails.
pub fn wrap(stream: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut stream = StreamOwned::new(client(stream.peer_addr()?.ip())?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Returns the client's end of a connection whose handshake has not begun.
///
/// # Errors
/// If the provider of the cryptography fails.
pub fn client(server: IpAddr) -> io::Result<ClientConnection> {
    ClientConnection::new(CONFIG.clone(), ServerName::from(server)).map_err(io::Error::other)
}
