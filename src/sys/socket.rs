//! Options and state of sockets, and the user at the other end (`SO_PEERCRED`, unix(7)).

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};

/// Makes arrivals carry the local address that they were sent to.
///
/// # Errors
/// If setsockopt(2) fails.
pub fn enable_packet_info(fd: BorrowedFd<'_>, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(_) => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Makes arrivals carry the number of datagrams that the kernel has dropped.
///
/// # Errors
/// If setsockopt(2) fails.
pub fn enable_overflow_count(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// Lets the kernel join waiting datagrams of one size from one sender into one arrival of up to 64 KiB.
///
/// # Errors
/// If setsockopt(2) fails.
pub fn enable_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Lets IPv4 routers fragment datagrams that do not fit the path (`IP_PMTUDISC_OMIT`, ip(7)). Otherwise the
/// kernel learns the path MTU by losing a datagram, and trusts ICMP messages that anyone can forge.
///
/// # Errors
/// If setsockopt(2) fails.
pub fn let_routers_fragment(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
}

/// Requests socket buffers of `bytes` in both directions. They exceed the system's limit
/// (`net.core.rmem_max`) if the process has `CAP_NET_ADMIN`. The kernel may grant less; see socket(7).
pub fn request_buffers(fd: BorrowedFd<'_>, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let ways = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (forced, asked) in ways {
        // The caller reads back the granted size, so a refusal is noticed there.
        if set_option(fd, libc::SOL_SOCKET, forced, bytes).is_err() {
            let _ = set_option(fd, libc::SOL_SOCKET, asked, bytes);
        }
    }
}

/// Returns the number of bytes in use in a socket's send buffer (`SIOCOUTQ`, an alias of
/// `TIOCOUTQ`, udp(7)).
pub fn queued_bytes(fd: BorrowedFd<'_>) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: the descriptor is open while it is borrowed, and this request writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, ptr::from_mut(&mut bytes)) };
    // It cannot fail on a socket. If it did, 0 would mean an empty buffer.
    if result < 0 { 0 } else { usize::try_from(bytes).unwrap_or(0) }
}

pub(super) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    let size = size_of::<c_int>() as socklen_t;
    // SAFETY: the value is an int that lives through the call, and its true size is passed.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns the id of the user that has connected this Unix stream socket, as it was then. A user that our
/// user namespace lacks has the overflow id of user_namespaces(7).
///
/// # Errors
/// If getsockopt(2) fails.
pub fn peer_user(fd: BorrowedFd<'_>) -> io::Result<u32> {
    let mut credentials = MaybeUninit::<libc::ucred>::uninit();
    let mut size = size_of::<libc::ucred>() as socklen_t;
    // SAFETY: getsockopt writes at most `size` bytes to a pointer to as many.
    let done = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            credentials.as_mut_ptr().cast::<c_void>(),
            &raw mut size,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so the kernel has written a whole ucred.
    Ok(unsafe { credentials.assume_init() }.uid)
}
