//! The batch calls of Linux: recvmmsg(2) and sendmmsg(2), with UDP_SEGMENT.

use std::io;
use std::os::fd::AsFd;

use mio::net::UdpSocket;

use crate::sys::{Arrival, Outgoing, ReceiveBatch, SendBatch};

/// Buffers of the calls.
pub(in crate::datagram) struct Mmsg {
    receive: ReceiveBatch,
    send: SendBatch,
}

impl Mmsg {
    pub(super) fn new(size: usize) -> Self {
        Self { receive: ReceiveBatch::new(size), send: SendBatch::new() }
    }

    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        max: usize,
        take: impl FnMut(Arrival<'_>),
    ) -> io::Result<usize> {
        let count = socket.try_io(|| self.receive.receive(socket.as_fd(), max))?;
        self.receive.arrivals().for_each(take);
        Ok(count)
    }

    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>> + Clone,
    ) -> io::Result<usize> {
        socket.try_io(|| self.send.send(socket.as_fd(), bytes, messages.clone()))
    }
}
