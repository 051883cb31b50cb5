//! The system calls that std, mio and socket2 lack, and all of this crate's `unsafe`.
//!
//! Three things: datagrams that know which of our addresses they came to and leave from (`IP_PKTINFO`
//! and `IPV6_PKTINFO`, ip(7) and ipv6(7)), the count of datagrams that the kernel dropped
//! (`SO_RXQ_OVFL`, socket(7)), and the limit of open descriptors (getrlimit(2)). Every function is
//! safe to call and turns errno into an [`io::Error`]; what an error means is decided by the caller.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};

/// A socket address as the kernel takes it, stored ready for the call.
#[derive(Clone, Copy)]
pub enum Address {
    /// `struct sockaddr_in`, ip(7).
    V4(libc::sockaddr_in),
    /// `struct sockaddr_in6`, ipv6(7).
    V6(libc::sockaddr_in6),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: in_addr(*v4.ip()),
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => Self::V6(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            }),
        }
    }
}

impl Address {
    fn as_raw(&self) -> (*const c_void, socklen_t) {
        match self {
            Self::V4(v4) => (ptr::from_ref(v4).cast(), size_of_val(v4) as socklen_t),
            Self::V6(v6) => (ptr::from_ref(v6).cast(), size_of_val(v6) as socklen_t),
        }
    }
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    // `s_addr` is in network order: its bytes in memory are those of the address.
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

/// One received datagram.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its bytes, at the beginning of the buffer. A longer datagram is cut to the buffer's size.
    pub size: usize,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Whom of us it was sent to, if the socket was asked to tell.
    pub local: Option<IpAddr>,
    /// How many datagrams the kernel has dropped on this socket before, counted modulo 2^32, if it
    /// has dropped any.
    pub overflow: Option<u32>,
}

/// Room for the largest socket address that we can meet, aligned for any.
#[repr(C, align(8))]
struct NameBuffer([u8; NAME_SIZE]);

const NAME_SIZE: usize = size_of::<libc::sockaddr_in6>();

/// Room for control messages in both directions: a packet info and an overflow count need 64 bytes.
#[repr(C, align(8))]
struct ControlBuffer([u8; 128]);

/// Receives one datagram into `buffer`. It may be empty: that is a datagram too.
///
/// # Errors
/// `WouldBlock` when there is none; else what recvmsg(2) says, which includes errors that earlier
/// datagrams of ours have met on their way.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Arrival> {
    let mut name = NameBuffer([0; _]);
    let mut control = ControlBuffer([0; _]);
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = empty_message();
    message.msg_name = name.0.as_mut_ptr().cast();
    message.msg_namelen = NAME_SIZE as socklen_t;
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = size_of::<ControlBuffer>() as _;
    // SAFETY: `message` points at a name, a piece and a control buffer that live until the end of
    // this function, with their true sizes, and nothing else reads or writes them meanwhile.
    let size = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    let size = usize::try_from(size).map_err(|_| io::Error::last_os_error())?;
    let (local, overflow) = read_control(&message);
    let remote = parse_name(&name.0).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Arrival { size, remote, local, overflow })
}

/// Sends one datagram, from `local` where the socket has more addresses than one.
///
/// # Errors
/// `WouldBlock` when the socket's buffer is full; else what sendmsg(2) says, which includes errors
/// that earlier datagrams have met.
pub fn send(
    fd: BorrowedFd<'_>,
    bytes: &[u8],
    to: &Address,
    local: Option<IpAddr>,
) -> io::Result<()> {
    let (name, name_size) = to.as_raw();
    let mut control = ControlBuffer([0; _]);
    // The kernel only reads what is sent; the type has no const.
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = empty_message();
    message.msg_name = name.cast_mut();
    message.msg_namelen = name_size;
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    if let Some(local) = local {
        write_source(&mut message, &mut control, local);
    }
    // SAFETY: `message` points at an address, bytes and a control buffer that live until the end of
    // this function, with their true sizes; sendmsg only reads them.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn empty_message() -> libc::msghdr {
    // SAFETY: a msghdr is integers and pointers, for which zero is a value: nothing to point at. It
    // can't be written as a literal because some C libraries have private padding in it.
    unsafe { mem::zeroed() }
}

/// Reads a socket address as the kernel wrote it: family in host order, port and address in network
/// order, at the offsets of ip(7) and ipv6(7).
fn parse_name(name: &[u8; NAME_SIZE]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes([name[0], name[1]]);
    let port = u16::from_be_bytes([name[2], name[3]]);
    match c_int::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*name[4..].first_chunk::<4>()?);
            Some(SocketAddrV4::new(ip, port).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*name[8..].first_chunk::<16>()?);
            let scope = u32::from_ne_bytes(*name[24..].first_chunk::<4>()?);
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

/// The address that a received message was sent to and the kernel's count of dropped ones.
fn read_control(message: &libc::msghdr) -> (Option<IpAddr>, Option<u32>) {
    let (mut local, mut overflow) = (None, None);
    // SAFETY: recvmsg has filled in `message`, whose control buffer is aligned for a header and
    // still alive; the CMSG macros stay within `msg_controllen`, which the kernel has set.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros give a header within the control buffer or null. Its data is of the
        // type that its level and type say, and is read without a demand on its alignment.
        unsafe {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    local = Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    overflow = Some(data.cast::<u32>().read_unaligned());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    (local, overflow)
}

/// Says that a message is to leave from `local`.
fn write_source(message: &mut libc::msghdr, control: &mut ControlBuffer, local: IpAddr) {
    match local {
        IpAddr::V4(ip) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr(ip),
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            write_control(message, control, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        IpAddr::V6(ip) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            write_control(message, control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
}

/// Writes one control message into `control` and points `message` at it.
fn write_control<T: Copy>(
    message: &mut libc::msghdr,
    control: &mut ControlBuffer,
    level: c_int,
    kind: c_int,
    data: T,
) {
    let size = size_of::<T>() as u32;
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    assert!(space as usize <= size_of::<ControlBuffer>());
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = space as _;
    // SAFETY: the control buffer is aligned for a header, zeroed, and large enough for one with its
    // data, as was just asserted, so the first header is in it and so is its data.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(data);
    }
}

/// Asks that received datagrams tell which of our addresses they were sent to.
///
/// # Errors
/// What setsockopt(2) says.
pub fn enable_packet_info(fd: BorrowedFd<'_>, address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(_) => set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        IpAddr::V6(_) => set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Asks that received datagrams tell how many the kernel has dropped.
///
/// # Errors
/// What setsockopt(2) says.
pub fn enable_overflow_count(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)
}

/// Asks for socket buffers of `bytes` each way, beyond the system's limit (`net.core.rmem_max`) if
/// the process has the right (`CAP_NET_ADMIN`). The kernel gives what it wants: see socket(7).
pub fn request_buffers(fd: BorrowedFd<'_>, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let ways = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (forced, asked) in ways {
        // What was granted is read back by the caller: a refusal is seen there.
        if set_option(fd, libc::SOL_SOCKET, forced, bytes).is_err() {
            let _ = set_option(fd, libc::SOL_SOCKET, asked, bytes);
        }
    }
}

fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let size = size_of::<c_int>() as socklen_t;
    // SAFETY: the value is an int that lives through the call, and its size is given.
    let done =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Raises this process's limit of open descriptors to what it may have, and gives that number.
///
/// # Errors
/// What getrlimit(2) or setrlimit(2) say.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: getrlimit writes a whole rlimit to the place that it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: getrlimit has succeeded, so the limit is written.
    let mut limit = unsafe { limit.assume_init() };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: setrlimit reads the rlimit that it is given, which lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("a free port");
        socket.set_nonblocking(true).expect("non-blocking");
        socket
    }

    /// Receives one datagram that must be there already: loopback delivers in the send call.
    fn arrival(socket: &UdpSocket) -> (Arrival, Vec<u8>) {
        let mut buffer = [0; 16];
        let arrival = receive(socket.as_fd(), &mut buffer).expect("a datagram");
        let bytes = buffer[..arrival.size].to_vec();
        (arrival, bytes)
    }

    #[test]
    fn d7_a_wildcard_socket_learns_whom_it_was_spoken_to_and_answers_from_there() {
        let server = socket("0.0.0.0:0");
        enable_packet_info(server.as_fd(), Ipv4Addr::UNSPECIFIED.into()).expect("packet info");
        let client = socket("127.0.0.1:0");
        let port = server.local_addr().expect("an address").port();
        client.connect(("127.0.0.2", port)).expect("a route");
        client.send(b"hello").expect("sent");
        let (arrival_at_server, bytes) = arrival(&server);
        assert_eq!(bytes, b"hello");
        assert_eq!(arrival_at_server.remote, client.local_addr().expect("an address"));
        let local = arrival_at_server.local;
        assert_eq!(local, Some(Ipv4Addr::new(127, 0, 0, 2).into()));
        // A connected socket hears only the address that it is connected to.
        send(server.as_fd(), b"back", &arrival_at_server.remote.into(), local).expect("sent");
        assert_eq!(arrival(&client).1, b"back");
    }

    #[test]
    fn d7_the_same_with_ipv6() {
        let server = socket("[::]:0");
        enable_packet_info(server.as_fd(), Ipv6Addr::UNSPECIFIED.into()).expect("packet info");
        let client = socket("[::1]:0");
        client.connect(("::1", server.local_addr().expect("an address").port())).expect("a route");
        client.send(b"hello").expect("sent");
        let (at_server, _) = arrival(&server);
        assert_eq!(at_server.local, Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(at_server.remote, client.local_addr().expect("an address"));
        send(server.as_fd(), b"back", &at_server.remote.into(), at_server.local).expect("sent");
        assert_eq!(arrival(&client).1, b"back");
    }

    #[test]
    fn d1_an_empty_datagram_is_a_datagram() {
        let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let to = b.local_addr().expect("an address").into();
        send(a.as_fd(), b"", &to, None).expect("sent");
        let (arrival, bytes) = arrival(&b);
        assert_eq!((arrival.size, bytes, arrival.local), (0, vec![], None));
        let nothing = receive(b.as_fd(), &mut [0; 1]).expect_err("no more");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_kernels_drops_are_counted() {
        let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        enable_overflow_count(b.as_fd()).expect("the option");
        set_option(b.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).expect("the least there is");
        let to = b.local_addr().expect("an address").into();
        for _ in 0..100 {
            send(a.as_fd(), &[0; 1000], &to, None).expect("sent");
        }
        let mut buffer = [0; 1000];
        let mut received = 0;
        while receive(b.as_fd(), &mut buffer).is_ok() {
            received += 1;
        }
        send(a.as_fd(), b"x", &to, None).expect("sent");
        assert_eq!(arrival(&b).0.overflow, Some(100 - received));
    }

    #[test]
    fn the_descriptor_limit_is_the_hard_one() {
        let limit = raise_descriptor_limit().expect("a limit");
        assert_eq!(raise_descriptor_limit().expect("a limit"), limit);
        assert!(limit > 0);
    }
}
