//! The addresses of Unix sockets, as `unix:PATH` and `unix:@NAME` name them.

use std::fmt::{self, Write as _};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The beginning of an option's value that names a Unix socket.
pub const PREFIX: &str = "unix:";

/// Limit for a path or a name in bytes: `sun_path` has 108, and one is for the zero byte that ends a path
/// or begins an abstract name (unix(7)).
pub const MAX_SIZE: usize = 107;

/// The address of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixAddr {
    /// A file.
    Path(PathBuf),
    /// A name in the abstract namespace of the machine's network namespace. It has no permissions.
    Abstract(String),
}

/// A name that is no address of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixAddrError {
    /// The path or the name is empty.
    Empty,
    /// The path or the name has this many bytes, more than [`MAX_SIZE`].
    TooLong(usize),
}

impl UnixAddr {
    /// Parses the value of an option. Returns `None` if it does not begin with [`PREFIX`].
    ///
    /// # Errors
    /// If the rest is empty or too long.
    pub fn parse(value: &str) -> Option<Result<Self, UnixAddrError>> {
        let name = value.strip_prefix(PREFIX)?;
        let (name, is_abstract) = match name.strip_prefix('@') {
            Some(name) => (name, true),
            None => (name, false),
        };
        Some(match name.len() {
            0 => Err(UnixAddrError::Empty),
            1..=MAX_SIZE if is_abstract => Ok(Self::Abstract(name.into())),
            1..=MAX_SIZE => Ok(Self::Path(name.into())),
            size => Err(UnixAddrError::TooLong(size)),
        })
    }

    /// Returns the address of a socket, or `None` if it has none. Bytes of an abstract name that are not
    /// UTF-8 are replaced.
    pub fn of(addr: &SocketAddr) -> Option<Self> {
        let path = addr.as_pathname().map(|path| Self::Path(path.into()));
        let name = || addr.as_abstract_name().map(String::from_utf8_lossy);
        path.or_else(|| name().map(|name| Self::Abstract(name.into_owned())))
    }

    /// Returns the address in the form that sockets take.
    ///
    /// # Errors
    /// If it is empty or too long, or a path has a zero byte.
    pub fn socket_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Path(path) => SocketAddr::from_pathname(path),
            Self::Abstract(name) => SocketAddr::from_abstract_name(name),
        }
    }

    /// Returns the path, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Abstract(_) => None,
        }
    }
}

/// Writes a path as it is, and an abstract name with the `@` before it. Control characters, such as the end of
/// a line, are escaped.
impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Path(path) => path.to_string_lossy().into_owned(),
            Self::Abstract(name) => format!("@{name}"),
        };
        text.chars().try_for_each(|letter| match letter.is_control() {
            true => write!(f, "{}", letter.escape_unicode()),
            false => f.write_char(letter),
        })
    }
}

impl fmt::Display for UnixAddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a path or a name must follow 'unix:'"),
            Self::TooLong(size) => {
                write!(f, "it has {size} bytes, and a Unix socket's address has at most {MAX_SIZE}")
            }
        }
    }
}

impl std::error::Error for UnixAddrError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u1_names_are_parsed() {
        let parsed =
            |text: &str| UnixAddr::parse(text).map(|result| result.map_err(|e| e.to_string()));
        assert_eq!(parsed("localhost"), None);
        assert_eq!(parsed("unix:/run/chat"), Some(Ok(UnixAddr::Path("/run/chat".into()))));
        assert_eq!(parsed("unix:@chat"), Some(Ok(UnixAddr::Abstract("chat".into()))));
        for empty in ["unix:", "unix:@"] {
            assert!(matches!(parsed(empty), Some(Err(_))), "{empty}");
        }
    }

    #[test]
    fn u1_line_end_in_a_path_is_escaped() {
        let addr = UnixAddr::Path("/run/a b/\n\u{1b}[2J\"日本\\".into());
        assert_eq!(addr.to_string(), r#"/run/a b/\u{a}\u{1b}[2J"日本\"#);
    }

    #[test]
    fn u1_longest_name_is_taken() {
        for mark in ["", "@"] {
            let name = |size| format!("unix:{mark}{}", "x".repeat(size));
            let longest = UnixAddr::parse(&name(MAX_SIZE)).expect("a prefix").expect("an address");
            let socket_addr = longest.socket_addr().expect("the kernel's limit is the same");
            assert_eq!(UnixAddr::of(&socket_addr), Some(longest));
            let longer = UnixAddr::parse(&name(MAX_SIZE + 1)).expect("a prefix");
            assert_eq!(longer, Err(UnixAddrError::TooLong(MAX_SIZE + 1)));
        }
    }
}
