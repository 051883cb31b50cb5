//! The system calls that std, mio and socket2 lack, and all of this crate's `unsafe`.
//!
//! Four things: batches of datagrams (recvmmsg(2), sendmmsg(2)) that know which of our addresses
//! they came to and leave from (`IP_PKTINFO` and `IPV6_PKTINFO`, ip(7) and ipv6(7)) and that the
//! kernel cuts up (`UDP_SEGMENT`, udp(7)) or puts together (`UDP_GRO`, likewise); the count of
//! datagrams that the kernel dropped (`SO_RXQ_OVFL`, socket(7)); the limit of open descriptors
//! (getrlimit(2)); and signals that are ignored (sigaction(2)). Every function is safe to call and
//! turns errno into an [`io::Error`]; what an error means is decided by the caller.
#![allow(
    unsafe_code,
    reason = "these calls have no safe form in std or mio; each block says why it is sound"
)]

use std::io;
use std::iter;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, c_uint, c_void, socklen_t};

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

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.to_socket_addr() == other.to_socket_addr()
    }
}

impl Address {
    /// The same as std has it.
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
    // `s_addr` is in network order: its bytes in memory are those of the address.
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

/// One received datagram.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its bytes. A datagram longer than the buffers is cut to their size.
    pub bytes: &'a [u8],
    /// The size of the datagrams that the kernel put together to this one, of which the last may be
    /// shorter, where the socket has asked for that: see [`enable_gro`].
    pub segment: Option<u16>,
    /// Who sent it.
    pub remote: SocketAddr,
    /// Whom of us it was sent to, if the socket was asked to tell.
    pub local: Option<IpAddr>,
    /// How many datagrams the kernel has dropped on this socket before, counted modulo 2^32, if it
    /// has dropped any.
    pub overflow: Option<u32>,
}

impl<'a> Arrival<'a> {
    /// Its datagrams, one unless the kernel has put several together.
    pub fn datagrams(self) -> impl Iterator<Item = &'a [u8]> {
        // The first may be empty, and is one all the same.
        let size = self.segment.map_or(usize::MAX, usize::from).max(1);
        let (first, others) = self.bytes.split_at(size.min(self.bytes.len()));
        iter::once(first).chain(others.chunks(size))
    }
}

/// The most bytes that arrive at once: with [`enable_gro`] they are many datagrams. A little more
/// than IP allows: buffers whose distance is a power of two are in each other's way in the cache.
pub const MAX_ARRIVAL: usize = (1 << 16) + 64;

/// Messages in one call, either way. The kernel's own limit is 1,024 (`UIO_MAXIOV`); beyond a few
/// dozen the call itself is no longer what costs.
pub const BATCH: usize = 64;

/// Datagrams of one message that the kernel cuts up itself (`UDP_MAX_SEGMENTS` was 64 when the
/// option came, in Linux 4.18).
pub const MAX_SEGMENTS: usize = 64;

/// Room for the largest socket address that we can meet, aligned for any.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct NameBuffer([u8; NAME_SIZE]);

const NAME_SIZE: usize = size_of::<libc::sockaddr_in6>();

/// Room for control messages in both directions: the most are a packet info, an overflow count and a
/// segment size, 40 and twice 24 bytes.
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
    /// Buffers of `size` bytes a datagram.
    pub fn new(size: usize) -> Self {
        Self::with_count(size, BATCH)
    }

    /// Buffers for `count` datagrams, at most [`BATCH`], of `size` bytes each.
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

    /// Receives up to `max` datagrams, and gives how many. Empty ones count.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; else what recvmmsg(2) says, which includes errors that
    /// earlier datagrams of ours have met on their way.
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
        // SAFETY: the first `max` headers point at names, pieces, control buffers and bytes that
        // live until the end of this function at least, with their true sizes, each header at its
        // own; nothing else reads or writes them meanwhile. No timeout is passed.
        let count =
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers, max as c_uint, 0, ptr::null_mut()) };
        self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// The datagrams of the last [`ReceiveBatch::receive`]. One whose sender can't be told, which
    /// the kernel does not do, is left out.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        (0..self.filled).filter_map(|index| {
            let header = &self.headers[index];
            let start = index * self.size;
            let told = read_control(&header.msg_hdr);
            Some(Arrival {
                bytes: &self.bytes[start..start + (header.msg_len as usize).min(self.size)],
                segment: told.segment,
                remote: parse_name(&self.names[index].0)?,
                local: told.local,
                overflow: told.overflow,
            })
        })
    }
}

/// One message to send: one datagram, or several of one size, of which the last may be shorter.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// To whom.
    pub to: &'a Address,
    /// From which of our addresses, where the socket has more than one.
    pub local: Option<IpAddr>,
    /// Where its bytes are, among those given to [`SendBatch::send`]: starts and ends.
    pub pieces: &'a [(u32, u32)],
    /// The size of the datagrams that the kernel is to cut it into (`UDP_SEGMENT`, udp(7)).
    pub segment: Option<u16>,
}

/// What a batch of messages is sent with.
pub struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    controls: Vec<ControlBuffer>,
    pieces: Vec<libc::iovec>,
}

impl SendBatch {
    /// Room for [`BATCH`] messages.
    pub fn new() -> Self {
        Self {
            headers: vec![empty_header(); BATCH],
            controls: vec![ControlBuffer([0; _]); BATCH],
            pieces: Vec::with_capacity(BATCH),
        }
    }

    /// Sends up to [`BATCH`] messages and gives how many the kernel took, in order. If that is fewer
    /// than there were, the next one met an error, which calling again with it first will tell.
    ///
    /// # Errors
    /// About the first message: `WouldBlock` when the socket's buffer is full; else what sendmmsg(2)
    /// says, which includes errors that earlier datagrams have met.
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
        // SAFETY: the first `count` headers point at addresses, pieces and control buffers that are
        // borrowed or owned here until the end of this function, with their true sizes, and the
        // pieces at bytes that are borrowed as long; sendmmsg writes to nothing but the headers.
        let sent =
            unsafe { libc::sendmmsg(fd.as_raw_fd(), headers, count as c_uint, libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl SendBatch {
    /// Collects where the bytes of all messages are.
    fn gather<'a>(&mut self, bytes: &[u8], messages: impl Iterator<Item = Outgoing<'a>>) {
        self.pieces.clear();
        for (start, end) in messages.flat_map(|message| message.pieces) {
            let piece = &bytes[*start as usize..*end as usize];
            // The kernel only reads what is sent; the type has no const.
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

/// What the kernel tells of a received message, each only if it was asked to.
#[derive(Default)]
struct Told {
    /// The address that it was sent to.
    local: Option<IpAddr>,
    /// The count of dropped ones.
    overflow: Option<u32>,
    /// The size of the datagrams in it.
    segment: Option<u16>,
}

fn read_control(message: &libc::msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: recvmsg has filled in `message`, whose control buffer is aligned for a header and
    // still alive; the CMSG macros stay within `msg_controllen`, which the kernel has set.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros give a header within the control buffer or null. Its data is of the
        // type that its level and type say, and is read without a demand on its alignment.
        unsafe {
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    told.local = read_data::<libc::in_pktinfo>(header)
                        .map(|info| Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    told.local = read_data::<libc::in6_pktinfo>(header)
                        .map(|info| Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => told.overflow = read_data::<u32>(header),
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    told.segment =
                        read_data::<c_int>(header).and_then(|size| u16::try_from(size).ok());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    told
}

/// The data of a control message, unless the kernel had to cut it short.
///
/// # Safety
/// `header` is that of a control message within a living buffer, of a type whose data is a `T`, which
/// is plain data.
unsafe fn read_data<T: Copy>(header: *const libc::cmsghdr) -> Option<T> {
    // SAFETY: CMSG_LEN only computes; the caller promises the rest, and the header's own length is
    // looked at before the data is.
    unsafe {
        let size = libc::CMSG_LEN(size_of::<T>() as u32);
        let is_whole = (*header).cmsg_len >= size as _;
        is_whole.then(|| libc::CMSG_DATA(header).cast::<T>().read_unaligned())
    }
}

/// Says from where a message is to leave and into what datagrams it is to be cut.
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

/// Writes one control message into `control` behind what is there, and gives how much it takes.
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
    // SAFETY: `place` is as large as a header with this data and its padding, CMSG_SPACE, and begins
    // at a multiple of 8, as the buffer and every CMSG_SPACE do, so it is aligned for a header.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = length as _;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(data);
    }
    space as usize
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

/// Asks that datagrams of one size from one sender which the kernel has together arrive as one, of up
/// to 64 KiB.
///
/// # Errors
/// What setsockopt(2) says.
pub fn enable_gro(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1)
}

/// Lets the routers of an IPv4 way cut up what does not fit it (`IP_PMTUDISC_OMIT`, ip(7)). Otherwise
/// the kernel finds out how much fits by losing a datagram, and believes whoever forges that news.
///
/// # Errors
/// What setsockopt(2) says.
pub fn let_routers_fragment(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
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

/// Ignores a signal from now on.
///
/// # Errors
/// If sigaction(2) fails.
pub fn ignore_signal(signal: c_int) -> io::Result<()> {
    // SAFETY: a sigaction is integers, a set of them and an optional function, for which zero is a
    // value: no flags, no signals, no function.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: sigaction reads the action, which lives through the call, and is not asked for the
    // old one. An ignored signal runs no code of ours.
    let done = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns true for a signal that is ignored, as it may have been from the start.
///
/// # Errors
/// If sigaction(2) fails.
pub fn is_ignored(signal: c_int) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action sigaction writes the old one, whole, to the place that it is
    // given.
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

    /// Receives what is there: loopback delivers in the send call.
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

    /// A wildcard socket hears from a client that speaks to `spoken_to`, and answers.
    fn answers_from_where_it_was_spoken_to(wildcard: &str, client: &str, spoken_to: IpAddr) {
        let server = socket(wildcard);
        enable_packet_info(server.as_fd(), address(&server).ip()).expect("packet info");
        let client = socket(client);
        client.connect((spoken_to, address(&server).port())).expect("a route");
        client.send(b"hello").expect("sent");
        let batch = received(&server);
        let arrival = batch.arrivals().next().expect("one");
        assert_eq!((arrival.bytes, arrival.remote), (&b"hello"[..], address(&client)));
        assert_eq!(arrival.local, Some(spoken_to));
        // A connected socket hears only the address that it is connected to.
        send(&server, b"back", arrival.remote, arrival.local);
        assert_eq!(received(&client).arrivals().next().expect("one").bytes, b"back");
    }

    #[test]
    fn d7_a_wildcard_socket_answers_from_the_address_that_was_spoken_to() {
        let spoken_to = Ipv4Addr::new(127, 0, 0, 2).into();
        answers_from_where_it_was_spoken_to("0.0.0.0:0", "127.0.0.1:0", spoken_to);
        answers_from_where_it_was_spoken_to("[::]:0", "[::1]:0", Ipv6Addr::LOCALHOST.into());
    }

    #[test]
    fn d1_an_empty_datagram_is_a_datagram() {
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
    fn one_message_is_gathered_and_cut_into_datagrams() {
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
    fn datagrams_that_were_cut_arrive_as_one_where_that_is_asked_for() {
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
    fn the_kernels_drops_are_counted() {
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
    fn the_descriptor_limit_is_the_hard_one() {
        let limit = raise_descriptor_limit().expect("a limit");
        assert_eq!(raise_descriptor_limit().expect("a limit"), limit);
        assert!(limit > 0);
    }
}
