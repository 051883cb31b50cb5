//! The way of arrivals to the owner: the flood guard, the seals, and what they say of routes. The first two
//! bytes of a datagram tell QUIC, seals and cleartext apart.

#[cfg(test)]
mod quic_tests;
#[cfg(all(test, feature = "tls"))]
mod sealed_tests;

use std::time::Instant;

use super::rejections::Rejections;
use super::routes::Routes;
use super::seals::{Opened, Seals};
use crate::address::{Endpoint, Origin};
use crate::ids::MemberId;
use crate::sys::Arrival;

/// A datagram for the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// One in the clear, as it came.
    Clear(&'a [u8]),
    /// One that a member has sealed.
    Sealed {
        /// The member.
        member: MemberId,
        /// The address that it came from, if it is proved: the member's datagrams go there now.
        at: Option<Endpoint>,
        /// The content.
        content: &'a [u8],
    },
    /// One of QUIC, as it came.
    Quic(&'a [u8]),
}

/// The owner's verdict on a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The member that sent it, if any.
    pub member: Option<MemberId>,
    /// True if it had no effect, and further ones with the same sender key would have none either.
    pub was_rejected: bool,
}

/// Returns the part of a datagram in the clear that names its sender. The owner knows the format.
pub type SenderKey = fn(&[u8]) -> &[u8];

/// Result of reading a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveReport {
    /// Datagrams that arrived.
    pub received: usize,
    /// Those of them that the flood guard skipped.
    pub skipped: usize,
    /// Errors. They are echoes of datagrams that were sent to a peer who is gone, and end nothing.
    pub errors: usize,
    /// Datagrams that the kernel had dropped because the receive buffer was full.
    pub overflow: u32,
    /// Sealed datagrams that were opened.
    pub opened: usize,
    /// Sealed datagrams that were dropped.
    pub rejections: Rejections,
    /// Times that a sealed member moved to another address. Its first one counts too.
    pub moves: usize,
}

/// Number of rejects in a row, with the same sender key, after which the rest of an arrival is skipped: a
/// flood must cost less than the traffic that it displaces.
const MAX_REJECTS: usize = 8;

/// The first byte of a sealed datagram. In the clear it is the size of a room name, which is not 0 (W17).
const SEALED: u8 = 0;

/// Size of the part of a sealed datagram that names its sender: the first byte, the flags and the id.
const SEALED_KEY: usize = 6;

/// A bit of the first byte of each QUIC packet (RFC 9000, section 17.2 and 17.3; our transport parameters do
/// not let a peer grease it, RFC 9287).
const QUIC_BIT: u8 = 0x40;

/// The second byte of each datagram in the clear: the size of a token (W17). In QUIC it is the highest byte of
/// the version, 0, or the first byte of one of our connection ids, which has its highest bit set.
const TOKEN_SIZE: u8 = 32;

/// Returns true if a datagram belongs to QUIC, and is none of a member with a seal or a token (H1).
fn is_quic(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first & QUIC_BIT != 0 && *second != TOKEN_SIZE)
}

/// Flood guard: counts rejects in a row among datagrams that arrived together.
#[derive(Default)]
struct RejectStreak<'a> {
    /// The key of the last reject. One program may send for several members.
    key: &'a [u8],
    count: usize,
}

impl<'a> RejectStreak<'a> {
    fn skips(&self, key: &[u8]) -> bool {
        self.count >= MAX_REJECTS && key == self.key
    }

    fn note_reject(&mut self, key: &'a [u8]) {
        self.count = if key == self.key { self.count + 1 } else { 1 };
        self.key = key;
    }
}

/// Hands datagrams to `handle`.
pub(super) struct Intake<'a, F> {
    pub(super) routes: &'a mut Routes,
    pub(super) seals: &'a mut Seals,
    pub(super) sender_key: SenderKey,
    /// True if the owner takes QUIC.
    pub(super) takes_quic: bool,
    pub(super) now: Instant,
    pub(super) report: &'a mut ReceiveReport,
    pub(super) handle: &'a mut F,
}

/// The consequences of a datagram.
#[derive(Default)]
struct Handled {
    was_rejected: bool,
    /// The member whose datagrams go back to where it came from.
    routed: Option<MemberId>,
}

impl<F: FnMut(&Origin, Incoming<'_>) -> Disposition> Intake<'_, F> {
    /// Hands over the datagrams of one arrival, except those that the flood guard skips.
    pub(super) fn deliver(&mut self, arrival: Arrival<'_>, origin: &Origin) {
        let mut streak = RejectStreak::default();
        let mut announced = None;
        let mut datagrams = arrival.datagrams().peekable();
        while let Some(bytes) = datagrams.next() {
            self.report.received += 1;
            if self.takes_quic && is_quic(bytes) {
                (self.handle)(origin, Incoming::Quic(bytes));
                continue;
            }
            let is_sealed = bytes.first() == Some(&SEALED);
            let key = match is_sealed {
                true => &bytes[..bytes.len().min(SEALED_KEY)],
                false => (self.sender_key)(bytes),
            };
            // The last one is never skipped: it alone may have another size, and so be another kind of
            // message, such as a farewell.
            if streak.skips(key) && datagrams.peek().is_some() {
                self.report.skipped += 1;
                continue;
            }
            let Handled { was_rejected, routed } = match is_sealed {
                true => self.handle_sealed(origin, bytes),
                false => self.handle_clear(origin, bytes),
            };
            if was_rejected {
                streak.note_reject(key);
            }
            if let Some(member) = routed.filter(|_| routed != announced) {
                self.routes.announce(member, origin, is_sealed);
                announced = routed;
            }
        }
    }

    fn handle_clear(&mut self, origin: &Origin, bytes: &[u8]) -> Handled {
        let Disposition { member, was_rejected } = (self.handle)(origin, Incoming::Clear(bytes));
        // Nothing in the clear moves a sealed member (E9).
        Handled { was_rejected, routed: member.filter(|member| !self.seals.contains(*member)) }
    }

    /// Opens a datagram and hands its content over. One that does not open never counts as a reject: with
    /// a member's id and address in forged ones, an attacker could silence the member (E8).
    fn handle_sealed(&mut self, origin: &Origin, bytes: &[u8]) -> Handled {
        match self.seals.open(origin, bytes, self.now) {
            Ok(Opened { member, content, at, has_moved, .. }) => {
                self.report.opened += 1;
                self.report.moves += usize::from(has_moved);
                let incoming = Incoming::Sealed { member, at, content };
                let Disposition { member, was_rejected } = (self.handle)(origin, incoming);
                Handled { was_rejected, routed: member.filter(|_| at.is_some()) }
            }
            Err(reason) => {
                self.report.rejections.note(reason);
                Handled::default()
            }
        }
    }
}
