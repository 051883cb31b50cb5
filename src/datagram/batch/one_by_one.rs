//! One call for each datagram, with the calls that every system has.
//!
//! These calls report neither the local address of a datagram nor the number of dropped ones. So a
//! wildcard socket replies from the address that the routing table selects.

use std::io;

use mio::net::UdpSocket;

use crate::sys::{Arrival, Outgoing};

/// The buffer of the calls.
pub(in crate::datagram) struct OneByOne {
    buffer: Vec<u8>,
}

impl OneByOne {
    pub(super) fn new(size: usize) -> Self {
        Self { buffer: vec![0; size] }
    }

    /// Receives one datagram, whatever `max` is: the caller calls again.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        _max: usize,
        mut take: impl FnMut(Arrival<'_>),
    ) -> io::Result<usize> {
        let (size, remote) = socket.recv_from(&mut self.buffer)?;
        let bytes = &self.buffer[..size];
        take(Arrival { bytes, segment: None, remote, local: None, overflow: None });
        Ok(1)
    }

    /// Sends the first message only: the caller calls again.
    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        mut messages: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let Some(message) = messages.next() else { return Ok(0) };
        debug_assert!(message.segment.is_none() && message.pieces.len() == 1);
        for (start, end) in message.pieces {
            let to = message.to.to_socket_addr();
            socket.send_to(&bytes[*start as usize..*end as usize], to)?;
        }
        Ok(1)
    }
}
