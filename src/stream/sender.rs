//! Sends messages in order, and again until the server has taken them (S5, S6).
//!
//! This is go-back-N: the server takes only the id that it expects. Unacknowledged messages are
//! queued; a cursor advances as they are sent and returns to the first one when that was lost or
//! refused. A window bounds the number of messages in flight. After a timeout or a refusal it is one
//! message, and it grows by one with every message that is taken, as in TCP's slow start (RFC 5681).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::Event;
use super::open_part::OpenPart;
use super::rtt::{Rtt, doubled};
use crate::protocol::Token;
use crate::protocol::stream::{Code, MAX_PACKED, MAX_TEXT, upstream};

/// The most open messages, each part of a long one counted (S6, S16). A message is open until the
/// server has taken it.
pub const MAX_OPEN: usize = 64;
/// The most bytes of text in open messages (S6).
pub const MAX_OPEN_BYTES: usize = 32 << 10;

/// Bytes at the beginning of a datagram: the sizes of the room name and of the token (W17).
const SIZES: usize = 2;

/// The bounds of a timeout (S6).
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(20);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after the first refusal for the rate. A person does not notice it, and a server that
/// takes 20 messages a second takes one more by then.
const SHORTEST_HOLD: Duration = Duration::from_millis(50);
/// The timeout on a path that loses nothing. The server may still drop an answer, because it keeps
/// little for a connection that is full.
const CARRIED_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause, while nothing is taken.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// The reason why [`StreamSender::push`] does not accept a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no space until open messages are taken: [`MAX_OPEN`] messages or
    /// [`MAX_OPEN_BYTES`] bytes are open, or all 2^32 - 1 ids are used up.
    Full,
    /// The message is longer than the longest one that a server joins from parts (S16).
    TooLong {
        /// The most bytes that fit.
        fits: usize,
    },
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much is waiting for the server"),
            Self::TooLong { fits } => write!(f, "it is too long, {fits} bytes fit"),
        }
    }
}

impl std::error::Error for PushError {}

/// The running timer and its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Off,
    /// At this time the first open message counts as lost and is repeated.
    Repeat(Instant),
    /// We sent too fast: nothing is sent before this time.
    Hold(Instant),
}

/// The sending end of one member.
///
/// It has no socket and no clock, like [`StreamReceiver`](super::StreamReceiver). Pass it all events
/// that the receiver delivers: they tell which messages the server has taken.
///
/// ```
/// use std::time::Instant;
/// use reactor_chat::protocol::stream::{Upstream, upstream};
/// use reactor_chat::stream::{Event, StreamSender};
///
/// // From the completion: member 3, expected 1.
/// let now = Instant::now();
/// let mut sender = StreamSender::new(3, 1, "lobby");
/// assert_eq!(sender.push(b"hello"), Ok(1));
///
/// let mut body = Vec::new();
/// assert!(sender.poll_transmit(now, &mut body));
/// assert_eq!(upstream::parse(&body), Some(Upstream::Message { id: 1, text: b"hello" }));
/// assert_eq!(sender.open(), 1);
///
/// // The message comes back as an entry of the room.
/// let (name, text) = (&b"ann"[..], &b"hello"[..]);
/// let relayed = Event::Message { number: 40, member: 3, id: 1, name, text, is_late: false };
/// sender.handle_event(&relayed, now);
/// assert_eq!((sender.open(), sender.poll_timeout()), (0, None));
/// ```
#[derive(Debug)]
pub struct StreamSender {
    member: u32,
    /// The most bytes of text in a datagram.
    part_size: usize,
    /// The id of the first open message, or of the next one.
    first: u32,
    open: VecDeque<OpenPart>,
    open_bytes: usize,
    /// The number of open ones that were sent at least once.
    sent: usize,
    /// The index of the open one to send next.
    cursor: usize,
    /// The most open ones in flight.
    window: usize,
    timer: Timer,
    /// Timeouts since a message was last taken or answered.
    timeouts: u32,
    /// Refusals for the rate since a message was last taken.
    refusals: u32,
    rtt: Rtt,
    /// True on a carried path (C1).
    is_carried: bool,
}

impl StreamSender {
    /// Creates a sender for the member with this number, whose next message must have the id
    /// `expected`; both are in the completion (S1). The room name takes space in every datagram.
    pub fn new(member: u32, expected: u32, room: &str) -> Self {
        let around = SIZES + room.len() + Token::WIRE_SIZE + upstream::MESSAGE_OVERHEAD;
        Self {
            member,
            // More than 850, because a room name has at most 255 bytes.
            part_size: MAX_PACKED.saturating_sub(around).max(1),
            first: expected,
            open: VecDeque::new(),
            open_bytes: 0,
            sent: 0,
            cursor: 0,
            window: MAX_OPEN,
            timer: Timer::Off,
            timeouts: 0,
            refusals: 0,
            rtt: Rtt::default(),
            is_carried: false,
        }
    }

    /// Goes on over a connection that carries the messages (C1). All open messages are sent again,
    /// because those in flight may be lost. Then nothing is: there are no early repetitions.
    ///
    /// Call it for the connection that replaces UDP, and for each one after that.
    pub fn carry(&mut self) {
        self.is_carried = true;
        self.repeat_all();
    }

    /// Queues a message or a command. Returns its id, which is that of its last part.
    ///
    /// The server decides which characters a message may contain, and how long it may be beside its
    /// sender's name.
    ///
    /// # Errors
    /// [`PushError::Full`] if there is no space now, [`PushError::TooLong`] beyond [`MAX_TEXT`] bytes.
    pub fn push(&mut self, text: &[u8]) -> Result<u32, PushError> {
        if text.len() > MAX_TEXT {
            return Err(PushError::TooLong { fits: MAX_TEXT });
        }
        let parts = self.parts_of(text.len());
        let (bytes, open) = (self.open_bytes + text.len(), self.open.len() + parts);
        if open > MAX_OPEN || bytes > MAX_OPEN_BYTES {
            return Err(PushError::Full);
        }
        // `open` is at most MAX_OPEN, so the cast is exact.
        let id = self.first.checked_add(open as u32 - 1).filter(|id| *id < u32::MAX);
        let id = id.ok_or(PushError::Full)?;
        self.open_bytes = bytes;
        let message = Arc::from(text);
        for start in (0..parts).map(|part| part * self.part_size) {
            let end = text.len().min(start + self.part_size);
            self.open.push_back(OpenPart::new(&message, start..end));
        }
        Ok(id)
    }

    /// Returns the number of parts of a text of `size` bytes. An empty text is one part.
    fn parts_of(&self, size: usize) -> usize {
        size.div_ceil(self.part_size).max(1)
    }

    /// Handles an event that the receiver delivered.
    pub fn handle_event(&mut self, event: &Event<'_>, now: Instant) {
        match *event {
            Event::Message { member, id, is_late, .. } if member == self.member => {
                if !is_late {
                    self.measure(id, now);
                }
                self.settle_below(id.saturating_add(1), now);
            }
            Event::Aside { code, expected, id, .. } => self.handle_aside(code, expected, id, now),
            Event::Message { .. } | Event::Notice { .. } | Event::Gone { .. } => {}
        }
    }

    fn handle_aside(&mut self, code: u8, expected: u32, id: u32, now: Instant) {
        self.measure(id, now);
        self.settle_below(expected, now);
        if code == Code::RateLimited as u8 {
            self.hold(id, now);
        } else if expected == self.first && !was_taken(id, expected) && self.is_lost(id, now) {
            self.repeat_all();
        }
    }

    /// Measures the round trip of the message with this id, which was answered.
    fn measure(&mut self, id: u32, now: Instant) {
        if let Some(part) = self.find(id)
            && part.is_timed
            && let Some(sent) = part.sent_at
        {
            part.is_timed = false;
            self.rtt.sample(now.saturating_duration_since(sent).min(LONGEST_TIMEOUT));
            self.timeouts = 0;
        }
    }

    fn find(&mut self, id: u32) -> Option<&mut OpenPart> {
        let place = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.open.get_mut(place)
    }

    /// Removes the messages below this id, which the server has taken. It can't have taken those
    /// that were never sent.
    fn settle_below(&mut self, id: u32, now: Instant) {
        let below = usize::try_from(id.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let settled = below.min(self.sent);
        if settled == 0 {
            return;
        }
        self.open_bytes -= self.open.drain(..settled).map(|part| part.range.len()).sum::<usize>();
        // `push` gave each of them an id, so the number fits.
        self.first += u32::try_from(settled).unwrap_or_default();
        self.sent -= settled;
        self.cursor = self.cursor.saturating_sub(settled);
        self.window = (self.window + settled).min(MAX_OPEN);
        // Progress shows that the path works again. Karn's rule alone would keep the long timeout as
        // long as every taken message was sent twice, which at 10 % loss takes long.
        (self.refusals, self.timeouts) = (0, 0);
        self.restart_timer(now);
    }

    /// Restarts the timer as in RFC 6298, 5.2 and 5.3. A hold is not shortened.
    fn restart_timer(&mut self, now: Instant) {
        if !self.holds() {
            let is_in_flight = self.cursor > 0;
            self.timer =
                if is_in_flight { Timer::Repeat(now + self.timeout()) } else { Timer::Off };
        }
    }

    fn timeout(&self) -> Duration {
        if self.is_carried {
            return CARRIED_TIMEOUT;
        }
        doubled(self.rtt.timeout().max(SHORTEST_TIMEOUT), self.timeouts, LONGEST_TIMEOUT)
    }

    fn holds(&self) -> bool {
        matches!(self.timer, Timer::Hold(_))
    }

    /// Returns true if the first open message is lost, given that the server still expects it and
    /// answers the message `id`. It is lost if that one was sent after it, or if it was sent a round
    /// trip ago. Once it is repeated only the latter counts, because answers to the first round are
    /// still coming in.
    fn is_lost(&self, id: u32, now: Instant) -> bool {
        let Some(part) = self.open.front() else { return false };
        let Some(sent) = part.sent_at else { return false };
        let is_overtaken = id > self.first && !part.is_repeated;
        is_overtaken || now.saturating_duration_since(sent) >= self.round_trip()
    }

    /// Returns the time by which a message is answered. S10 allows as much for a repair.
    fn round_trip(&self) -> Duration {
        self.rtt.smoothed().map_or(self.rtt.timeout(), |rtt| rtt * 5 / 4)
    }

    /// Pauses, because the server refused the message `id` for the rate. It refuses those sent
    /// behind it as well and answers each: all of that is one refusal.
    fn hold(&mut self, id: u32, now: Instant) {
        let is_stale = id < self.first || self.sent == 0;
        if is_stale || self.holds() {
            return;
        }
        let first = SHORTEST_HOLD.max(self.rtt.smoothed().unwrap_or_default());
        let time = doubled(first, self.refusals, LONGEST_HOLD);
        self.refusals = self.refusals.saturating_add(1);
        self.go_back(Timer::Hold(now + time));
    }

    /// Sends all open messages again.
    fn repeat_all(&mut self) {
        if !self.holds() {
            (self.cursor, self.timer) = (0, Timer::Off);
        }
    }

    /// Returns to the first open message, and stays there until it is taken.
    fn go_back(&mut self, timer: Timer) {
        (self.cursor, self.window, self.timer) = (0, 1, timer);
    }

    /// Handles the passing of time. [`Self::poll_transmit`] does that as well.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.timer {
            Timer::Repeat(at) if at <= now => {
                self.timeouts = self.timeouts.saturating_add(1);
                self.go_back(Timer::Off);
            }
            Timer::Hold(at) if at <= now => self.timer = Timer::Off,
            Timer::Repeat(_) | Timer::Hold(_) | Timer::Off => {}
        }
    }

    /// Clears `out` and writes the next body to send into it: the datagram without room and token.
    /// Returns false if there is nothing to send. Call it until then after a push, an event or a
    /// timeout.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.handle_timeout(now);
        if self.holds() || self.cursor >= self.window {
            return false;
        }
        self.transmit(now, out)
    }

    fn transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let Some(part) = self.open.get_mut(self.cursor) else { return false };
        let place = u32::try_from(self.cursor).unwrap_or_default();
        part.encode(self.first + place, out);
        part.is_repeated = part.sent_at.is_some();
        part.is_timed &= !part.is_repeated;
        part.sent_at = Some(now);
        self.cursor += 1;
        self.sent = self.sent.max(self.cursor);
        if self.timer == Timer::Off {
            self.timer = Timer::Repeat(now + self.timeout());
        }
        true
    }

    /// Returns the time of the next call of [`Self::handle_timeout`]; `None` while no message is in
    /// flight.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.timer {
            Timer::Repeat(at) | Timer::Hold(at) => Some(at),
            Timer::Off => None,
        }
    }

    /// Returns the ids and texts of the open messages, oldest first. A member that has to join again
    /// pushes them to its next sender.
    pub fn into_open(self) -> impl Iterator<Item = (u32, Arc<[u8]>)> {
        let open = (self.first..).zip(self.open).filter(|(_, part)| part.is_last());
        open.map(|(id, part)| (id, part.message))
    }

    /// Returns the number of timeouts since a message was last taken or answered. If there are any,
    /// the server may be gone.
    pub fn timeouts(&self) -> u32 {
        self.timeouts
    }

    /// Returns the ids of the open messages, oldest first.
    pub fn open_ids(&self) -> impl Iterator<Item = u32> {
        (self.first..).zip(&self.open).filter(|(_, part)| part.is_last()).map(|(id, _)| id)
    }

    /// Returns the texts of the open messages, oldest first.
    pub fn open_texts(&self) -> impl Iterator<Item = &[u8]> {
        self.open.iter().filter(|part| part.is_last()).map(|part| &*part.message)
    }

    /// Returns the id of the first open message or part, or the next id if there is none.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Returns the number of open messages.
    pub fn open(&self) -> usize {
        self.open_ids().count()
    }

    /// Returns true if there is space for another message of any allowed length.
    pub fn has_space(&self) -> bool {
        let parts = self.parts_of(MAX_TEXT);
        self.open.len() + parts <= MAX_OPEN && self.open_bytes + MAX_TEXT <= MAX_OPEN_BYTES
    }
}

/// Returns true if an aside that answers the message `id` says that it was taken. It says nothing
/// about later messages, which may still be in flight.
fn was_taken(id: u32, expected: u32) -> bool {
    id > 0 && id < expected
}

#[cfg(test)]
mod tests;
