//! One UDP socket, and what errno means on it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Type};

use super::batch::Batch;
use crate::address::Origin;
use crate::config::UDP_BUFFER;
use crate::sys::{self, Arrival, Outgoing};

/// Binds a UDP socket with the options that the server needs.
///
/// An IPv6 socket takes IPv6 only, so that `--bind 0.0.0.0 --bind ::` are two sockets that do not
/// get in each other's way, whatever `net.ipv6.bindv6only` says (ipv6(7)).
///
/// # Errors
/// If the address can't be bound, or the kernel lacks an option.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    match address {
        SocketAddr::V4(_) => sys::let_routers_fragment(socket.as_fd())?,
        // Routers of an IPv6 way may not, and the kernel has to find out.
        SocketAddr::V6(_) => socket.set_only_v6(true)?,
    }
    socket.set_nonblocking(true)?;
    sys::request_buffers(socket.as_fd(), UDP_BUFFER);
    sys::enable_overflow_count(socket.as_fd())?;
    if address.ip().is_unspecified() {
        sys::enable_packet_info(socket.as_fd(), address.ip())?;
    }
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Asks that datagrams of one size from one sender, which the kernel has together, arrive as one. Who
/// lets the kernel cut up what it sends would else send several times as fast as anyone can read, and
/// fill the one queue that all senders share.
pub(super) fn enable_gro(socket: &UdpSocket) {
    // A kernel before 5.0 lacks the option, and hands out one by one.
    let _ = sys::enable_gro(socket.as_fd());
}

/// What came of one receive call.
pub(super) enum ReceiveOutcome {
    /// One arrival or more.
    Received,
    /// Nothing for now: an event will tell.
    Drained,
    /// An error that is about an earlier datagram, or about nothing that we could mend. The socket
    /// goes on.
    Failed,
}

/// What came of one send call.
pub(super) enum SendOutcome {
    /// The kernel has so many messages.
    Sent(usize),
    /// The socket's buffer is full: an event will tell.
    Blocked,
    /// The first message can't be sent. The others can.
    Refused,
    /// The first message can't be sent in this form: the kernel has no way to cut it up, or the path
    /// no room for it (EINVAL, EIO or EMSGSIZE, by kernel and driver).
    Unfit,
}

/// A UDP socket with its remembered readiness.
pub(super) struct Socket {
    inner: UdpSocket,
    address: SocketAddr,
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// Upper bound of unread arrivals from before the last [`Socket::mark_unread`].
    pub(super) unread: usize,
    /// Number of arrivals that it has room for.
    capacity: usize,
    /// Bytes of the send buffer.
    send_buffer: usize,
    /// The kernel's count of dropped datagrams when it last told.
    overflow: u32,
}

/// The least that the kernel charges a receive buffer for an arrival: its record of it alone
/// (struct sk_buff and struct skb_shared_info) takes more.
const LEAST_CHARGE: usize = 512;

impl Socket {
    /// A socket counts as ready both ways until a call says otherwise.
    pub(super) fn new(inner: UdpSocket) -> io::Result<Self> {
        let (buffers, address) = (SockRef::from(&inner), inner.local_addr()?);
        log::info!(
            "udp {}: the kernel grants {} bytes of receive buffer and {} of send buffer",
            address,
            buffers.recv_buffer_size()?,
            buffers.send_buffer_size()?,
        );
        let send_buffer = buffers.send_buffer_size()?;
        let capacity = buffers.recv_buffer_size()? / LEAST_CHARGE + 1;
        Ok(Self {
            inner,
            address,
            is_readable: true,
            is_writable: true,
            unread: 0,
            capacity,
            send_buffer,
            overflow: 0,
        })
    }

    pub(super) fn inner_mut(&mut self) -> &mut UdpSocket {
        &mut self.inner
    }

    /// Starts to count reads down, until everything that has arrived by now was read.
    pub(super) fn mark_unread(&mut self) {
        self.unread = if self.is_readable { self.capacity } else { 0 };
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// Returns the number of bytes in use in the send buffer.
    pub(super) fn queued(&self) -> usize {
        sys::queued_bytes(self.inner.as_fd())
    }

    /// Whether datagrams to this peer come to this very socket. A wildcard socket has the address
    /// that the peer spoke to, and the whole loopback range.
    pub(super) fn is_at(&self, peer: &Origin) -> bool {
        let ip = peer.remote.ip();
        let is_own_ip = match self.address.ip() {
            own if own.is_unspecified() => peer.local == Some(ip) || ip.is_loopback(),
            own => own == ip,
        };
        is_own_ip && self.address.port() == peer.remote.port()
    }

    /// Receives up to `max` arrivals; `take` gets each, with how many the kernel dropped before it.
    pub(super) fn receive(
        &mut self,
        batch: &mut Batch,
        max: usize,
        mut take: impl FnMut(Arrival<'_>, u32),
    ) -> ReceiveOutcome {
        let overflow = &mut self.overflow;
        let outcome = batch.receive(&self.inner, max, |arrival| {
            let dropped = note_overflow(overflow, arrival.overflow);
            take(arrival, dropped);
        });
        match outcome {
            Ok(count) => {
                self.unread = self.unread.saturating_sub(count);
                ReceiveOutcome::Received
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (self.is_readable, self.unread) = (false, 0);
                ReceiveOutcome::Drained
            }
            Err(error) => {
                log::debug!("receiving datagrams: {error}");
                ReceiveOutcome::Failed
            }
        }
    }

    /// Sends messages whose pieces lie in `bytes`, in order, as many as one call takes.
    pub(super) fn send<'a>(
        &mut self,
        batch: &mut Batch,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>> + Clone,
    ) -> SendOutcome {
        if !self.is_writable {
            return SendOutcome::Blocked;
        }
        // An error may be the echo of an earlier datagram, to somebody else, which the kernel hands
        // to whoever calls next and then forgets: the second call is about this one (ip(7), IP_RECVERR).
        let outcome = match batch.send(&self.inner, bytes, messages.clone()) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                batch.send(&self.inner, bytes, messages)
            }
            outcome => outcome,
        };
        match outcome {
            Ok(count) => SendOutcome::Sent(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_writable = false;
                SendOutcome::Blocked
            }
            Err(error) => {
                log::debug!("sending a datagram: {error}");
                match error.raw_os_error() {
                    Some(libc::EINVAL | libc::EIO | libc::EMSGSIZE) => SendOutcome::Unfit,
                    _ => SendOutcome::Refused,
                }
            }
        }
    }
}

/// How many datagrams the kernel dropped since it last told; its count wraps.
fn note_overflow(last: &mut u32, count: Option<u32>) -> u32 {
    let count = count.unwrap_or(*last);
    count.wrapping_sub(std::mem::replace(last, count))
}
