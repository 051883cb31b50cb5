//! Receives a stream: delivers its entries in order, each once, and requests missing ones.

use std::time::{Duration, Instant};

use super::event::Event;
use super::gaps::RetryDelays;
use super::keep_alive::KeepAlive;
use super::sequencer::Sequencer;
use crate::protocol::stream::downstream::{self, HEADER_SIZE};
use crate::protocol::stream::{Code, Entry, upstream};

/// Bytes of entries received behind a gap after which another `have` is due (S8).
const CONFIRM_AFTER: usize = 32 << 10;
/// Bytes of entries since the last `have` after which a datagram without entries is answered at once:
/// our credit may be used up, and the server then waits for the confirmation.
const ANSWER_AT_ONCE: usize = 8 << 10;

/// The receiving end of a stream.
///
/// It has no socket and no clock: the caller feeds it datagrams, sends what [`Self::poll_transmit`]
/// writes, and passes the time with every call. The [module](super) has an example with a sender.
///
/// ```
/// use std::time::{Duration, Instant};
/// use reactor_chat::protocol::stream::{Entry, Header};
/// use reactor_chat::stream::{Event, StreamReceiver};
///
/// // From the completion: tag 7, next 40, keep_alive 20.
/// let now = Instant::now();
/// let mut receiver = StreamReceiver::new(7, 40, Duration::from_secs(20), now);
///
/// // Entry 41 arrives before entry 40, so it waits.
/// let datagram = |sequence, text| {
///     let mut datagram = Vec::new();
///     Header { tag: 7, sequence }.encode(&mut datagram);
///     Entry::Message { member: 3, id: 0, name: b"ann", text }.encode(&mut datagram);
///     datagram
/// };
/// let mut numbers = Vec::new();
/// for datagram in [datagram(41, b"world"), datagram(40, b"hello")] {
///     receiver.handle_datagram(&datagram, now, |event| {
///         if let Event::Message { number, .. } = event {
///             numbers.push(number);
///         }
///     });
/// }
/// assert_eq!(numbers, [40, 41]);
/// assert!(receiver.is_complete());
/// ```
#[derive(Debug)]
pub struct StreamReceiver {
    tag: u32,
    sequencer: Sequencer,
    keep_alive: KeepAlive,
    /// Bytes of the entries received behind a gap since the last `have`.
    unconfirmed: usize,
    /// Bytes of all entries received since the last `have`.
    since_have: usize,
    /// The number in the last `have`.
    confirmed: u64,
    /// True on a carried path (C1).
    is_carried: bool,
}

impl StreamReceiver {
    /// Creates a receiver of the datagrams with this tag, from the entry with the number `next` on.
    /// These two and `keep_alive` are in the completion (S1); `keep_alive` is kept within 1 to 20
    /// seconds. The receiver has something to send at once.
    pub fn new(tag: u32, next: u64, keep_alive: Duration, now: Instant) -> Self {
        Self {
            tag,
            sequencer: Sequencer::new(next),
            keep_alive: KeepAlive::new(keep_alive, now),
            unconfirmed: 0,
            since_have: 0,
            confirmed: next,
            is_carried: false,
        }
    }

    /// Goes on over a connection that carries the datagrams (C1). Nothing is lost on it, so the
    /// receiver requests no repairs. It has a `have` to send at once: what follows the last entry
    /// before is missing.
    ///
    /// Call it for the connection that replaces UDP, and for each one after that.
    pub fn carry(&mut self) {
        self.is_carried = true;
        self.keep_alive.restart();
    }

    /// Handles a datagram and passes the events that it allows to `deliver`: numbered ones in order,
    /// asides at once. Returns false if it is not of this stream (S3) and changed nothing.
    ///
    /// The caller makes sure that the datagram came from the server's address; a connected socket
    /// does. The next entry is delivered from the datagram itself, without a copy.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut deliver: impl FnMut(Event<'_>),
    ) -> bool {
        let Some((header, mut entries)) = downstream::parse(datagram) else { return false };
        if header.tag != self.tag {
            return false;
        }
        self.keep_alive.note_datagram(now);
        if datagram.len() == HEADER_SIZE {
            self.note_question(header.sequence, now);
        }
        let mut number = header.sequence;
        while let Some((bytes, entry)) = entries.next_with_bytes() {
            let Some(end) = number.checked_add(entry.numbers()) else { break };
            if number == end {
                self.deliver_aside(entry, now, &mut deliver);
                continue;
            }
            self.keep_alive.cancel_answer();
            if number == header.sequence {
                self.sequencer.note_datagram(number, end, now);
            }
            self.count(bytes.len());
            if self.sequencer.accept(number..end, bytes, entry, now, &mut deliver) {
                self.keep_alive.request_have();
            }
            number = end;
        }
        // A datagram without a numbered entry tells the number of the next one.
        if number == header.sequence {
            self.sequencer.learn(number, 0, now);
        }
        true
    }

    /// Handles the asides of a datagram only, as if its entries were lost: they can be repaired.
    /// This is for a program that has no space for more. Returns false if the datagram is not of
    /// this stream.
    pub fn handle_asides(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut deliver: impl FnMut(Event<'_>),
    ) -> bool {
        let Some((header, entries)) = downstream::parse(datagram) else { return false };
        if header.tag != self.tag {
            return false;
        }
        self.keep_alive.note_datagram(now);
        for entry in entries.filter(|entry| entry.numbers() == 0) {
            self.deliver_aside(entry, now, &mut deliver);
        }
        true
    }

    /// Handles a datagram without entries: the server has sent everything below `sequence` and asks
    /// for a confirmation.
    fn note_question(&mut self, sequence: u64, now: Instant) {
        let is_lost =
            sequence == self.confirmed && self.keep_alive.is_lost(self.answer_timeout(), now);
        if is_lost || (sequence > self.confirmed && self.since_have >= ANSWER_AT_ONCE) {
            self.keep_alive.request_have_at_once();
        } else if sequence > self.confirmed {
            self.keep_alive.schedule_answer(now);
        }
    }

    fn deliver_aside(
        &mut self,
        entry: Entry<'_>,
        now: Instant,
        deliver: &mut impl FnMut(Event<'_>),
    ) {
        if let Entry::Aside { code, expected, id, text } = entry {
            // The server answers a `have` so.
            if code == Code::State as u8 && id == 0 {
                self.keep_alive.note_answer(now);
                self.sequencer.set_retry_delays(RetryDelays::of(self.rtt()));
            }
            deliver(Event::Aside { code, expected, id, text });
        }
    }

    fn count(&mut self, bytes: usize) {
        self.since_have = self.since_have.saturating_add(bytes);
        if self.sequencer.gap_count() > 0 {
            self.unconfirmed += bytes;
            if self.unconfirmed >= CONFIRM_AFTER {
                self.keep_alive.request_have();
            }
        }
    }

    /// Asks the server for a sign of life, at most once a second. This is for a program that has a
    /// reason to doubt that the server is there, for example because
    /// [`StreamSender::timeouts`](super::StreamSender::timeouts) grows.
    pub fn doubt(&mut self, now: Instant) {
        self.keep_alive.doubt(now);
    }

    /// Handles the passing of time. [`Self::poll_transmit`] does that as well.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.keep_alive.handle_timeout(now);
    }

    /// Clears `out` and writes the next body to send into it: the datagram without room and token.
    /// Returns false if there is nothing to send. Call it until then after a datagram or a timeout.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.handle_timeout(now);
        // `have` comes first: it refills the budget from which repairs are sent (S11).
        self.transmit_have(now, out) || (!self.is_carried && self.transmit_repair(now, out))
    }

    fn transmit_have(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let is_ready = self.keep_alive.is_ready(self.answer_timeout(), now);
        if is_ready {
            self.keep_alive.note_sent(now);
            (self.unconfirmed, self.since_have, self.confirmed) = (0, 0, self.next());
            upstream::encode_have(self.next(), out);
        }
        is_ready
    }

    fn transmit_repair(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let ranges = self.sequencer.request(now);
        if !ranges.is_empty() {
            upstream::encode_repair(ranges, out);
        }
        !out.is_empty()
    }

    fn answer_timeout(&self) -> Duration {
        self.sequencer.retry_delays().answer
    }

    /// Returns the time of the next call of [`Self::handle_timeout`], which may be past. There is
    /// always one.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keep_alive = self.keep_alive.timeout(self.answer_timeout());
        let repair = self.sequencer.wake().filter(|_| !self.is_carried);
        Some(repair.map_or(keep_alive, |wake| wake.min(keep_alive)))
    }

    /// Returns the number of the next entry: everything below has arrived.
    pub fn next(&self) -> u64 {
        self.sequencer.next()
    }

    /// Returns the number from which a receiver that replaces this one goes on. It is below
    /// [`Self::next`] while parts of a message are still to come (S16).
    pub fn resume_at(&self) -> u64 {
        self.sequencer.resume_at()
    }

    /// Returns true if no entry that is known to exist is missing.
    pub fn is_complete(&self) -> bool {
        self.sequencer.is_complete()
    }

    /// Returns the number of entries that are lost for good, of those whose turn has come.
    pub fn gone(&self) -> u64 {
        self.sequencer.gone()
    }

    /// Returns the time of the last datagram from the server, or of this receiver's creation (S8).
    pub fn last_heard(&self) -> Instant {
        self.keep_alive.last_heard()
    }

    /// Returns the number of `have`s sent since the last datagram from the server, or since the last
    /// call of [`Self::carry`]. They are sent 1, 3, 7 and so on seconds after the first. The caller
    /// decides how many mean that the server is gone.
    pub fn unanswered(&self) -> u32 {
        self.keep_alive.unanswered()
    }

    /// Returns the smoothed round-trip time (RFC 6298) if it is known.
    pub fn rtt(&self) -> Option<Duration> {
        self.keep_alive.rtt()
    }

    /// Returns the number of entries that came after they were requested.
    pub fn repaired(&self) -> u64 {
        self.sequencer.repaired()
    }

    /// Passes the repair time of each repaired entry to `take` and forgets it: the time from noticing
    /// that the entry is missing to its arrival. At most the first 1,024 since the last call are
    /// kept.
    pub fn take_repair_times(&mut self, take: impl FnMut(Duration)) {
        self.sequencer.take_repair_times(take);
    }
}

#[cfg(test)]
mod tests;
