//! Listeners on Unix sockets: opened by us, or passed by a service manager.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener as StdListener;

use mio::net::{UnixListener, UnixStream};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::bind_error::BindError;
use super::socket_file::{self, SocketError, SocketFile};
use crate::config::{BACKLOG, TCP_BUFFER};
use crate::unix_addr::UnixAddr;

/// A listener on a Unix socket.
pub(super) struct UnixSocket {
    /// The file to be removed at the end, before the listener is closed. There is none for an abstract
    /// name, and the file of a passed listener belongs to the one that has passed it.
    _file: Option<SocketFile>,
    listener: UnixListener,
    addr: UnixAddr,
}

impl UnixSocket {
    /// Listens on an address. A socket file gets the permissions `mode`.
    pub(super) fn open(addr: &UnixAddr, mode: u32) -> Result<Self, BindError> {
        listen(addr, mode).map_err(|error| BindError::of_unix(addr, error))
    }

    /// Checks an address as [`UnixSocket::open`] does, and changes nothing. Returns true if it would replace
    /// a stale file.
    pub(super) fn check(addr: &UnixAddr) -> Result<bool, BindError> {
        let checked = match addr {
            UnixAddr::Path(path) => socket_file::check(path),
            UnixAddr::Abstract(name) => bind_name(name).map(|_| false).map_err(SocketError::from),
        };
        checked.map_err(|error| BindError::of_unix(addr, error))
    }

    /// Takes a listener that was opened by somebody else.
    ///
    /// # Errors
    /// If it has no address.
    pub(super) fn passed(listener: StdListener) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let addr = UnixAddr::of(&local).ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidInput, "the Unix socket has no address")
        })?;
        if let UnixAddr::Abstract(_) = addr {
            log::warn!("unix {addr} has no permissions: all users of this machine can connect");
        }
        listener.set_nonblocking(true)?;
        Ok(Self { _file: None, listener: UnixListener::from_std(listener), addr })
    }

    pub(super) fn addr(&self) -> &UnixAddr {
        &self.addr
    }

    /// Returns the listener, to register it.
    pub(super) fn listener_mut(&mut self) -> &mut UnixListener {
        &mut self.listener
    }

    /// Accepts a connection. Its buffer has the size of one over TCP: see [`TCP_BUFFER`]. The kernel
    /// charges unread bytes to their sender, so one of the two buffers is enough.
    pub(super) fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(TCP_BUFFER) {
            log::debug!("unix: {error}");
        }
        Ok(stream)
    }
}

fn listen(addr: &UnixAddr, mode: u32) -> Result<UnixSocket, SocketError> {
    match addr {
        UnixAddr::Path(path) => {
            let (listener, file) = SocketFile::listen(path, mode)?;
            Ok(UnixSocket { _file: Some(file), ..UnixSocket::passed(listener)? })
        }
        UnixAddr::Abstract(name) => Ok(UnixSocket::passed(listen_on_name(name)?)?),
    }
}

fn listen_on_name(name: &str) -> io::Result<StdListener> {
    let socket = bind_name(name)?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// Binds a name in the abstract namespace, which a zero byte marks (unix(7)).
fn bind_name(name: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = [b"\0", name.as_bytes()].concat();
    socket.bind(&SockAddr::unix(OsStr::from_bytes(&address))?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    #[test]
    fn u1_passed_socket_keeps_its_file() {
        let path = std::env::temp_dir().join(format!("rc-passed-{}", std::process::id()));
        // A process that was killed may have left it.
        let _ = std::fs::remove_file(&path);
        let passed = StdListener::bind(&path).and_then(UnixSocket::passed).expect("an address");
        assert_eq!(passed.addr(), &UnixAddr::Path(path.clone()));
        let empty = passed.accept().expect_err("nobody has connected");
        assert_eq!(empty.kind(), ErrorKind::WouldBlock);
        drop(passed);
        std::fs::remove_file(&path).expect("still there");
    }

    #[test]
    fn u1_passed_socket_needs_an_address() {
        let name = format!("rc-passed-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let passed = StdListener::bind_addr(&address).and_then(UnixSocket::passed);
        assert_eq!(passed.expect("an address").addr(), &UnixAddr::Abstract(name));
        let unnamed = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let unnamed = UnixSocket::passed(OwnedFd::from(unnamed).into()).err();
        assert_eq!(unnamed.map(|error| error.kind()), Some(ErrorKind::InvalidInput));
    }
}
