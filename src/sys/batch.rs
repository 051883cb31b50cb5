//! Receiving and sending datagrams in batches: recvmmsg(2) and sendmmsg(2).

use std::io;
use std::iter;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_uint, socklen_t};

use super::address::{Address, NAME_SIZE, NameBuffer, parse_name};
use super::control::{CONTROL_SIZE, ControlBuffer, read_controls, write_controls};

/// One arrival: a datagram, or several that the kernel has joined.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its bytes. An arrival longer than a buffer is cut to its size.
    pub bytes: &'a [u8],
    /// Size of the datagrams that the kernel has joined, of which the last may be shorter. `None` for a
    /// single datagram; see [`enable_gro`](super::enable_gro).
    pub segment: Option<u16>,
    /// The sender.
    pub remote: SocketAddr,
    /// The local address that it was sent to; see [`enable_packet_info`](super::enable_packet_info).
    pub local: Option<IpAddr>,
    /// Number of datagrams that the kernel has dropped on this socket, modulo 2^32. `None` if it has
    /// dropped none; see [`enable_overflow_count`](super::enable_overflow_count).
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

/// Limit for the bytes of an arrival, which may be many datagrams; see [`enable_gro`](super::enable_gro). It is a little more
/// than IP allows, because buffers at distances of a power of two compete for the same cache lines.
pub const MAX_ARRIVAL: usize = (1 << 16) + 64;

/// Limit for the messages of one call. The kernel's own limit is 1,024 (`UIO_MAXIOV`), but above a few
/// dozen the cost of the call itself no longer matters.
pub const BATCH: usize = 64;

/// Limit for the datagrams that the kernel cuts one message into (`UDP_MAX_SEGMENTS`; it was 64 when the
/// option was added, in Linux 4.18).
pub const MAX_SEGMENTS: usize = 64;

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
