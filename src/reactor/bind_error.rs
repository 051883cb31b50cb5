//! The reason why the server could not start, in one line that names the cause.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::socket_file::SocketError;
use crate::tls::TlsError;
use crate::unix_addr::UnixAddr;

/// Reason why the server could not start.
#[derive(Debug)]
pub struct BindError {
    what: String,
    address: Option<SocketAddr>,
    error: io::Error,
    is_mistake: bool,
}

impl BindError {
    /// Returns true if an option names an address that this machine does not have, a path where no Unix
    /// socket can be, or a file that cannot be used.
    pub fn is_mistake(&self) -> bool {
        self.is_mistake || self.is_foreign_address()
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrInUse
    }

    /// Returns true if this machine does not have the address, or lacks its whole family.
    pub(super) fn is_foreign_address(&self) -> bool {
        self.error.kind() == io::ErrorKind::AddrNotAvailable || self.is_missing_family()
    }

    pub(super) fn is_missing_family(&self) -> bool {
        self.error.raw_os_error() == Some(libc::EAFNOSUPPORT)
    }

    pub(super) fn new(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self { what, address: None, error, is_mistake: false }
    }

    pub(super) fn of_files(error: TlsError) -> Self {
        let (what, error) = ("no certificate".into(), io::Error::other(error));
        Self { what, address: None, error, is_mistake: true }
    }

    pub(super) fn of_unix(addr: &UnixAddr, error: SocketError) -> Self {
        let what = format!("cannot listen on unix {addr}");
        let (error, is_mistake) = match error {
            SocketError::Never(why) => (io::Error::other(why), true),
            SocketError::Now(error) => (error, false),
        };
        Self { what, address: None, error, is_mistake }
    }

    pub(super) fn of_passed(error: io::Error) -> Self {
        let what = "cannot use a passed socket".into();
        Self { what, address: None, error, is_mistake: true }
    }

    pub(super) fn listening(
        transport: &str,
        address: SocketAddr,
    ) -> impl FnOnce(io::Error) -> Self {
        let what = format!("cannot listen on {transport} {address}");
        move |error| Self { what, address: Some(address), error, is_mistake: false }
    }

    /// Returns the cause, if the system's own error message does not name it.
    fn cause(&self) -> Option<&'static str> {
        let address = self.address?;
        match self.error.kind() {
            io::ErrorKind::AddrInUse => Some("the port is in use by another program"),
            io::ErrorKind::AddrNotAvailable => Some("this machine does not have that address"),
            io::ErrorKind::PermissionDenied if address.port() < PRIVILEGED => {
                Some("permission denied (ports below 1024 need a privilege)")
            }
            io::ErrorKind::InvalidInput if lacks_interface(address) => {
                Some("a link-local address needs its interface, as in fe80::1%eth0")
            }
            _ if self.is_missing_family() && address.is_ipv6() => Some("this machine has no IPv6"),
            _ if self.is_missing_family() => Some("this machine has no IPv4"),
            _ => None,
        }
    }
}

/// Ports below this one need a privilege, unless `net.ipv4.ip_unprivileged_port_start` was changed
/// (ip(7)).
const PRIVILEGED: u16 = 1024;

fn lacks_interface(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause() {
            Some(cause) => write!(f, "{}: {cause}", self.what),
            None => write!(f, "{}: {}", self.what, self.error),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_j_error_names_its_cause() {
        let told = |address: &str, errno| {
            let address = address.parse().expect("an address");
            BindError::listening("tcp", address)(io::Error::from_raw_os_error(errno)).to_string()
        };
        assert!(told("127.0.0.1:80", libc::EACCES).contains("below 1024"));
        assert!(!told("127.0.0.1:9001", libc::EACCES).contains("1024"));
        assert!(told("[fe80::1]:9001", libc::EINVAL).contains("fe80::1%eth0"));
        assert!(!told("[fe80::1%2]:9001", libc::EINVAL).contains("fe80::1%eth0"));
    }
}
