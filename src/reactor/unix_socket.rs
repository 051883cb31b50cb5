//! Listeners on Unix sockets: opening them, the file of each, and its end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use mio::net::{UnixListener, UnixStream};
use socket2::SockRef;

use super::bind_error::BindError;
use crate::config::TCP_BUFFER;
use crate::unix_addr::UnixAddr;

/// A listener on a Unix socket.
pub(super) struct UnixSocket {
    listener: UnixListener,
    addr: UnixAddr,
    /// The file to be removed at the end. It is `None` for an abstract name.
    file: Option<PathBuf>,
}

impl UnixSocket {
    /// Listens on an address. A socket file gets the permissions `mode`.
    pub(super) fn open(addr: &UnixAddr, mode: u32) -> Result<Self, BindError> {
        listen(addr, mode).map_err(BindError::new(format!("cannot listen on unix {addr}")))
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

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = fs::remove_file(file)
        {
            log::warn!("cannot remove {}: {error}", file.display());
        }
    }
}

fn listen(addr: &UnixAddr, mode: u32) -> io::Result<UnixSocket> {
    let listener = UnixListener::bind_addr(&addr.socket_addr()?)?;
    let file = addr.path().map(PathBuf::from);
    if let Some(file) = &file {
        fs::set_permissions(file, Permissions::from_mode(mode))?;
    }
    Ok(UnixSocket { listener, addr: addr.clone(), file })
}
