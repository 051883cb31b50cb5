//! Packets of QUIC on the way out: collected, and sent with as few calls as the batch path needs.
//!
//! QUIC decides what is sent, when, and again. So a packet that a full socket does not take is dropped.

use std::net::IpAddr;

use super::Datagrams;
use super::socket::SendOutcome;
use crate::address::Origin;
use crate::sys::{Address, BATCH, MAX_SEGMENTS, Outgoing};

/// Limit for the bytes that one call sends. They should stay in the CPU cache until the kernel copies them.
const MAX_BYTES: usize = 128 * 1024;

/// Packets that wait for the next call, all for one socket.
#[derive(Default)]
pub(super) struct Packets {
    socket: usize,
    bytes: Vec<u8>,
    messages: Vec<Message>,
    /// True once the kernel has refused to cut a message into packets.
    is_whole: bool,
    report: PacketReport,
}

/// One packet, or several of one size to one peer.
struct Message {
    to: Address,
    local: Option<IpAddr>,
    piece: [(u32, u32); 1],
    segment: Option<u16>,
}

/// Numbers of packets that were sent and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketReport {
    /// Packets that the kernel took.
    pub sent: usize,
    /// Packets that it did not take, or that would have gone to one of our own addresses.
    pub dropped: usize,
}

impl Message {
    /// Returns the number of packets in it.
    fn packets(&self) -> usize {
        let [(start, end)] = self.piece;
        let size = self.segment.map_or(end - start, u32::from);
        (end - start).div_ceil(size.max(1)) as usize
    }
}

impl Datagrams {
    /// Hands datagrams of QUIC over as such from now on. Otherwise they are malformed ones in the clear.
    pub fn take_quic(&mut self) {
        self.takes_quic = true;
    }

    /// Returns the most packets of one size that a message may hold.
    pub fn max_packets(&self) -> usize {
        if self.batch.can_segment() && !self.packets.is_whole { MAX_SEGMENTS } else { 1 }
    }

    /// Returns true if a socket may have space for packets.
    pub fn has_packet_space(&self, socket: usize) -> bool {
        self.sockets.get(socket).is_some_and(|socket| socket.is_writable)
    }

    /// Sends packets to a peer: `bytes` hold one, or several of the size `segment`, of which the last may be
    /// shorter. They may wait for [`Datagrams::flush_packets`].
    pub fn send_packets(&mut self, to: &Origin, bytes: &[u8], segment: Option<usize>) {
        // A message has at most 64 KiB, and so has a segment.
        let segment = segment.map(|size| size as u16);
        let start = self.packets.bytes.len() as u32;
        let message = Message {
            to: Address::from(to.remote.socket_addr()),
            local: to.local,
            piece: [(start, start + bytes.len() as u32)],
            segment,
        };
        if self.is_own_address(to) {
            self.packets.report.dropped += message.packets();
            return;
        }
        let is_full = self.packets.messages.len() == BATCH || self.packets.bytes.len() > MAX_BYTES;
        if is_full || self.packets.socket != to.socket {
            self.send_collected();
            self.packets.socket = to.socket;
            return self.send_packets(to, bytes, segment.map(usize::from));
        }
        self.packets.bytes.extend_from_slice(bytes);
        self.packets.messages.push(message);
    }

    /// Sends a packet that answers a datagram of an unproved address. It is dropped while the send buffer has
    /// little space, or if the address is one of our own. Returns true if it was sent.
    pub fn send_unproved(&mut self, to: &Origin, bytes: &[u8]) -> bool {
        let is_own = self.is_own_address(to);
        let Self { sockets, batch, .. } = self;
        !is_own && sockets[to.socket].send_alone(batch, bytes, to)
    }

    /// Sends the packets that wait, and returns the counts since the last call.
    pub fn flush_packets(&mut self) -> PacketReport {
        self.send_collected();
        std::mem::take(&mut self.packets.report)
    }

    fn send_collected(&mut self) {
        let Self { sockets, batch, packets, .. } = self;
        let Packets { socket, bytes, messages, is_whole, report } = packets;
        let mut done = 0;
        while let Some(first) = messages.get(done) {
            let outgoing = messages[done..].iter().map(|message| Outgoing {
                to: &message.to,
                local: message.local,
                pieces: &message.piece,
                segment: message.segment,
            });
            match sockets[*socket].send(batch, bytes, outgoing) {
                SendOutcome::Sent(count) => {
                    report.sent +=
                        messages[done..done + count].iter().map(Message::packets).sum::<usize>();
                    done += count;
                }
                SendOutcome::Blocked => {
                    report.dropped += messages[done..].iter().map(Message::packets).sum::<usize>();
                    break;
                }
                SendOutcome::Unfit if first.segment.is_some() => {
                    *is_whole = true;
                    split(messages, done);
                }
                SendOutcome::Refused | SendOutcome::Unfit => {
                    report.dropped += first.packets();
                    done += 1;
                }
            }
        }
        messages.clear();
        bytes.clear();
    }
}

/// Replaces the messages from this index on by messages of one packet each.
fn split(messages: &mut Vec<Message>, from: usize) {
    let whole = messages.split_off(from);
    for Message { to, local, piece: [(start, end)], segment } in whole {
        let size = segment.map_or(end - start, u32::from).max(1);
        for start in (start..end).step_by(size as usize) {
            let piece = [(start, end.min(start + size))];
            messages.push(Message { to, local, piece, segment: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datagram::batch::Batch;
    use crate::datagram::batch::played::{Line, Played};
    use crate::datagram::tests::datagrams;
    use std::net::SocketAddr;

    fn origin(address: SocketAddr) -> Origin {
        Origin { socket: 0, local: None, remote: address.into() }
    }

    /// Sends 5 packets to one peer and 1 to another, and returns the counts of each message.
    fn send(lines: Vec<Line>) -> (PacketReport, Vec<usize>, usize) {
        let mut datagrams = datagrams(&[]);
        datagrams.batch = Batch::Played(Played { lines: lines.into(), ..Played::default() });
        let (one, other) = (origin(([192, 0, 2, 1], 9).into()), origin(([192, 0, 2, 2], 9).into()));
        datagrams.send_packets(&one, &[b'x'; 4 * 1200 + 7], Some(1200));
        datagrams.send_packets(&other, &[b'y'; 40], None);
        let report = datagrams.flush_packets();
        let max = datagrams.max_packets();
        let Batch::Played(played) = datagrams.batch else { panic!("played") };
        (report, played.messages, max)
    }

    #[test]
    fn h8_packets_of_one_size_are_one_message() {
        let report = PacketReport { sent: 6, dropped: 0 };
        assert_eq!(send(vec![]), (report, vec![5, 1], MAX_SEGMENTS));
    }

    #[test]
    fn h8_refused_segments_become_packets() {
        let report = PacketReport { sent: 6, dropped: 0 };
        // Each error is met twice: see `Socket::send`.
        let lines = vec![Line::Fail(libc::EIO), Line::Fail(libc::EIO)];
        assert_eq!(send(lines), (report, vec![1; 6], 1));
    }

    #[test]
    fn h8_full_socket_drops_packets() {
        let report = PacketReport { sent: 5, dropped: 1 };
        let lines = vec![Line::Take(1), Line::Fail(libc::EAGAIN)];
        assert_eq!(send(lines), (report, vec![5], MAX_SEGMENTS));
        let report = PacketReport { sent: 1, dropped: 5 };
        let lines = vec![Line::Fail(libc::EPERM), Line::Fail(libc::EPERM)];
        assert_eq!(send(lines), (report, vec![1], MAX_SEGMENTS));
    }

    #[test]
    fn h8_own_address_gets_nothing() {
        let mut datagrams = datagrams(&[]);
        let own = origin(datagrams.local_addrs().next().expect("a socket"));
        datagrams.send_packets(&own, &[b'x'; 2400], Some(1200));
        assert!(!datagrams.send_unproved(&own, b"retry"));
        assert_eq!(datagrams.flush_packets(), PacketReport { sent: 0, dropped: 2 });
        let Batch::Played(played) = datagrams.batch else { panic!("played") };
        assert!(played.sent.is_empty());
    }
}
