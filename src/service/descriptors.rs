//! The descriptors that the service manager has passed, by the crate listenfd: without it, taking one
//! that we have not opened ourselves is unsafe. It also closes them to other programs, and removes the
//! variables.

use std::env;

use listenfd::ListenFd;
use socket2::Socket;

/// The socket domain and the type of a socket. For listenfd `AF_INET` includes `AF_INET6`.
const KINDS: [(i32, i32); 3] = [
    (libc::AF_INET, libc::SOCK_STREAM),
    (libc::AF_INET, libc::SOCK_DGRAM),
    (libc::AF_UNIX, libc::SOCK_STREAM),
];

/// Takes this number of sockets. One that has another kind, or is none, is missing.
pub(super) fn take(count: usize) -> Result<Vec<Option<Socket>>, &'static str> {
    // listenfd counts from there, and panics if it cannot. sd_listen_fds(3) has no such variable.
    if env::var_os("LISTEN_FDS_FIRST_FD").is_some() {
        return Err("LISTEN_FDS_FIRST_FD is not supported");
    }
    let mut passed = ListenFd::from_env();
    let mut take_one = |index| {
        let mut kinds = KINDS.into_iter();
        kinds.find_map(|(domain, kind)| passed.take_custom(index, domain, kind, "").ok().flatten())
    };
    Ok((0..count).map(&mut take_one).collect())
}
