//! Sockets that the service manager has passed, in place of those of `--bind`. They get the options that our
//! own have.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket};

use mio::net::TcpListener;
use socket2::SockRef;

use super::bind_error::BindError;
use super::sockets::{Sockets, set_options};
use super::unix_socket::UnixSocket;
use crate::config::{Bind, Config, DEFAULT_BIND};
use crate::datagram::{self, Datagrams};
use crate::protocol::datagram::sender_key;
use crate::service::PassedSockets;

/// Takes the passed sockets, and sets the addresses of the settings to theirs.
pub(super) fn take(config: &mut Config, passed: PassedSockets) -> Result<Sockets, BindError> {
    if let Some(line) = ignored_binds(config) {
        log::warn!("{line}");
    }
    (config.bind, config.unix) = (Vec::new(), Vec::new());
    let (mut tcp, mut unix) = (Vec::new(), Vec::new());
    let mut datagrams = Datagrams::new(config.datagram_path, sender_key);
    for (listener, socket) in passed.pairs {
        let pair = take_pair(listener, socket, &mut datagrams);
        let (listener, address) = pair.map_err(BindError::of_passed)?;
        tcp.push(listener);
        config.bind.push(Bind { name: address.ip().to_string(), addresses: vec![address] });
    }
    for listener in passed.unix {
        let socket = UnixSocket::passed(listener).map_err(BindError::of_passed)?;
        config.unix.push(socket.addr().clone());
        unix.push(socket);
    }
    Ok(Sockets { tcp, datagrams, unix })
}

/// Returns a warning if `--bind` was given.
pub(super) fn ignored_binds(config: &Config) -> Option<&'static str> {
    let is_default = matches!(&config.bind[..], [bind] if bind.name == DEFAULT_BIND);
    let warning = "--bind has no effect: the service manager has passed sockets";
    (!(is_default && config.unix.is_empty())).then_some(warning)
}

fn take_pair(
    listener: StdListener,
    socket: StdSocket,
    datagrams: &mut Datagrams,
) -> io::Result<(TcpListener, SocketAddr)> {
    set_options(SockRef::from(&listener))?;
    let address = listener.local_addr()?;
    datagrams.add(datagram::take(socket)?)?;
    Ok((TcpListener::from_std(listener), address))
}
