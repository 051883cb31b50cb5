//! Connections to Unix sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use reactor_chat::unix_addr::UnixAddr;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::explain_unix as explain;
use crate::failure::Failure;
use crate::request_error::PATIENCE;

/// Connects. Calls block, with a timeout for writes.
pub(crate) fn connect_unix(addr: &UnixAddr) -> Result<Socket, Failure> {
    open(addr).map_err(|error| match error.kind() {
        // The kernel refuses every file that no socket is bound to, also one of another kind.
        ErrorKind::ConnectionRefused if addr.path().is_some_and(is_other_file) => {
            explain::no_socket(addr)
        }
        _ => explain::failed_connection(addr, &error),
    })
}

/// Connects, and waits for [`PATIENCE`] while the server's queue is full: `connect(2)` on a Unix
/// socket takes its limit from SO_SNDTIMEO, and then fails with EAGAIN.
fn open(addr: &UnixAddr) -> io::Result<Socket> {
    let to = match addr {
        UnixAddr::Path(path) => SockAddr::unix(path)?,
        UnixAddr::Abstract(name) => SockAddr::unix(format!("\0{name}"))?,
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    loop {
        match socket.connect(&to) {
            // A signal handler ran (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome.map(|()| socket),
        }
    }
}

fn is_other_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| !file.file_type().is_socket())
}
