//! The system calls that std, mio and socket2 lack, and all of this crate's `unsafe`.
//!
//! In this order:
//!
//! - socket addresses in the kernel's format;
//! - receiving datagrams in batches (recvmmsg(2));
//! - sending datagrams in batches (sendmmsg(2));
//! - control messages: local addresses (`IP_PKTINFO`, ip(7), and `IPV6_PKTINFO`, ipv6(7)), segments
//!   (`UDP_SEGMENT` and `UDP_GRO`, udp(7)), and dropped datagrams (`SO_RXQ_OVFL`, socket(7));
//! - options and state of sockets, and the user at the other end (`SO_PEERCRED`, unix(7));
//! - the limit of open descriptors (getrlimit(2));
//! - permission to change a directory (access(2));
//! - the monotonic clock (clock_gettime(2));
//! - ignored signals (sigaction(2)).
//!
//! Every function is safe to call and turns errno into an [`io::Error`]. The caller decides what an
//! error means.
#![allow(
    unsafe_code,
    reason = "these calls have no safe form in std or mio; each block says why it is sound"
)]

use std::ffi::CString;
use std::io;
use std::iter;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use libc::{c_int, c_uint, c_void, socklen_t};

/// A socket address in the kernel's format, ready for a call.
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

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.to_socket_addr() == other.to_socket_addr()
    }
}

impl Address {
    /// Returns the address in the format of std.
    pub fn to_socket_addr(self) -> SocketAddr {
        match self {
            Self::V4(v4) => {
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into()
            }
            Self::V6(v6) => {
                let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
                SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into()
            }
        }
    }

    fn as_raw(&self) -> (*const c_void, socklen_t) {
        match self {
            Self::V4(v4) => (ptr::from_ref(v4).cast(), size_of_val(v4) as socklen_t),
            Self::V6(v6) => (ptr::from_ref(v6).cast(), size_of_val(v6) as socklen_t),
        }
    }
}

fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    // `s_addr` is in network order, so its bytes in memory are those of the address.
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

/// One arrival: a datagram, or several that the kernel has joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its bytes. An arrival longer than a buffer is cut to its size.
    pub bytes: &'a [u8],
    /// Size of the datagrams that the kernel has joined, of which the last may be shorter. `None` for a
    /// single datagram; see [`enable_gro`].
    pub segment: Option<u16>,
    /// The sender.
    pub remote: SocketAddr,
    /// The local address that it was sent to; see [`enable_packet_info`].
    pub local: Option<IpAddr>,
    /// Number of datagrams that the kernel has dropped on this socket, modulo 2^32. `None` if it has
    /// dropped none; see [`enable_overflow_count`].
    pub overflow: Option<u32>,
}

impl<'a> Arrival<'a> {
    /// Returns its datagrams.
    pub fn datagrams(self) -> impl Iterator<Item = &'a [u8]> {
        // An empty datagram counts too, but `chunks` would skip it.
        let size = self.segment.map_or(usize::MAX, usize::from).max(1);
        let (first, others) = self.bytes.split_at(size.min(self.bytes.len()));
        iter::once(first).chain(others.chunks(size))
    }
}

/// Limit for the bytes of an arrival, which may be many datagrams; see [`enable_gro`]. It is a little more
/// than IP allows, because buffers at distances of a power of two compete for the same cache lines.
pub const MAX_ARRIVAL: usize = (1 << 16) + 64;

/// Limit for the messages of one call. The kernel's own limit is 1,024 (`UIO_MAXIOV`), but above a few
/// dozen the cost of the call itself no longer matters.
pub const BATCH: usize = 64;

/// Limit for the datagrams that the kernel cuts one message into (`UDP_MAX_SEGMENTS`; it was 64 when the
/// option was added, in Linux 4.18).
pub const MAX_SEGMENTS: usize = 64;

/// Space for the largest socket address that can occur, aligned for any.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct NameBuffer([u8; NAME_SIZE]);

const NAME_SIZE: usize = size_of::<libc::sockaddr_in6>();

/// Space for control messages in both directions: at most a packet info, an overflow count and a segment
/// size, which take 40 bytes and twice 24.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct ControlBuffer([u8; CONTROL_SIZE]);

const CONTROL_SIZE: usize = 88;

/// Up to [`BATCH`] received datagrams.
pub struct ReceiveBatch {
    headers: Vec<libc::mmsghdr>,
    names: Vec<NameBuffer>,
    controls: Vec<ControlBuffer>,
    bytes: Vec<u8>,
    size: usize,
    filled: usize,
}

impl ReceiveBatch {
    /// Creates buffers for [`BATCH`] datagrams of `size` bytes each.
    pub fn new(size: usize) -> Self {
        Self::with_count(size, BATCH)
    }

    /// Creates buffers for `count` datagrams, at most [`BATCH`], of `size` bytes each.
    pub fn with_count(size: usize, count: usize) -> Self {
        let count = count.min(BATCH);
        Self {
            headers: vec![empty_header(); count],
            names: vec![NameBuffer([0; _]); count],
            controls: vec![ControlBuffer([0; _]); count],
            bytes: vec![0; size * count],
            size,
            filled: 0,
        }
    }

    /// Receives up to `max` datagrams, and returns their number. Empty ones count.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; otherwise as recvmmsg(2), including errors about datagrams sent
    /// earlier.
    pub fn receive(&mut self, fd: BorrowedFd<'_>, max: usize) -> io::Result<usize> {
        let max = max.min(self.headers.len());
        self.filled = 0;
        let mut pieces = [EMPTY_PIECE; BATCH];
        let places = self.names.iter_mut().zip(&mut self.controls).zip(&mut pieces);
        let buffers = places.zip(self.bytes.chunks_exact_mut(self.size));
        for (header, (((name, control), piece), buffer)) in
            self.headers.iter_mut().zip(buffers).take(max)
        {
            *piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut header.msg_hdr;
            header.msg_name = name.0.as_mut_ptr().cast();
            header.msg_namelen = NAME_SIZE as socklen_t;
            header.msg_iov = ptr::from_mut(piece);
            header.msg_iovlen = 1;
            header.msg_control = control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_SIZE as _;
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: each of the first `max` headers points at its own name, piece, control buffer and
        // bytes, with their true sizes. They live at least until the end of this function, and
        // nothing else reads or writes them meanwhile. No timeout is passed.
        let count =
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers, max as c_uint, 0, ptr::null_mut()) };
        self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// Returns the arrivals of the last [`ReceiveBatch::receive`]. One without a valid sender, which the
    /// kernel never produces, is left out.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        (0..self.filled).filter_map(|index| {
            let header = &self.headers[index];
            let start = index * self.size;
            let control = read_controls(&header.msg_hdr);
            Some(Arrival {
                bytes: &self.bytes[start..start + (header.msg_len as usize).min(self.size)],
                segment: control.segment,
                remote: parse_name(&self.names[index].0)?,
                local: control.local,
                overflow: control.overflow,
            })
        })
    }
}

/// One message to send: one datagram, or several of one size, of which the last may be shorter.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// The destination.
    pub to: &'a Address,
    /// The local address to send from, if the socket has more than one.
    pub local: Option<IpAddr>,
    /// Its bytes: ranges, as start and end, in the bytes passed to [`SendBatch::send`].
    pub pieces: &'a [(u32, u32)],
    /// Size of the datagrams that the kernel cuts it into (`UDP_SEGMENT`, udp(7)).
    pub segment: Option<u16>,
}

/// Buffers for sending up to [`BATCH`] messages.
pub struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    controls: Vec<ControlBuffer>,
    pieces: Vec<libc::iovec>,
}

impl SendBatch {
    /// Creates the buffers.
    pub fn new() -> Self {
        Self {
            headers: vec![empty_header(); BATCH],
            controls: vec![ControlBuffer([0; _]); BATCH],
            pieces: Vec::with_capacity(BATCH),
        }
    }

    /// Sends up to [`BATCH`] messages in order, and returns the number that the kernel took. If it took
    /// fewer, the next message met an error; a call that starts with this message reports the error.
    ///
    /// # Errors
    /// If the first message cannot be sent: `WouldBlock` if the send buffer is full; otherwise as
    /// sendmmsg(2), including errors about earlier datagrams.
    pub fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>> + Clone,
    ) -> io::Result<usize> {
        self.gather(bytes, messages.clone().take(BATCH));
        let mut count = 0;
        let mut rest = &mut self.pieces[..];
        let places = self.headers.iter_mut().zip(&mut self.controls);
        for (message, (header, control)) in messages.zip(places) {
            let (pieces, others) = rest.split_at_mut(message.pieces.len());
            rest = others;
            let header = &mut header.msg_hdr;
            let (name, name_size) = message.to.as_raw();
            header.msg_name = name.cast_mut();
            header.msg_namelen = name_size;
            header.msg_iov = pieces.as_mut_ptr();
            header.msg_iovlen = pieces.len() as _;
            write_controls(header, control, message.local, message.segment);
            count += 1;
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: the first `count` headers point at addresses, pieces and control buffers, with their
        // true sizes, that are borrowed or owned until the end of this function. The pieces point
        // at bytes that are borrowed as long. sendmmsg writes to nothing but the headers.
        let sent =
            unsafe { libc::sendmmsg(fd.as_raw_fd(), headers, count as c_uint, libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Collects the pieces of all messages.
    fn gather<'a>(&mut self, bytes: &[u8], messages: impl Iterator<Item = Outgoing<'a>>) {
        self.pieces.clear();
        for (start, end) in messages.flat_map(|message| message.pieces) {
            let piece = &bytes[*start as usize..*end as usize];
            // The kernel only reads these bytes, but the type has no const form.
            let base = piece.as_ptr().cast_mut().cast();
            self.pieces.push(libc::iovec { iov_base: base, iov_len: piece.len() });
        }
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

const EMPTY_PIECE: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

fn empty_header() -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: empty_message(), msg_len: 0 }
}

fn empty_message() -> libc::msghdr {
    // SAFETY: a msghdr consists of integers and pointers, for which zero is a valid value. A literal is not
    // possible because some C libraries have private padding in it.
    unsafe { mem::zeroed() }
}

/// Parses a socket address in the kernel's format: family in host order, port and address in network
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

/// The control messages of an arrival. The kernel sends each kind only if its option is set.
#[derive(Default)]
struct Controls {
    local: Option<IpAddr>,
    overflow: Option<u32>,
    segment: Option<u16>,
}

fn read_controls(message: &libc::msghdr) -> Controls {
    let mut controls = Controls::default();
    // SAFETY: recvmmsg has filled in `message`, whose control buffer is aligned for a header and still
    // alive. The CMSG macros stay within `msg_controllen`, which the kernel has set.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros return null or a header within the control buffer. The data has the type that
        // belongs to its level and type, and is read without assuming an alignment.
        unsafe {
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    controls.local = read_data::<libc::in_pktinfo>(header)
                        .map(|info| Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    controls.local = read_data::<libc::in6_pktinfo>(header)
                        .map(|info| Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    controls.overflow = read_data::<u32>(header)
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    controls.segment =
                        read_data::<c_int>(header).and_then(|size| u16::try_from(size).ok());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    controls
}

/// Returns the data of a control message, unless the kernel has cut it.
///
/// # Safety
/// `header` must belong to a control message in a live buffer, of a type whose data is a `T`, and `T` must
/// be plain data.
unsafe fn read_data<T: Copy>(header: *const libc::cmsghdr) -> Option<T> {
    // SAFETY: CMSG_LEN only computes, the caller promises the rest, and the header's length is checked
    // before the data is read.
    unsafe {
        let size = libc::CMSG_LEN(size_of::<T>() as u32);
        let is_whole = (*header).cmsg_len >= size as _;
        is_whole.then(|| libc::CMSG_DATA(header).cast::<T>().read_unaligned())
    }
}

/// Writes the control messages for the local address and the segment size of a message.
fn write_controls(
    message: &mut libc::msghdr,
    control: &mut ControlBuffer,
    local: Option<IpAddr>,
    segment: Option<u16>,
) {
    let mut used = 0;
    match local {
        Some(IpAddr::V4(ip)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr(ip),
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            used += write_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(ip)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            used += write_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if let Some(segment) = segment {
        used += write_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
    }
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = used as _;
}

/// Writes one control message to `control` at `start`, and returns its size.
fn write_control<T: Copy>(
    control: &mut ControlBuffer,
    start: usize,
    level: c_int,
    kind: c_int,
    data: T,
) -> usize {
    let size = size_of::<T>() as u32;
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, length) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    let place = &mut control.0[start..start + space as usize];
    let header = place.as_mut_ptr().cast::<libc::cmsghdr>();
    // SAFETY: `place` has CMSG_SPACE bytes, so a header with this data and its padding fits. The buffer
    // is aligned to 8 bytes and every CMSG_SPACE is a multiple of 8, so `place` is aligned for a header.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(data);
    }
    space as usize
}

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

fn set_option(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
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

/// Raises this process's limit of open descriptors to its hard limit, and returns that.
///
/// # Errors
/// If getrlimit(2) or setrlimit(2) fails.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: getrlimit writes a whole rlimit to the pointer that it is given.
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

/// Returns the time of the monotonic clock. std's `Instant` does not reveal it.
pub fn monotonic_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: clock_gettime writes a whole timespec to the pointer that it is given.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) } < 0 {
        // Every Linux has this clock.
        return Duration::ZERO;
    }
    // SAFETY: the call has succeeded, so the time is written.
    let time = unsafe { time.assume_init() };
    // The kernel's seconds are never negative, and its nanoseconds are below a second.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Checks that this process may make, replace and remove files in a directory. Writes nothing.
///
/// # Errors
/// If it may not, or if the file system is read-only, or there is no such directory (access(2)).
pub fn may_change(directory: &Path) -> io::Result<()> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mode = libc::W_OK | libc::X_OK;
    // SAFETY: the path ends with a zero byte and lives through the call.
    let result = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ignores a signal from now on.
///
/// # Errors
/// If sigaction(2) fails.
pub fn ignore_signal(signal: c_int) -> io::Result<()> {
    // SAFETY: a sigaction consists of integers, a set of signals and an optional function, for which zero
    // is a valid value: no flags, no signals, no function.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: sigaction reads the action, which lives through the call, and returns no old action. An
    // ignored signal runs no code of ours.
    let done = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns true if a signal is ignored. A process can inherit that.
///
/// # Errors
/// If sigaction(2) fails.
pub fn is_ignored(signal: c_int) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction writes the whole old one to the pointer that it is given.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction has succeeded, so the action is written.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
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

    /// Receives all datagrams. Loopback delivers them in the send call.
    fn received(socket: &UdpSocket) -> ReceiveBatch {
        let mut batch = ReceiveBatch::new(16);
        batch.receive(socket.as_fd(), BATCH).expect("datagrams");
        batch
    }

    fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr, local: Option<IpAddr>) {
        let to = Address::from(to);
        let pieces = [(0, bytes.len() as u32)];
        let message = Outgoing { to: &to, local, pieces: &pieces, segment: None };
        let sent = SendBatch::new().send(socket.as_fd(), bytes, [message].into_iter());
        assert_eq!(sent.expect("sent"), 1);
    }

    fn address(socket: &UdpSocket) -> SocketAddr {
        socket.local_addr().expect("an address")
    }

    /// A client sends to one address of a wildcard socket, which must reply from that address.
    fn check_reply_address(wildcard: &str, client: &str, local: IpAddr) {
        let server = socket(wildcard);
        enable_packet_info(server.as_fd(), address(&server).ip()).expect("packet info");
        let client = socket(client);
        client.connect((local, address(&server).port())).expect("a route");
        client.send(b"hello").expect("sent");
        let batch = received(&server);
        let arrival = batch.arrivals().next().expect("one");
        assert_eq!((arrival.bytes, arrival.remote), (&b"hello"[..], address(&client)));
        assert_eq!(arrival.local, Some(local));
        // A connected socket receives only from the address that it is connected to.
        send(&server, b"back", arrival.remote, arrival.local);
        assert_eq!(received(&client).arrivals().next().expect("one").bytes, b"back");
    }

    #[test]
    fn d7_wildcard_replies_from_right_ip() {
        let local = Ipv4Addr::new(127, 0, 0, 2).into();
        check_reply_address("0.0.0.0:0", "127.0.0.1:0", local);
        check_reply_address("[::]:0", "[::1]:0", Ipv6Addr::LOCALHOST.into());
    }

    #[test]
    fn d1_empty_datagram_is_a_datagram() {
        let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        for bytes in [&b""[..], b"x", b""] {
            send(&a, bytes, address(&b), None);
        }
        let batch = received(&b);
        let all: Vec<&[u8]> = batch.arrivals().map(|arrival| arrival.bytes).collect();
        assert_eq!(all, [&b""[..], b"x", b""]);
        let nothing = ReceiveBatch::new(16).receive(b.as_fd(), BATCH).expect_err("no more");
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn message_is_gathered_and_segmented() {
        let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let to = Address::from(address(&b));
        let pieces = [(0, 4), (6, 9)];
        let message = Outgoing { to: &to, local: None, pieces: &pieces, segment: Some(2) };
        let sent = SendBatch::new().send(a.as_fd(), b"aabb__ccd", [message].into_iter());
        assert_eq!(sent.expect("sent"), 1);
        let batch = received(&b);
        let all: Vec<&[u8]> = batch.arrivals().map(|arrival| arrival.bytes).collect();
        assert_eq!(all, [&b"aa"[..], b"bb", b"cc", b"d"]);
    }

    #[test]
    fn gro_joins_segments() {
        let (a, b) = (socket("[::]:0"), socket("[::1]:0"));
        enable_gro(b.as_fd()).expect("the option");
        enable_packet_info(b.as_fd(), address(&b).ip()).expect("packet info");
        let to = Address::from(address(&b));
        let pieces = [(0, 5)];
        let message = Outgoing { to: &to, local: None, pieces: &pieces, segment: Some(2) };
        let sent = SendBatch::new().send(a.as_fd(), b"aabbc", [message].into_iter());
        assert_eq!(sent.expect("sent"), 1);
        let batch = received(&b);
        let all: Vec<_> = batch.arrivals().map(|one| (one.bytes, one.segment)).collect();
        assert_eq!(all, [(&b"aabbc"[..], Some(2))]);
        let local = batch.arrivals().next().expect("one").local;
        assert_eq!(local, Some(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn kernel_drops_are_counted() {
        let (a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        enable_overflow_count(b.as_fd()).expect("the option");
        set_option(b.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, 1).expect("the least there is");
        for _ in 0..100 {
            send(&a, &[0; 1000], address(&b), None);
        }
        let mut batch = ReceiveBatch::new(1000);
        let mut received = 0;
        while let Ok(count) = batch.receive(b.as_fd(), BATCH) {
            received += count as u32;
        }
        send(&a, b"x", address(&b), None);
        batch.receive(b.as_fd(), 1).expect("one");
        assert_eq!(batch.arrivals().next().expect("one").overflow, Some(100 - received));
    }

    #[test]
    fn descriptor_limit_is_the_hard_one() {
        let limit = raise_descriptor_limit().expect("a limit");
        assert_eq!(raise_descriptor_limit().expect("a limit"), limit);
        assert!(limit > 0);
    }
}
