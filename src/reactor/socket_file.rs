//! The file of a Unix socket: its place, its permissions, and its end.
//!
//! The kernel makes the file at bind(2) and never removes it. A server that was killed leaves it behind,
//! and then bind(2) fails as if a server were there (unix(7)). A new server replaces such a stale file: a
//! connect(2) to it is refused. The check, the removal and the bind happen under a lock on the directory
//! (flock(2)), so that two servers that start at once do not take each other's file.

use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::BACKLOG;
use crate::sys;

/// Longest wait for the lock. Our servers hold it for a few system calls. Anybody who may read the directory
/// can hold it without end.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Interval between attempts to lock: flock(2) itself waits without a limit.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// The reason why the server cannot listen on a Unix socket.
#[derive(Debug)]
pub(super) enum SocketError {
    /// It can never listen there.
    Never(&'static str),
    /// The machine refuses it now.
    Now(io::Error),
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        let denied =
            "permission denied (the directory must be writable, and so must a socket in its place)";
        let in_use = "the address is in use by another program";
        match error.raw_os_error() {
            Some(libc::ENOTDIR) => Self::Never("a part of its path is no directory"),
            Some(libc::ELOOP) => Self::Never("its path has too many symbolic links"),
            Some(libc::EACCES) => Self::Now(io::Error::new(ErrorKind::PermissionDenied, denied)),
            Some(libc::EADDRINUSE) => Self::Now(io::Error::new(ErrorKind::AddrInUse, in_use)),
            _ => Self::Now(error),
        }
    }
}

/// The file of a listener of ours. It is removed when this is dropped, if it is still the same file. Drop it
/// before the listener: a file with a listener is not replaced, and the listener's socket keeps the inode,
/// so that no other file gets its number meanwhile.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    /// Listens on a path, in place of a stale file. The file has the permissions `mode`.
    pub(super) fn listen(path: &Path, mode: u32) -> Result<(UnixListener, Self), SocketError> {
        let directory = open_directory(path)?;
        lock(&directory)?;
        if is_stale(path)? {
            log::info!("unix {}: replacing the file of a server that has ended", path.display());
            fs::remove_file(path).map_err(|error| match error.raw_os_error() {
                Some(libc::EPERM) => kept_file(),
                _ => error,
            })?;
        }
        let socket = bind(path, mode)?;
        let file = Self { path: path.into(), inode: inode_of(&fs::symlink_metadata(path)?) };
        socket.listen(BACKLOG)?;
        Ok((OwnedFd::from(socket).into(), file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_same = |file: Metadata| inode_of(&file) == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(is_same)
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn inode_of(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Checks a path as [`SocketFile::listen`] does, and changes nothing. Returns true if it has a stale file.
pub(super) fn check(path: &Path) -> Result<bool, SocketError> {
    open_directory(path)?;
    let is_stale = is_stale(path)?;
    sys::may_change(directory_of(path))?;
    match is_stale && !may_remove(path)? {
        true => Err(kept_file().into()),
        false => Ok(is_stale),
    }
}

/// The error about a stale file that the server may not remove.
fn kept_file() -> io::Error {
    let why = "another user has left a socket file there, which only its owner may remove";
    io::Error::new(ErrorKind::PermissionDenied, why)
}

/// Returns true if nothing keeps a writable directory's file. In one with the sticky bit, as /tmp, only root and
/// the owners of the file and of the directory may remove it (unlink(2)).
fn may_remove(path: &Path) -> io::Result<bool> {
    let directory = fs::metadata(directory_of(path))?;
    let owners = [0, directory.uid(), fs::symlink_metadata(path)?.uid()];
    Ok(directory.mode() & libc::S_ISVTX == 0 || owners.contains(&sys::effective_user()))
}

fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn open_directory(path: &Path) -> Result<File, SocketError> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(SocketError::Never("it is the path of a directory"));
    }
    // An open of anything but a directory could wait, as for a pipe (fifo(7)).
    let mut options = OpenOptions::new();
    let directory = options.read(true).custom_flags(libc::O_DIRECTORY).open(directory_of(path));
    directory.map_err(|error| match error.kind() {
        ErrorKind::NotFound => SocketError::Never("its directory does not exist"),
        _ => error.into(),
    })
}

/// Locks a directory until it is closed.
fn lock(directory: &File) -> Result<(), SocketError> {
    let end = Instant::now() + LOCK_WAIT;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                let why = "another program holds a lock on its directory";
                return Err(SocketError::Now(io::Error::new(ErrorKind::ResourceBusy, why)));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_INTERVAL),
        }
    }
}

/// Returns true for a socket file that nobody listens on, and false if there is no file.
fn is_stale(path: &Path) -> Result<bool, SocketError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if kind.is_dir() {
        return Err(SocketError::Never("it is a directory"));
    }
    if kind.is_symlink() {
        return Err(SocketError::Never("it is a symbolic link, which bind(2) does not follow"));
    }
    if !kind.is_socket() {
        return Err(SocketError::Never("it is a file, and no socket"));
    }
    match find_live(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Err(io::Error::from_raw_os_error(libc::EADDRINUSE).into()),
    }
}

/// Returns an error if no socket is bound to the path. A connection would take a place of a live server, which
/// may end another one for it. A datagram socket makes none: the kernel looks for the live socket first, and then
/// refuses its type (`EPROTOTYPE`, `unix_find_bsd` in net/unix/af_unix.c). `EPERM` is from a live datagram socket
/// that receives from another one only.
fn find_live(path: &Path) -> io::Result<()> {
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPROTOTYPE | libc::EPERM)) => {
            Ok(())
        }
        outcome => outcome,
    }
}

/// Binds a socket. Its file has the permissions `mode` from the first moment: the kernel takes those of the
/// socket's own inode, without the bits of the umask (`unix_bind_bsd` in net/unix/af_unix.c). A later
/// chmod(2) would follow a link that others have put in place of the file.
fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    let file = File::from(OwnedFd::from(Socket::new(Domain::UNIX, Type::STREAM, None)?));
    file.set_permissions(Permissions::from_mode(mode))?;
    let socket = Socket::from(OwnedFd::from(file));
    let address = SockAddr::unix(path)?;
    sys::with_umask(0, || socket.bind(&address))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u1_mode_holds_from_the_first_moment() {
        let path = std::env::temp_dir().join(format!("rc-mode-{}", std::process::id()));
        for mode in [0o600, 0o666, 0o000] {
            // A process that was killed may have left it.
            let _ = fs::remove_file(&path);
            let socket = bind(&path, mode).expect("a free path");
            let found = fs::metadata(&path).expect("a file").mode() & 0o777;
            drop(socket);
            fs::remove_file(&path).expect("removed");
            assert_eq!(found, mode, "{found:o}");
        }
    }
}
