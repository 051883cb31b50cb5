//! Several messages in a datagram, as the relay packs and the members unpack them.

use std::iter;
use std::net::UdpSocket;
use std::slice;

use reactor_chat::sys::{Address, Outgoing, SendBatch};

use super::{MAX_SEND, Message, send_all};

/// Maximum bytes of a datagram with several messages: as many as in the server's.
const MAX_PACKED: usize = 1_150;

/// A room's messages of one turn, the same for everyone in it: each has its length in front, and a
/// length of 0 is padding.
#[derive(Default)]
pub struct Packed {
    bytes: Vec<u8>,
    sends: Vec<PackedSend>,
}

/// Bytes that leave in one call.
struct PackedSend {
    /// Its start and its end.
    piece: (u32, u32),
    /// [`MAX_PACKED`] for datagrams of that size, of which the last may be shorter. None for one message
    /// that is longer.
    segment: Option<u16>,
}

impl Packed {
    /// Packs the messages of a room.
    pub fn fill(&mut self, bytes: &[u8], messages: &[Message]) {
        self.bytes.clear();
        self.sends.clear();
        for Message { piece: (start, end), .. } in messages {
            let message = &bytes[*start as usize..*end as usize];
            self.make_room(2 + message.len());
            self.bytes.extend_from_slice(&(message.len() as u16).to_be_bytes());
            self.bytes.extend_from_slice(message);
            if let Some(send) = self.sends.last_mut() {
                send.piece.1 = self.bytes.len() as u32;
            }
        }
    }

    /// Makes room for `size` bytes: in the last datagram, in one behind it or in another send.
    fn make_room(&mut self, size: usize) {
        let is_long = size > MAX_PACKED;
        let open = self.sends.last().filter(|send| send.segment.is_some() && !is_long);
        let used = open.map(|send| (send.piece.1 - send.piece.0) as usize);
        let padding = used.map(|used| match used % MAX_PACKED + size <= MAX_PACKED {
            true => 0,
            false => MAX_PACKED - used % MAX_PACKED,
        });
        match used.zip(padding) {
            Some((used, padding)) if used + padding + size <= MAX_SEND as usize => {
                self.bytes.resize(self.bytes.len() + padding, 0);
            }
            _ => {
                let start = self.bytes.len() as u32;
                let segment = (!is_long).then_some(MAX_PACKED as u16);
                self.sends.push(PackedSend { piece: (start, start), segment });
            }
        }
    }

    /// Sends everything to everyone, including the senders.
    pub fn send(&self, batch: &mut SendBatch, socket: &UdpSocket, members: &[Address]) {
        let to_member = |to| {
            self.sends.iter().map(move |send| {
                let pieces = slice::from_ref(&send.piece);
                Outgoing { to, local: None, pieces, segment: send.segment }
            })
        };
        let outgoing: Vec<Outgoing<'_>> = members.iter().flat_map(to_member).collect();
        send_all(batch, socket, &self.bytes, &outgoing);
    }
}

/// Returns the messages that are packed in a datagram.
pub fn unpack(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (size, rest) = datagram.split_first_chunk()?;
        let size = usize::from(u16::from_be_bytes(*size));
        let (message, rest) = rest.split_at_checked(size)?;
        datagram = rest;
        (size > 0).then_some(message)
    })
}
