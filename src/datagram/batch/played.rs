//! A kernel that plays the script of a test.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::sys::{Arrival, Outgoing};

/// The outcomes of the next calls, and the datagrams that were sent. Without an outcome in the script, a
/// call sends everything.
#[derive(Default)]
pub(in crate::datagram) struct Played {
    pub(in crate::datagram) lines: VecDeque<Line>,
    /// Each datagram, with its destination.
    pub(in crate::datagram) sent: Vec<(SocketAddr, Vec<u8>)>,
    /// The number of datagrams in each message.
    pub(in crate::datagram) messages: Vec<usize>,
    /// Outcomes of the next receive calls: a datagram or an error. After the last one the socket is empty.
    pub(in crate::datagram) heard: VecDeque<Result<&'static [u8], i32>>,
}

/// Outcome of one send call.
pub(in crate::datagram) enum Line {
    /// This many messages are sent.
    Take(usize),
    /// The first message meets this error.
    Fail(i32),
}

impl Played {
    pub(super) fn send<'a>(
        &mut self,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        let take = match self.lines.pop_front() {
            Some(Line::Fail(errno)) => return Err(io::Error::from_raw_os_error(errno)),
            Some(Line::Take(count)) => count,
            None => usize::MAX,
        };
        let mut taken = 0;
        for message in messages.take(take) {
            self.note(bytes, &message);
            taken += 1;
        }
        Ok(taken)
    }

    pub(super) fn receive(&mut self, mut take: impl FnMut(Arrival<'_>)) -> io::Result<usize> {
        let heard = self.heard.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let bytes = heard.map_err(io::Error::from_raw_os_error)?;
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        take(Arrival { bytes, segment: None, remote, local: None, overflow: None });
        Ok(1)
    }

    fn note(&mut self, bytes: &[u8], message: &Outgoing<'_>) {
        let pieces = message.pieces.iter().map(|(start, end)| *start as usize..*end as usize);
        let whole: Vec<u8> = pieces.flat_map(|piece| bytes[piece].to_vec()).collect();
        let size = message.segment.map_or(whole.len(), usize::from);
        self.messages.push(whole.len().div_ceil(size));
        for datagram in whole.chunks(size) {
            self.sent.push((message.to.to_socket_addr(), datagram.to_vec()));
        }
    }
}
