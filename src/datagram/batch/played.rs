//! A kernel that says what a test wants to hear.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use crate::sys::{Arrival, Outgoing};

/// What the next calls come to, and what was sent by those that took something. Without a line to
/// play, a call takes everything.
#[derive(Default)]
pub(in crate::datagram) struct Played {
    pub(in crate::datagram) lines: VecDeque<Line>,
    /// Each datagram, with its destination.
    pub(in crate::datagram) sent: Vec<(SocketAddr, String)>,
    /// What the next calls to receive come to: a datagram, or this error. Then there is none.
    pub(in crate::datagram) heard: VecDeque<Result<&'static [u8], i32>>,
}

/// What one call comes to.
pub(in crate::datagram) enum Line {
    /// So many messages are taken.
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
        for datagram in whole.chunks(size) {
            let text = String::from_utf8(datagram.to_vec()).expect("UTF-8");
            self.sent.push((message.to.to_socket_addr(), text));
        }
    }
}
