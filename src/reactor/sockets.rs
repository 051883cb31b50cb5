//! The sockets of a server, whether they are its own or passed, and the options of its TCP listeners.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::unix_socket::UnixSocket;
use crate::config::{BACKLOG, TCP_BUFFER};
use crate::datagram::Datagrams;

/// The sockets of a server.
pub(super) struct Sockets {
    /// The TCP listeners, in the order of the UDP sockets.
    pub(super) tcp: Vec<TcpListener>,
    pub(super) datagrams: Datagrams,
    pub(super) unix: Vec<UnixSocket>,
}

/// Opens a listener.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind_tcp(address)?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Binds a socket for a listener. It can be bound while connections of an earlier server are still in
/// TIME_WAIT (socket(7), SO_REUSEADDR), and an IPv6 one leaves IPv4 to another listener.
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    set_options(SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Sets the options of a listener that can be set at any time.
pub(super) fn set_options(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit these. The handshake negotiates the window, so they must be set before
    // it (tcp(7)).
    socket.set_recv_buffer_size(TCP_BUFFER)?;
    socket.set_send_buffer_size(TCP_BUFFER)
}
