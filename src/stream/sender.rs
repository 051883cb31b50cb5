//! Sends messages in order, and again until the server has taken them (S5, S6).
//!
//! The server takes only the id that it expects. What is not settled stays here, and a cursor in it
//! goes over what is to be sent: forward with every datagram, back to the first when that was lost
//! or refused. A window bounds how far it goes beyond what is settled. After a timeout or a refusal
//! it is one message and grows by one with every message that is taken: slow start, as TCP does it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Event;
use super::rtt::{Rtt, doubled};
use crate::protocol::Token;
use crate::protocol::stream::{Code, MAX_PACKED, MAX_TEXT, upstream};

/// Messages that may be open, each part of a long one counted (S6, S16).
pub const MAX_OPEN: usize = 64;
/// Bytes of text that may be open (S6).
pub const MAX_OPEN_BYTES: usize = 32 << 10;

/// Bytes that a datagram begins with: the sizes of the room's name and of the token (W17).
const SIZES: usize = 2;

/// A timeout is not shorter (S6).
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(20);
/// Nor is it longer (S6).
const LONGEST_TIMEOUT: Duration = Duration::from_secs(2);
/// A refusal for the rate is heeded at least so long: a person does not notice, and a server that
/// takes 20 messages a second takes one more by then.
const SHORTEST_HOLD: Duration = Duration::from_millis(50);
/// And at most so long, while nothing is taken.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// There is no space until others are settled: [`MAX_OPEN`] messages or [`MAX_OPEN_BYTES`] are
    /// open, or the ids are used up, all 2^32 - 1 of them.
    Full,
    /// It is longer than the text that a server joins from parts (S16).
    TooLong {
        /// Bytes that fit.
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

/// A message that is not settled, or a part of a long one (S16). Each has an id.
#[derive(Debug)]
struct OpenPart {
    /// The whole message. It is kept until its last part is settled: a member that goes on under
    /// another number sends all of it again.
    message: Arc<[u8]>,
    range: Range<usize>,
    /// When it was sent last.
    sent: Option<Instant>,
    repeated: bool,
    /// Whether its answer still tells the round trip: not when it was repeated, by Karn's rule, and
    /// not twice.
    timed: bool,
}

impl OpenPart {
    fn new(message: &Arc<[u8]>, range: Range<usize>) -> Self {
        let message = Arc::clone(message);
        Self { message, range, sent: None, repeated: false, timed: true }
    }

    fn is_last(&self) -> bool {
        self.range.end == self.message.len()
    }

    fn encode(&self, id: u32, out: &mut Vec<u8>) {
        let text = &self.message[self.range.clone()];
        match self.is_last() {
            true => upstream::encode_message(id, text, out),
            false => upstream::encode_part(id, text, out),
        }
    }
}

/// What the running timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    Off,
    /// The first open message is repeated.
    Repeat(Instant),
    /// We came too fast: nothing is sent before.
    Hold(Instant),
}

/// The sending end of one member.
///
/// Like [`StreamReceiver`](super::StreamReceiver), without a socket or a clock. What that one hands
/// on is shown to this one, which learns from it what is settled.
#[derive(Debug)]
pub struct StreamSender {
    member: u32,
    /// The most bytes of text that fit a datagram.
    part_size: usize,
    /// The id of the first open message, or of the next one.
    first: u32,
    open: VecDeque<OpenPart>,
    open_bytes: usize,
    /// How many of the open ones were ever sent.
    sent: usize,
    /// Which of the open ones is sent next.
    cursor: usize,
    /// How many of the open ones may be on the way.
    window: usize,
    timer: Timer,
    /// Timeouts since something was taken.
    timeouts: u32,
    /// Refusals for the rate since something was taken.
    refusals: u32,
    rtt: Rtt,
}

impl StreamSender {
    /// A sender for the member with this number, whose next message must have the id `expected`;
    /// both are in the completion (S1). The name of the room has its part of every datagram.
    pub fn new(member: u32, expected: u32, room: &str) -> Self {
        let around = SIZES + room.len() + Token::WIRE_SIZE + upstream::MESSAGE_OVERHEAD;
        Self {
            member,
            // More than 900: a room's name has at most 255 bytes.
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
        }
    }

    /// Takes a message or a command to be sent, and returns its id, which is that of its last part.
    /// The server decides what a message may hold, and how long it may be beside its sender's name.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn push(&mut self, text: &[u8]) -> Result<u32, PushError> {
        if text.len() > MAX_TEXT {
            return Err(PushError::TooLong { fits: MAX_TEXT });
        }
        let parts = self.parts_of(text.len());
        let (bytes, open) = (self.open_bytes + text.len(), self.open.len() + parts);
        if open > MAX_OPEN || bytes > MAX_OPEN_BYTES {
            return Err(PushError::Full);
        }
        // At most MAX_OPEN.
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

    /// Learns from what the receiver handed on.
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

    /// The message with this id was answered, whatever the answer.
    fn measure(&mut self, id: u32, now: Instant) {
        if let Some(part) = self.find(id)
            && part.timed
            && let Some(sent) = part.sent
        {
            part.timed = false;
            self.rtt.sample(now.saturating_duration_since(sent).min(LONGEST_TIMEOUT));
            self.timeouts = 0;
        }
    }

    fn find(&mut self, id: u32) -> Option<&mut OpenPart> {
        let place = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.open.get_mut(place)
    }

    /// Everything below this id was taken; what was never sent was not, whoever says so.
    fn settle_below(&mut self, id: u32, now: Instant) {
        let below = usize::try_from(id.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let settled = below.min(self.sent);
        if settled == 0 {
            return;
        }
        self.open_bytes -= self.open.drain(..settled).map(|part| part.range.len()).sum::<usize>();
        // At most as many as there are ids: `push` gave them out.
        self.first += u32::try_from(settled).unwrap_or_default();
        self.sent -= settled;
        self.cursor = self.cursor.saturating_sub(settled);
        self.window = (self.window + settled).min(MAX_OPEN);
        // What comes through shows that the way is open again. Karn's rule would keep the long timeout
        // while everything that is taken was sent twice, and at 10 % loss that is for long.
        (self.refusals, self.timeouts) = (0, 0);
        self.restart_timer(now);
    }

    /// RFC 6298, 5.2 and 5.3. A hold is not shortened.
    fn restart_timer(&mut self, now: Instant) {
        if !self.holds() {
            let on_the_way = self.cursor > 0;
            self.timer = if on_the_way { Timer::Repeat(now + self.timeout()) } else { Timer::Off };
        }
    }

    fn timeout(&self) -> Duration {
        doubled(self.rtt.timeout().max(SHORTEST_TIMEOUT), self.timeouts, LONGEST_TIMEOUT)
    }

    fn holds(&self) -> bool {
        matches!(self.timer, Timer::Hold(_))
    }

    /// Whether the first open message is lost, as the server expects it still and answers the
    /// message `id`. It is if that one was sent after it, or if it was sent a round trip ago. Once
    /// repeated, only the latter: what answers the first round is still coming in.
    fn is_lost(&self, id: u32, now: Instant) -> bool {
        let Some(part) = self.open.front() else { return false };
        let Some(sent) = part.sent else { return false };
        let is_overtaken = id > self.first && !part.repeated;
        is_overtaken || now.saturating_duration_since(sent) >= self.round_trip()
    }

    /// After so long what answers a message has come (S10 gives an answer as much).
    fn round_trip(&self) -> Duration {
        self.rtt.smoothed().map_or(self.rtt.timeout(), |rtt| rtt * 5 / 4)
    }

    /// The server did not take the message `id`, because we came too fast. What was sent behind it
    /// is not taken either, and answered as well: all that is one refusal.
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

    /// What was sent from the first open message on is sent again.
    fn repeat_all(&mut self) {
        if !self.holds() {
            (self.cursor, self.timer) = (0, Timer::Off);
        }
    }

    /// To the first open message, and no further until that is taken.
    fn go_back(&mut self, timer: Timer) {
        (self.cursor, self.window, self.timer) = (0, 1, timer);
    }

    /// Looks at the time. [`Self::poll_transmit`] does that as well.
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

    /// Writes the next message to be sent, without the token before it, into `out`, which is
    /// cleared. `false`: nothing for now. To be called until then after a message was pushed, an
    /// event handled or a timeout.
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
        part.repeated = part.sent.is_some();
        part.timed &= !part.repeated;
        part.sent = Some(now);
        self.cursor += 1;
        self.sent = self.sent.max(self.cursor);
        if self.timer == Timer::Off {
            self.timer = Timer::Repeat(now + self.timeout());
        }
        true
    }

    /// When to call [`Self::handle_timeout`]; `None` while nothing is on the way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.timer {
            Timer::Repeat(at) | Timer::Hold(at) => Some(at),
            Timer::Off => None,
        }
    }

    /// Returns the ids and texts of what is not settled, oldest first: for a member that lost its
    /// place and goes on under another number, with another sender.
    pub fn into_open(self) -> impl Iterator<Item = (u32, Arc<[u8]>)> {
        let open = (self.first..).zip(self.open).filter(|(_, part)| part.is_last());
        open.map(|(id, part)| (id, part.message))
    }

    /// Timeouts since something was taken: when there are any, the server may be gone.
    pub fn timeouts(&self) -> u32 {
        self.timeouts
    }

    /// Returns the ids of what is not settled yet, oldest first.
    pub fn open_ids(&self) -> impl Iterator<Item = u32> {
        (self.first..).zip(&self.open).filter(|(_, part)| part.is_last()).map(|(id, _)| id)
    }

    /// Returns the texts of what is not settled yet, oldest first.
    pub fn open_texts(&self) -> impl Iterator<Item = &[u8]> {
        self.open.iter().filter(|part| part.is_last()).map(|part| &*part.message)
    }

    /// Returns the id of the first message that is not settled yet, or of the next one.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many messages are not settled yet.
    pub fn open(&self) -> usize {
        self.open_ids().count()
    }

    /// Whether there is space for another message, however long it is.
    pub fn has_space(&self) -> bool {
        let parts = self.parts_of(MAX_TEXT);
        self.open.len() + parts <= MAX_OPEN && self.open_bytes + MAX_TEXT <= MAX_OPEN_BYTES
    }
}

/// Returns true if an aside that answers the message `id` says that it was taken. It says nothing
/// about the messages behind it, which may still be on the way.
fn was_taken(id: u32, expected: u32) -> bool {
    id > 0 && id < expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stream::Upstream;

    const MEMBER: u32 = 3;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A sender and a clock that the test moves.
    struct Bench {
        sender: StreamSender,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { sender: StreamSender::new(MEMBER, 1, "room"), now: Instant::now() }
        }

        /// With a first message that was taken after so long, so that the next id is 2.
        fn with_rtt(rtt: Duration) -> Self {
            let mut bench = Self::new();
            bench.push(1);
            bench.wait(rtt);
            bench.own(1);
            bench
        }

        fn push(&mut self, messages: usize) -> Vec<u32> {
            (0..messages).for_each(|_| assert!(self.sender.push(b"hi").is_ok()));
            self.sent()
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.sender.handle_timeout(self.now);
        }

        /// Our message came back.
        fn own(&mut self, id: u32) {
            let event = Event::Message {
                number: 9,
                member: MEMBER,
                id,
                name: b"",
                text: b"",
                is_late: false,
            };
            self.sender.handle_event(&event, self.now);
        }

        fn aside(&mut self, code: Code, expected: u32, id: u32) {
            let event = Event::Aside { code: code as u8, expected, id, text: b"" };
            self.sender.handle_event(&event, self.now);
        }

        /// The ids that are sent now.
        fn sent(&mut self) -> Vec<u32> {
            let mut out = Vec::new();
            let mut ids = Vec::new();
            while self.sender.poll_transmit(self.now, &mut out) {
                let Some(Upstream::Message { id, .. }) = upstream::parse(&out) else { panic!() };
                ids.push(id);
            }
            ids
        }
    }

    #[test]
    fn s5_messages_go_at_once_and_in_order_and_end_with_their_entry() {
        let mut bench = Bench::new();
        assert_eq!(bench.push(3), [1, 2, 3]);
        assert!(bench.sent().is_empty());
        bench.own(1);
        assert_eq!(bench.sender.open(), 2);
        bench.aside(Code::Answer, 4, 3);
        assert_eq!((bench.sender.open(), bench.sender.poll_timeout()), (0, None));
        assert_eq!(bench.push(1), [4]);
    }

    #[test]
    fn s15_what_is_open_can_be_taken_along() {
        let mut bench = Bench::new();
        for text in ["one", "two", "three"] {
            bench.sender.push(text.as_bytes()).unwrap();
        }
        bench.sent();
        bench.own(1);
        let open: Vec<_> = bench.sender.into_open().collect();
        assert_eq!(open, [(2, Arc::from(&b"two"[..])), (3, Arc::from(&b"three"[..]))]);
    }

    #[test]
    fn s6_no_more_than_64_messages_and_32_kib_are_open() {
        let mut bench = Bench::new();
        assert_eq!(bench.push(64).len(), 64);
        assert_eq!(
            (bench.sender.push(b"hi"), bench.sender.has_space()),
            (Err(PushError::Full), false)
        );
        bench.own(1);
        assert_eq!((bench.sender.push(b"hi"), bench.sender.has_space()), (Ok(65), false));

        let mut bench = Bench::new();
        assert!((0..8).all(|_| bench.sender.has_space() && bench.sender.push(&[0; 4050]).is_ok()));
        assert!(!bench.sender.has_space());
        assert_eq!(bench.sender.push(&[0; 369]), Err(PushError::Full));
        assert_eq!(bench.sender.push(&[0; 368]), Ok(4 * 8 + 1), "each of four parts before it");
    }

    #[test]
    fn s16_what_no_server_joins_is_refused_here() {
        let mut bench = Bench::new();
        let too_long = Err(PushError::TooLong { fits: 4096 });
        assert_eq!(bench.sender.push(&vec![b'x'; 4097]), too_long);
        assert_eq!(bench.sender.push(&vec![b'x'; 4096]), Ok(4));
        assert_eq!(bench.sender.push(b""), Ok(5), "an empty one has an id, too");
    }

    #[test]
    fn s16_a_long_message_travels_in_parts_of_one_packet() {
        for room in ["r".into(), "r".repeat(255)] {
            let around = 2 + room.len() + Token::WIRE_SIZE;
            let mut sender = StreamSender::new(MEMBER, 1, &room);
            let text: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
            let last = sender.push(&text).expect("space");
            let (mut out, mut joined, mut id) = (Vec::new(), Vec::new(), 1);
            while sender.poll_transmit(Instant::now(), &mut out) {
                assert!(around + out.len() <= MAX_PACKED, "{} bytes", out.len());
                match upstream::parse(&out) {
                    Some(Upstream::Part { id: its, text }) => {
                        assert_eq!((its, around + out.len()), (id, MAX_PACKED));
                        joined.extend_from_slice(text);
                    }
                    Some(Upstream::Message { id: its, text }) => {
                        assert_eq!((its, id), (id, last));
                        joined.extend_from_slice(text);
                    }
                    other => panic!("{other:?}"),
                }
                id += 1;
            }
            assert!(joined == text && id == last + 1);
        }
    }

    #[test]
    fn s16_a_message_is_open_and_whole_until_its_last_part_is_settled() {
        let mut bench = Bench::new();
        let text = vec![b'x'; 4000];
        assert_eq!(bench.sender.push(&text), Ok(4));
        let mut out = Vec::new();
        while bench.sender.poll_transmit(bench.now, &mut out) {}
        bench.aside(Code::State, 4, 3);
        assert_eq!(bench.sender.open(), 1);
        assert_eq!(bench.sender.open_ids().collect::<Vec<_>>(), [4]);
        let open: Vec<_> = bench.sender.into_open().collect();
        assert_eq!(open, [(4, Arc::from(&text[..]))]);

        let mut bench = Bench::new();
        bench.sender.push(&text).expect("space");
        while bench.sender.poll_transmit(bench.now, &mut out) {}
        bench.own(4);
        assert_eq!((bench.sender.open(), bench.sender.poll_timeout()), (0, None));
    }

    #[test]
    fn s16_an_aside_that_says_that_a_part_was_taken_repeats_nothing() {
        let mut bench = Bench::with_rtt(ms(80));
        assert_eq!(bench.push(3), [2, 3, 4]);
        bench.wait(ms(150));
        bench.aside(Code::State, 3, 2);
        assert!(bench.sent().is_empty(), "the others may be late as well");
        bench.aside(Code::State, 3, 4);
        assert_eq!(bench.sent(), [3, 4], "4 has overtaken 3");
    }

    #[test]
    fn s6_a_timeout_repeats_the_first_one_only() {
        let mut bench = Bench::with_rtt(ms(80));
        assert_eq!(bench.push(4), [2, 3, 4, 5]);
        bench.wait(ms(239));
        assert!(bench.sent().is_empty());
        bench.wait(ms(1));
        assert_eq!(bench.sent(), [2]);
        bench.wait(ms(479));
        assert!(bench.sent().is_empty());
        bench.wait(ms(1));
        assert_eq!(bench.sent(), [2], "after twice the time");
        bench.own(2);
        assert_eq!(bench.sent(), [3, 4], "and then slowly those that were lost as well");
    }

    #[test]
    fn s6_timeouts_are_between_20_ms_and_2_s() {
        let mut bench = Bench::with_rtt(Duration::ZERO);
        bench.push(1);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let at = bench.sender.poll_timeout().unwrap();
            waits.push((at - bench.now).as_millis());
            bench.wait(at - bench.now);
            assert_eq!(bench.sent(), [2]);
        }
        assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1280, 2000, 2000]);
        let mut fresh = Bench::new();
        fresh.push(1);
        assert_eq!(fresh.sender.poll_timeout(), Some(fresh.now + ms(1000)));
    }

    #[test]
    fn s6_an_answer_to_a_repeated_message_is_not_measured() {
        let mut bench = Bench::with_rtt(ms(80));
        bench.push(1);
        bench.wait(ms(240));
        assert_eq!(bench.sent(), [2]);
        bench.wait(ms(1));
        bench.own(2);
        bench.push(1);
        assert_eq!(
            bench.sender.poll_timeout(),
            Some(bench.now + ms(240)),
            "not doubled any more, and 241 ms are no sample"
        );
        bench.wait(ms(80));
        bench.own(3);
        bench.push(1);
        let timeout = ms(80) + 4 * ms(30);
        assert_eq!(bench.sender.poll_timeout(), Some(bench.now + timeout));
    }

    #[test]
    fn s6_an_aside_repeats_from_what_is_expected_once_a_round_trip() {
        let mut bench = Bench::with_rtt(ms(80));
        assert_eq!(bench.push(5), [2, 3, 4, 5, 6]);
        bench.wait(ms(70));
        bench.aside(Code::State, 3, 4);
        assert_eq!(bench.sent(), [3, 4, 5, 6]);
        bench.aside(Code::State, 3, 5);
        bench.aside(Code::State, 3, 6);
        assert!(bench.sent().is_empty(), "that was the first round");
        bench.wait(ms(110));
        bench.aside(Code::State, 3, 6);
        assert_eq!(bench.sent(), [3, 4, 5, 6], "but not the second");
    }

    #[test]
    fn s6_the_answer_to_a_late_copy_repeats_nothing() {
        let mut bench = Bench::with_rtt(ms(80));
        bench.push(5);
        bench.wait(ms(60));
        bench.aside(Code::State, 4, 1);
        bench.aside(Code::State, 4, 0);
        bench.aside(Code::Answer, 4, 3);
        assert!(bench.sent().is_empty());
        assert_eq!(bench.sender.open(), 3);
    }

    #[test]
    fn s5_what_was_never_sent_is_not_settled() {
        let mut bench = Bench::new();
        bench.push(2);
        assert_eq!(bench.sender.push(b"hi"), Ok(3));
        bench.aside(Code::State, u32::MAX, u32::MAX);
        assert_eq!((bench.sender.open(), bench.sent()), (1, vec![3]));
        bench.own(u32::MAX);
        bench.aside(Code::State, 0, 0);
        bench.aside(Code::RateLimited, 0, u32::MAX);
        assert_eq!(bench.sender.open(), 0);
        assert_eq!(bench.push(1), [4]);
    }

    #[test]
    fn s5_the_message_of_another_settles_nothing() {
        let mut bench = Bench::new();
        bench.push(1);
        let event = Event::Message {
            number: 9,
            member: MEMBER + 1,
            id: 1,
            name: b"",
            text: b"",
            is_late: false,
        };
        bench.sender.handle_event(&event, bench.now);
        assert_eq!(bench.sender.open(), 1);
    }

    #[test]
    fn s5_the_last_ids_there_are() {
        let mut sender = StreamSender::new(MEMBER, u32::MAX - 1, "room");
        assert_eq!(sender.push(b"hi"), Ok(u32::MAX - 1));
        assert_eq!(sender.push(b"hi"), Err(PushError::Full));
        let mut bench = Bench { sender, now: Instant::now() };
        assert_eq!(bench.sent(), [u32::MAX - 1]);
        bench.own(u32::MAX - 1);
        assert_eq!((bench.sender.open(), bench.sender.push(b"hi")), (0, Err(PushError::Full)));
    }

    #[test]
    fn s5_a_refusal_for_the_rate_holds_everything_and_doubles_without_progress() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.push(5);
        let mut waits = Vec::new();
        for _ in 0..7 {
            bench.aside(Code::RateLimited, 2, 2);
            bench.aside(Code::State, 2, 3);
            bench.aside(Code::RateLimited, 2, 2);
            let at = bench.sender.poll_timeout().unwrap();
            waits.push((at - bench.now).as_millis());
            bench.wait(at - bench.now - ms(1));
            assert!(bench.sent().is_empty());
            bench.wait(ms(1));
            assert_eq!(bench.sent(), [2], "only the first");
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000]);
        bench.own(2);
        assert_eq!(bench.sent(), [3, 4], "one more for each that was taken");
        bench.aside(Code::RateLimited, 3, 3);
        assert_eq!(bench.sender.poll_timeout(), Some(bench.now + ms(50)), "there was progress");
        bench.wait(ms(50));
        assert_eq!(bench.sent(), [3]);
    }

    #[test]
    fn s5_a_hold_is_a_round_trip_at_least() {
        let mut bench = Bench::with_rtt(ms(300));
        bench.push(1);
        bench.aside(Code::RateLimited, 2, 2);
        assert!(bench.sender.poll_timeout() >= Some(bench.now + ms(260)));
    }
}
