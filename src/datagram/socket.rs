//! One UDP socket, and the meaning of errno on it.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use mio::net::UdpSocket;
use socket2::{Domain, Protocol, SockRef, Type};

use super::batch::Batch;
use crate::address::Origin;
use crate::config::UDP_BUFFER;
use crate::sys::{self, Address, Arrival, Outgoing};

/// Binds a UDP socket with the options that the server needs.
///
/// An IPv6 socket is IPv6 only, so that `--bind 0.0.0.0 --bind ::` are two sockets that do not
/// conflict, whatever `net.ipv6.bindv6only` is (ipv6(7)).
///
/// # Errors
/// If the address cannot be bound, or the kernel lacks an option.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket =
        socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    set_options(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Takes a socket that was bound by somebody else, and sets the same options. An IPv6 socket must be IPv6
/// only.
///
/// # Errors
/// If it has no address, or the kernel lacks an option.
pub fn take(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    let address = socket.local_addr()?;
    let socket = socket2::Socket::from(socket);
    set_options(&socket, address)?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Sets the options that can be set at any time.
fn set_options(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    // IPv6 routers never fragment, so the kernel has to learn the path MTU.
    if address.is_ipv4() {
        sys::let_routers_fragment(socket.as_fd())?;
    }
    socket.set_nonblocking(true)?;
    sys::request_buffers(socket.as_fd(), UDP_BUFFER);
    sys::enable_overflow_count(socket.as_fd())?;
    if address.ip().is_unspecified() {
        sys::enable_packet_info(socket.as_fd(), address.ip())?;
    }
    Ok(())
}

/// Enables UDP_GRO. Without it a sender using UDP_SEGMENT could fill the receive queue, which all senders
/// share, faster than we can drain it.
pub(super) fn enable_gro(socket: &UdpSocket) {
    // A kernel before 5.0 lacks the option; then datagrams arrive one by one.
    let _ = sys::enable_gro(socket.as_fd());
}

/// Outcome of one receive call.
pub(super) enum ReceiveOutcome {
    /// At least one arrival.
    Received,
    /// Nothing to read now: an event will come.
    Empty,
    /// An error about an earlier datagram, or one that we cannot mend. The socket stays in use.
    Failed,
}

/// Outcome of one send call.
pub(super) enum SendOutcome {
    /// The kernel took this many messages.
    Sent(usize),
    /// The send buffer is full: an event will come.
    Blocked,
    /// The first message cannot be sent. This says nothing about the others.
    Refused,
    /// The first message cannot be sent in this form: the kernel cannot cut it into segments, or they
    /// do not fit the path (EINVAL, EIO or EMSGSIZE, depending on kernel and driver).
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
    /// Limit for the number of arrivals in the receive buffer.
    capacity: usize,
    /// Bytes of the send buffer.
    send_buffer: usize,
    /// The kernel's count of dropped datagrams, as last reported.
    overflow: u32,
}

/// The least that the kernel charges a receive buffer for an arrival: its record alone (struct sk_buff
/// and struct skb_shared_info) takes more.
const LEAST_CHARGE: usize = 512;

impl Socket {
    /// Wraps a socket. It counts as ready in both directions until a call says otherwise.
    pub(super) fn new(inner: UdpSocket) -> io::Result<Self> {
        let (buffers, address) = (SockRef::from(&inner), inner.local_addr()?);
        let (receive, send) = (buffers.recv_buffer_size()?, buffers.send_buffer_size()?);
        log::info!(
            "udp {address}: the kernel grants {receive} bytes of receive buffer and {send} of send \
             buffer"
        );
        Ok(Self {
            inner,
            address,
            is_readable: true,
            is_writable: true,
            unread: 0,
            capacity: receive / LEAST_CHARGE + 1,
            send_buffer: send,
            overflow: 0,
        })
    }

    pub(super) fn inner_mut(&mut self) -> &mut UdpSocket {
        &mut self.inner
    }

    /// Starts to count reads, until everything that has arrived by now was read.
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

    /// Returns true if datagrams to this peer arrive at this socket itself. A wildcard socket has the
    /// address that the peer sent to, and all loopback addresses.
    pub(super) fn is_at(&self, peer: &Origin) -> bool {
        let ip = peer.remote.ip();
        let is_own_ip = match self.address.ip() {
            own if own.is_unspecified() => peer.local == Some(ip) || ip.is_loopback(),
            own => own == ip,
        };
        is_own_ip && self.address.port() == peer.remote.port()
    }

    /// Receives up to `max` arrivals. Hands each to `take`, with the number of datagrams that the
    /// kernel dropped before it.
    pub(super) fn receive(
        &mut self,
        batch: &mut Batch,
        max: usize,
        mut take: impl FnMut(Arrival<'_>, u32),
    ) -> ReceiveOutcome {
        let known = &mut self.overflow;
        let outcome = batch.receive(&self.inner, max, |arrival| {
            // The kernel's count is absolute, and wraps.
            let count = arrival.overflow.unwrap_or(*known);
            let dropped = count.wrapping_sub(std::mem::replace(known, count));
            take(arrival, dropped);
        });
        match outcome {
            Ok(count) => {
                self.unread = self.unread.saturating_sub(count);
                ReceiveOutcome::Received
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (self.is_readable, self.unread) = (false, 0);
                ReceiveOutcome::Empty
            }
            Err(error) => {
                log::debug!("receiving datagrams: {error}");
                ReceiveOutcome::Failed
            }
        }
    }

    /// Sends one datagram that belongs to no job. It is dropped if it cannot be sent now, or if an eighth
    /// of the send buffer is in use: the kernel may keep it for seconds (see `hosts.rs`), and the
    /// members' messages need the space. Returns true if it was sent.
    pub(super) fn send_alone(&mut self, batch: &mut Batch, bytes: &[u8], to: &Origin) -> bool {
        if self.queued() > self.send_buffer / 8 {
            return false;
        }
        let (address, pieces) = (Address::from(to.remote.socket_addr()), [(0, bytes.len() as u32)]);
        let message = Outgoing { to: &address, local: to.local, pieces: &pieces, segment: None };
        matches!(self.send(batch, bytes, std::iter::once(message)), SendOutcome::Sent(_))
    }

    /// Sends messages whose pieces refer to `bytes`, in order, as many as one call takes.
    pub(super) fn send<'a>(
        &mut self,
        batch: &mut Batch,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>> + Clone,
    ) -> SendOutcome {
        if !self.is_writable {
            return SendOutcome::Blocked;
        }
        // An error may be about an earlier datagram to another peer: the kernel reports it to the next
        // call and then forgets it (ip(7), IP_RECVERR). A second call tells whether it is about this one.
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
