//! Explains failed connections to Unix sockets. Every sentence ends with the next step.

use std::io::{self, ErrorKind};

use reactor_chat::unix_addr::UnixAddr;

use crate::failure::Failure;
use crate::quoting::quoted;
use crate::request_error::PATIENCE;

/// Explains why there is no connection.
pub(crate) fn failed_connection(addr: &UnixAddr, error: &io::Error) -> Failure {
    let start = quoted(&format!("unix:{addr}"));
    Failure::sentence(&match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no socket unix:{addr}; check the path, or start a server there with: \
             reactor-chat --bind {start}"
        ),
        ErrorKind::ConnectionRefused => {
            format!("no server listens at unix:{addr}; start one with: reactor-chat --bind {start}")
        }
        ErrorKind::PermissionDenied => format!(
            "you have no permission to connect to unix:{addr}; ask its operator, who can add you to \
             the group of the socket"
        ),
        ErrorKind::WouldBlock => format!(
            "the server at unix:{addr} has accepted no connection for {} s; try again, or ask its \
             operator",
            PATIENCE.as_secs()
        ),
        _ => format!("there is no way to unix:{addr}: {error}; check --host"),
    })
}

/// Explains that the file is no socket.
pub(crate) fn no_socket(addr: &UnixAddr) -> Failure {
    Failure::sentence(&format!("{addr} is no socket; check --host"))
}
