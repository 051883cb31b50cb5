//! Takes a stream in: hands its entries on in order, each once, and asks for what is missing.

use std::time::{Duration, Instant};

use super::Event;
use super::gaps::{GAP_COST, Gaps, RetryDelays, Taken};
use super::keep_alive::KeepAlive;
use super::reassembly::Reassembler;
use super::reorder_buffer::{Held, ReorderBuffer, cost_of};
use crate::protocol::datagram::MAX_DOWNSTREAM;
use crate::protocol::stream::downstream::{self, ENTRY_OVERHEAD, HEADER_SIZE};
use crate::protocol::stream::{Code, Entry, MAX_PACKED, MAX_REPAIR, upstream};

/// Bytes of memory that what came before its turn may take, with what it costs to keep it (S10).
const MAX_HELD: usize = 1 << 20;
/// Numbers so far ahead of what was handed on are no numbers of this stream (S10).
const FAR_AHEAD: u64 = 1 << 32;
/// So many bytes of entries after the last `have`, it is time for another while we are behind (S8).
const CONFIRM_AFTER: usize = 32 << 10;
/// After this many bytes, a datagram without entries is answered at once: it may be that our credit
/// is used up, and the server waits for the confirmation.
const ANSWER_AT_ONCE: usize = 8 << 10;
/// Repair times are kept until they are taken, but no more than so many.
const MAX_REPAIR_TIMES: usize = 1024;

/// The receiving end of a stream.
///
/// It has no socket and no clock: datagrams are put in, what to send comes out, and the time is
/// said with every call. The module's documentation has an example.
#[derive(Debug)]
pub struct StreamReceiver {
    tag: u32,
    /// Everything below was handed on.
    next: u64,
    /// Everything below exists. What lies between is either missing or held.
    known: u64,
    gaps: Gaps,
    reorder_buffer: ReorderBuffer,
    reassembler: Reassembler,
    keep_alive: KeepAlive,
    sizes: Sizes,
    /// Bytes of the entries behind a gap since the last `have`.
    unconfirmed: usize,
    /// Bytes of all entries since the last `have`.
    since_have: usize,
    /// The number in the last `have`.
    confirmed: u64,
    gone: u64,
    repaired: u64,
    repair_times: Vec<Duration>,
}

impl StreamReceiver {
    /// A receiver of the datagrams with this tag, from the entry with the number `next`
    /// on; both and the time from one sign of life to the next are in the completion (S1), and
    /// within 1 to 20 seconds. It has something to send at once.
    pub fn new(tag: u32, next: u64, keep_alive: Duration, now: Instant) -> Self {
        Self {
            tag,
            next,
            known: next,
            gaps: Gaps::default(),
            reorder_buffer: ReorderBuffer::default(),
            reassembler: Reassembler::new(),
            keep_alive: KeepAlive::new(keep_alive, now),
            sizes: Sizes::default(),
            unconfirmed: 0,
            since_have: 0,
            confirmed: next,
            gone: 0,
            repaired: 0,
            repair_times: Vec::new(),
        }
    }

    /// Takes a datagram in that came from the server's address: to see to that is the caller's, or
    /// that of a connected socket. `take` gets what can be handed on now, in order; asides at once.
    /// `false`: it is not of this stream (S3), and nothing has changed.
    ///
    /// What is next is handed on from the datagram itself, without a copy.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut take: impl FnMut(Event<'_>),
    ) -> bool {
        let Some((header, mut entries)) = downstream::parse(datagram) else { return false };
        if header.tag != self.tag {
            return false;
        }
        self.keep_alive.heard(now);
        if datagram.len() == HEADER_SIZE {
            self.note_question(header.sequence, now);
        }
        let mut number = header.sequence;
        while let Some((bytes, entry)) = entries.next_with_bytes() {
            let Some(end) = number.checked_add(entry.numbers()) else { break };
            if number == end {
                self.hand_on_aside(entry, now, &mut take);
                continue;
            }
            self.keep_alive.forget_owed();
            if number == header.sequence {
                self.notice_place(number, end, now);
            }
            self.accept(number, end, bytes, entry, now, &mut take);
            number = end;
        }
        if number == header.sequence {
            self.learn(number, 0, now);
        }
        true
    }

    /// Takes in the asides of a datagram only, as if its entries were lost: they can be repaired.
    /// For a program that has no space for more. `false`: it is not of this stream.
    pub fn handle_asides(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut take: impl FnMut(Event<'_>),
    ) -> bool {
        let Some((header, entries)) = downstream::parse(datagram) else { return false };
        if header.tag != self.tag {
            return false;
        }
        self.keep_alive.heard(now);
        for entry in entries.filter(|entry| entry.numbers() == 0) {
            self.hand_on_aside(entry, now, &mut take);
        }
        true
    }

    /// Handles a datagram without entries: the server has sent everything below `sequence` and asks
    /// for a confirmation.
    fn note_question(&mut self, sequence: u64, now: Instant) {
        let is_lost =
            sequence == self.confirmed && self.keep_alive.is_lost(self.retry_delays().answer, now);
        if is_lost || (sequence > self.confirmed && self.since_have >= ANSWER_AT_ONCE) {
            self.keep_alive.demand();
        } else if sequence > self.confirmed {
            self.keep_alive.owe(now);
        }
    }

    /// What takes no number is handed on at once.
    fn hand_on_aside(&mut self, entry: Entry<'_>, now: Instant, take: &mut impl FnMut(Event<'_>)) {
        if let Entry::Aside { code, expected, id, text } = entry {
            if code == Code::State as u8 && id == 0 {
                self.keep_alive.answered(now);
            }
            take(Event::Aside { code, expected, id, text });
        }
    }

    /// The first entry of a datagram has the numbers from `number` to below `end`.
    fn notice_place(&mut self, number: u64, end: u64, now: Instant) {
        if number >= self.known && !self.is_far(end) {
            self.gaps.count_later(now);
            self.learn(number, 1, now);
        }
    }

    /// Everything below `end` exists. `shown` is how many datagrams from behind it say so.
    fn learn(&mut self, end: u64, shown: u64, now: Instant) {
        if end > self.known && !self.is_far(end) {
            let due = now + self.retry_delays().reorder;
            self.gaps.find(self.known, end, shown, due, now);
            self.known = end;
        }
    }

    /// Whether a number below `end` is too far ahead.
    fn is_far(&self, end: u64) -> bool {
        end.saturating_sub(self.next) > FAR_AHEAD
    }

    /// Takes an entry in that has the numbers from `first` to below `end`.
    fn accept(
        &mut self,
        first: u64,
        end: u64,
        bytes: &[u8],
        entry: Entry<'_>,
        now: Instant,
        take: &mut impl FnMut(Event<'_>),
    ) {
        self.count(bytes.len());
        if end <= self.next || self.is_far(end) {
            return;
        }
        let is_late = first != self.known || first != self.next;
        match entry {
            Entry::Gone { .. } => self.accept_gone(first, end, now, take),
            entry if is_late => self.accept_out_of_order(first, bytes, entry, now, take),
            entry => {
                self.known = end;
                self.hand_on(entry, false, take);
            }
        }
    }

    /// Takes the next entry, which has one number.
    fn hand_on(&mut self, entry: Entry<'_>, is_late: bool, take: &mut impl FnMut(Event<'_>)) {
        let number = self.next;
        self.next += 1;
        self.gone += self.reassembler.take(number, entry, is_late, take);
    }

    fn count(&mut self, bytes: usize) {
        self.sizes.add(bytes);
        self.since_have = self.since_have.saturating_add(bytes);
        if !self.gaps.is_empty() {
            self.unconfirmed += bytes;
            if self.unconfirmed >= CONFIRM_AFTER {
                self.keep_alive.want();
            }
        }
    }

    /// One entry, while others are missing.
    fn accept_out_of_order(
        &mut self,
        number: u64,
        bytes: &[u8],
        entry: Entry<'_>,
        now: Instant,
        take: &mut impl FnMut(Event<'_>),
    ) {
        self.learn(number + 1, 1, now);
        if number != self.next && !self.has_room(cost_of(bytes)) {
            return; // It stays missing, and comes again when what is held has its turn.
        }
        let Some(taken) = self.gaps.take(number, number + 1, now) else { return };
        self.note_repair(taken, now);
        if number == self.next {
            self.hand_on(entry, true, take);
            self.hand_on_held(take);
        } else {
            self.reorder_buffer.hold(number, Held::Entry(bytes.into()));
        }
    }

    /// Whether so much more may be held. An entry in the middle of a gap makes two of it, and the
    /// next may be behind another.
    fn has_room(&self, cost: usize) -> bool {
        self.reorder_buffer.cost() + (self.gaps.len() + 2) * GAP_COST + cost <= MAX_HELD
    }

    fn note_repair(&mut self, taken: Taken, now: Instant) {
        if taken.asked {
            self.keep_alive.want();
            self.repaired += 1;
            if self.repair_times.len() < MAX_REPAIR_TIMES {
                self.repair_times.push(now.saturating_duration_since(taken.found));
            }
        }
    }

    /// What is missing of these is gone for good; what is held, or was handed on, is not.
    fn accept_gone(
        &mut self,
        first: u64,
        end: u64,
        now: Instant,
        take: &mut impl FnMut(Event<'_>),
    ) {
        self.learn(end, 1, now);
        // What is next goes out at once and needs no room.
        while (first <= self.next || self.has_room(cost_of(b"")))
            && let Some((from, to)) = self.take_run(first, end, now)
        {
            // The server forgets whole messages: none goes on behind all that it says is gone.
            let is_aligned = to == end;
            self.reorder_buffer.hold(from, Held::Gone { count: to - from, is_aligned });
            self.hand_on_held(take);
        }
    }

    /// Takes out the lowest missing entries of these, and all that follow without one that is here.
    fn take_run(&mut self, first: u64, end: u64, now: Instant) -> Option<(u64, u64)> {
        let run = self.gaps.take(first, end, now)?;
        let mut asked = run.asked;
        let mut behind = run.end;
        while self.gaps.begins_at(behind)
            && let Some(more) = self.gaps.take(behind, end, now)
        {
            asked |= more.asked;
            behind = more.end;
        }
        if asked {
            self.keep_alive.want();
        }
        Some((run.first, behind))
    }

    fn hand_on_held(&mut self, take: &mut impl FnMut(Event<'_>)) {
        while let Some(held) = self.reorder_buffer.take(self.next) {
            match held {
                Held::Entry(bytes) => self.hand_on_entry(&bytes, take),
                Held::Gone { count, is_aligned } => self.hand_on_gone(count, is_aligned, take),
            }
        }
    }

    fn hand_on_entry(&mut self, bytes: &[u8], take: &mut impl FnMut(Event<'_>)) {
        // Only what could be read was held.
        self.hand_on(downstream::parse_entry(bytes).unwrap_or(Entry::Unknown), true, take);
    }

    fn hand_on_gone(&mut self, count: u64, is_aligned: bool, take: &mut impl FnMut(Event<'_>)) {
        let first = self.next;
        self.next += count;
        self.gone += self.reassembler.take_gone((first, count), is_aligned, take);
    }

    /// Asks the server for a sign of life, at most once a second: for a program that has a reason to
    /// doubt that it is there, as when [`StreamSender::timeouts`](super::StreamSender::timeouts) grow.
    pub fn doubt(&mut self, now: Instant) {
        self.keep_alive.doubt(now);
    }

    /// Looks at the time. [`Self::poll_transmit`] does that as well.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.keep_alive.handle_timeout(now);
    }

    /// Writes what is to be sent next, without the token before it, into `out`, which is cleared.
    /// `false`: nothing for now. To be called until then after a datagram or a timeout.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.handle_timeout(now);
        // First `have`: it refills the ration from which repairs are sent (S11).
        self.transmit_have(now, out) || self.transmit_repair(now, out)
    }

    fn transmit_have(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let ready = self.keep_alive.is_ready(self.retry_delays().answer, now);
        if ready {
            self.keep_alive.sent(now);
            (self.unconfirmed, self.since_have, self.confirmed) = (0, 0, self.next);
            upstream::encode_have(self.next, out);
        }
        ready
    }

    fn transmit_repair(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        // Where nothing more can be held, only what is next serves.
        let most_gaps = if self.has_room(MAX_DOWNSTREAM) { usize::MAX } else { 1 };
        let window = self.sizes.in_an_answer();
        let ranges = self.gaps.request(now, window, most_gaps, self.retry_delays());
        if !ranges.is_empty() {
            upstream::encode_repair(ranges, out);
        }
        !out.is_empty()
    }

    fn retry_delays(&self) -> RetryDelays {
        RetryDelays::of(self.keep_alive.rtt())
    }

    /// When to call [`Self::handle_timeout`]; it may already be past. There always is such a time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let keep_alive = self.keep_alive.timeout(self.retry_delays().answer);
        Some(self.gaps.wake().map_or(keep_alive, |wake| wake.min(keep_alive)))
    }

    /// The number of the entry that comes next: everything below has arrived.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the number from which a receiver that follows this one goes on. It is below
    /// [`Self::next`] while parts of a message are still to come (S16).
    pub fn resume_at(&self) -> u64 {
        self.reassembler.first().unwrap_or(self.next)
    }

    /// Whether nothing that is known to exist is missing.
    pub fn is_complete(&self) -> bool {
        self.next == self.known
    }

    /// How many entries are gone for good, of those whose turn has come.
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// When the server gave a sign of life last; at first, when the receiver was made (S8).
    pub fn last_heard(&self) -> Instant {
        self.keep_alive.last_heard()
    }

    /// How many `have`s were sent since then. When the server counts as gone is for the caller to
    /// say: they are sent 1, 3, 7 and so on seconds after the first.
    pub fn unanswered(&self) -> u32 {
        self.keep_alive.unanswered()
    }

    /// The smoothed round trip, as far as it is known (RFC 6298).
    pub fn rtt(&self) -> Option<Duration> {
        self.keep_alive.rtt()
    }

    /// How many entries came after they were asked for.
    pub fn repaired(&self) -> u64 {
        self.repaired
    }

    /// Gives and forgets, for each of these, the time from when it was found missing to when it
    /// came. Of those since the last call, the first 1,024.
    pub fn take_repair_times(&mut self, take: impl FnMut(Duration)) {
        self.repair_times.drain(..).for_each(take);
    }
}

/// How large entries are, of late.
#[derive(Debug, Default)]
struct Sizes {
    bytes: usize,
    entries: usize,
}

impl Sizes {
    /// What is assumed before anything came, in bytes.
    const ASSUMED: usize = 256;
    /// Of so many entries the older half begins to be forgotten.
    const REMEMBERED: usize = 256;

    fn add(&mut self, bytes: usize) {
        if self.entries == Self::REMEMBERED {
            self.bytes /= 2;
            self.entries /= 2;
        }
        self.bytes += bytes;
        self.entries += 1;
    }

    /// How many entries one answer to a repair request holds (S11), of these sizes.
    fn in_an_answer(&self) -> u64 {
        let average = self.bytes.checked_div(self.entries).unwrap_or(Self::ASSUMED);
        let in_a_datagram = (MAX_PACKED - HEADER_SIZE) / average.max(ENTRY_OVERHEAD);
        (MAX_REPAIR * in_a_datagram.max(1)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stream::upstream::{Range, Upstream};
    use crate::protocol::stream::{Header, upstream};

    const TAG: u32 = 7;
    const FIRST: u64 = 100;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A receiver, what it handed on, and a clock that the test moves.
    struct Bench {
        receiver: StreamReceiver,
        start: Instant,
        now: Instant,
        got: Vec<u64>,
        gone: Vec<(u64, u64)>,
        asides: Vec<u8>,
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Sent {
        Have(u64),
        Repair(Vec<(u64, u16)>),
    }

    impl Bench {
        /// The first `have` is on its way.
        fn new() -> Self {
            Self::starting_at(FIRST)
        }

        fn starting_at(next: u64) -> Self {
            let start = Instant::now();
            let receiver = StreamReceiver::new(TAG, next, Duration::from_secs(20), start);
            let mut bench = Self {
                receiver,
                start,
                now: start,
                got: Vec::new(),
                gone: Vec::new(),
                asides: Vec::new(),
            };
            assert_eq!(bench.sent(), [Sent::Have(next)]);
            bench
        }

        /// The same after a first answer that took so long.
        fn with_rtt(rtt: Duration) -> Self {
            let mut bench = Self::new();
            bench.wait(rtt);
            bench.state(FIRST);
            bench
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.receiver.handle_timeout(self.now);
        }

        fn feed(&mut self, datagram: &[u8]) -> bool {
            let (got, gone, asides) = (&mut self.got, &mut self.gone, &mut self.asides);
            self.receiver.handle_datagram(datagram, self.now, |event| match event {
                Event::Message { number, .. } | Event::Notice { number, .. } => got.push(number),
                Event::Gone { first, count } => gone.push((first, count)),
                Event::Aside { code, .. } => asides.push(code),
            })
        }

        /// Messages with these numbers, in one datagram.
        fn messages(&mut self, numbers: std::ops::Range<u64>) {
            assert!(self.feed(&datagram(numbers, b"text")));
        }

        /// The room gives `next` next, says a datagram without entries.
        fn tail(&mut self, next: u64) {
            assert!(self.feed(&datagram(next..next, b"")));
        }

        fn state(&mut self, next: u64) {
            let aside = Entry::Aside { code: 12, expected: 1, id: 0, text: b"" };
            assert!(self.feed(&with(next, &[aside])));
        }

        fn gone(&mut self, first: u64, count: u32) {
            assert!(self.feed(&with(first, &[Entry::Gone { count }])));
        }

        fn sent(&mut self) -> Vec<Sent> {
            let mut out = Vec::new();
            let mut sent = Vec::new();
            while self.receiver.poll_transmit(self.now, &mut out) {
                assert!(out.len() <= 641);
                sent.push(match upstream::parse(&out).unwrap() {
                    Upstream::Have { next } => Sent::Have(next),
                    Upstream::Repair(ranges) => Sent::Repair(
                        ranges.iter().map(|Range { from, count }| (from, count)).collect(),
                    ),
                    other => panic!("{other:?}"),
                });
            }
            assert!(out.is_empty());
            sent
        }

        /// The repair requests until `time` has passed, with the milliseconds from now.
        fn requests_within(&mut self, time: Duration) -> Vec<(u128, Vec<(u64, u16)>)> {
            let (from, until) = (self.now, self.now + time);
            let mut requests = Vec::new();
            while let Some(at) = self.receiver.poll_timeout().filter(|at| *at <= until) {
                self.now = self.now.max(at);
                self.receiver.handle_timeout(self.now);
                for sent in self.sent() {
                    if let Sent::Repair(ranges) = sent {
                        requests.push(((self.now - from).as_millis(), ranges));
                    }
                }
                assert!(self.receiver.poll_timeout() > Some(self.now), "a timer that stands still");
            }
            self.now = until;
            requests
        }
    }

    fn with(sequence: u64, entries: &[Entry<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        Header { tag: TAG, sequence }.encode(&mut out);
        entries.iter().for_each(|entry| entry.encode(&mut out));
        out
    }

    fn datagram(numbers: std::ops::Range<u64>, text: &[u8]) -> Vec<u8> {
        let entry = Entry::Message { member: 1, id: 1, name: b"ann", text };
        let entries: Vec<_> = numbers.clone().map(|_| entry).collect();
        with(numbers.start, &entries)
    }

    #[test]
    fn s3_another_tag_and_what_is_too_short_change_nothing() {
        let mut bench = Bench::new();
        let mut foreign = datagram(FIRST..FIRST + 1, b"text");
        foreign[3] ^= 1;
        bench.wait(ms(5));
        assert!(!bench.feed(&foreign) && !bench.feed(b"") && !bench.feed(&[0; 11]));
        assert_eq!((bench.receiver.last_heard(), bench.receiver.unanswered()), (bench.start, 1));
        assert!(bench.got.is_empty() && bench.receiver.is_complete());
        bench.messages(FIRST..FIRST + 1);
        assert_eq!((bench.receiver.last_heard(), bench.receiver.unanswered()), (bench.now, 0));
    }

    #[test]
    fn s10_what_is_next_is_handed_on_and_what_came_twice_is_not() {
        let mut bench = Bench::new();
        bench.messages(100..103);
        bench.messages(101..104);
        bench.messages(100..101);
        assert_eq!(bench.got, [100, 101, 102, 103]);
        assert_eq!((bench.receiver.next(), bench.receiver.is_complete()), (104, true));
    }

    #[test]
    fn s10_what_comes_out_of_order_is_handed_on_in_order() {
        let mut bench = Bench::new();
        bench.messages(103..105);
        bench.messages(101..102);
        assert!(bench.got.is_empty() && !bench.receiver.is_complete());
        bench.messages(100..101);
        assert_eq!(bench.got, [100, 101]);
        bench.messages(101..106);
        assert_eq!(bench.got, [100, 101, 102, 103, 104, 105]);
        assert!(bench.receiver.is_complete() && bench.receiver.repaired() == 0);
        assert_eq!(bench.receiver.reorder_buffer.cost(), 0);
    }

    #[test]
    fn s10_the_third_later_datagram_asks() {
        let mut bench = Bench::new();
        bench.messages(101..102);
        bench.messages(102..103);
        bench.messages(101..102);
        assert_eq!(bench.sent(), [], "a copy is not a later one");
        bench.messages(103..104);
        assert_eq!(bench.sent(), [Sent::Repair(vec![(100, 1)])]);
        bench.messages(104..105);
        assert_eq!(bench.sent(), []);
    }

    #[test]
    fn s10_time_asks_too_and_again_at_doubled_times() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.messages(101..102);
        let times: Vec<_> = bench.requests_within(ms(6000)).into_iter().collect();
        let expected = [2, 12, 32, 72, 152, 312, 632, 1272, 2552, 4552];
        assert_eq!(times.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
        assert!(times.iter().all(|(_, ranges)| *ranges == [(100, 1)]));
    }

    #[test]
    fn s10_the_times_follow_the_round_trip() {
        let mut bench = Bench::with_rtt(ms(80));
        bench.messages(101..102);
        let times: Vec<_> = bench.requests_within(ms(500)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [20, 120, 320]);
    }

    #[test]
    fn s9_s10_time_asks_for_the_tail() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.messages(100..101);
        bench.tail(104);
        bench.tail(104);
        bench.tail(104);
        assert!(!bench.receiver.is_complete());
        assert_eq!(bench.sent(), []);
        assert_eq!(bench.requests_within(ms(3)), [(2, vec![(101, 3)])]);
        bench.messages(101..104);
        assert!(bench.receiver.is_complete());
        assert_eq!((bench.receiver.repaired(), bench.sent()), (3, vec![Sent::Have(104)]));
        let mut times = Vec::new();
        bench.receiver.take_repair_times(|time| times.push(time));
        assert_eq!(times, [ms(3); 3]);
    }

    #[test]
    fn s9_s10_a_tail_that_grows_is_asked_for_by_its_parts() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.tail(102);
        assert_eq!(bench.requests_within(ms(3)), [(2, vec![(100, 2)])]);
        bench.tail(103);
        assert_eq!(bench.requests_within(ms(3)), [(2, vec![(102, 1)])]);
        assert_eq!(bench.requests_within(ms(6)), [(6, vec![(100, 2)])]);
    }

    #[test]
    fn field_p4_the_first_tail_is_answered_unless_the_room_speaks() {
        let mut bench = Bench::new();
        bench.state(FIRST);
        bench.messages(FIRST..FIRST + 1);
        bench.tail(FIRST + 1);
        bench.wait(ms(24));
        assert_eq!(bench.sent(), []);
        bench.wait(ms(1));
        assert_eq!(bench.sent(), [Sent::Have(FIRST + 1)]);
        bench.state(FIRST);
        bench.tail(FIRST + 1);
        bench.messages(FIRST + 1..FIRST + 2);
        bench.wait(ms(1000));
        assert_eq!(bench.sent(), [], "the next entry came");
    }

    #[test]
    fn s9_an_aside_shows_the_tail_as_well() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.state(102);
        assert_eq!(bench.requests_within(ms(3)), [(2, vec![(100, 2)])]);
        assert_eq!(bench.asides, [12, 12]);
    }

    #[test]
    fn s10_only_what_is_missing_is_gone() {
        let mut bench = Bench::new();
        bench.messages(100..102);
        bench.messages(104..106);
        bench.messages(109..110);
        bench.gone(99, 9);
        // 104 may be the last part of a message that is gone (S16).
        let gone = vec![(102, 2), (104, 1), (106, 2)];
        assert_eq!((bench.gone.clone(), bench.receiver.gone()), (gone, 5));
        assert_eq!(bench.got, [100, 101, 105]);
        bench.gone(99, 9);
        bench.messages(106..107);
        assert_eq!((bench.receiver.gone(), bench.receiver.next()), (5, 108));
        bench.messages(108..109);
        assert_eq!(bench.got, [100, 101, 105, 108, 109]);
        assert!(bench.receiver.is_complete());
    }

    #[test]
    fn s16_parts_are_joined_whatever_their_order() {
        let part = Entry::Part { member: 1, id: 4, name: b"ann", text: b"a" };
        let last = Entry::Message { member: 1, id: 4, name: b"ann", text: b"b" };
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
            let mut bench = Bench::new();
            let (mut texts, now) = (Vec::new(), bench.now);
            for place in order {
                let entry = if place == 2 { last } else { part };
                let bytes = with(FIRST + place, &[entry]);
                bench.receiver.handle_datagram(&bytes, now, |event| {
                    let Event::Message { number, text, is_late, .. } = event else { panic!() };
                    texts.push((number, text.to_vec(), is_late));
                });
                let resumes_at = bench.receiver.resume_at();
                let expected = if texts.is_empty() { FIRST } else { FIRST + 3 };
                assert_eq!(resumes_at, expected, "whole messages only");
            }
            assert_eq!(texts, [(FIRST + 2, b"aab".to_vec(), order != [0, 1, 2])]);
        }
    }

    #[test]
    fn s10_no_more_than_a_mebibyte_is_held_ahead_of_a_gap() {
        let mut bench = Bench::with_rtt(ms(1));
        for number in 101..3000 {
            assert!(bench.feed(&datagram(number..number + 1, &[0; 1000])));
            let memory =
                bench.receiver.reorder_buffer.cost() + bench.receiver.gaps.len() * GAP_COST;
            assert!(memory <= MAX_HELD);
        }
        assert!(bench.receiver.reorder_buffer.cost() > MAX_HELD - 5000);
        assert_eq!(bench.receiver.gaps.len(), 2, "the first, and all that found no room");
        // What could not be held anyway is not asked for.
        assert_eq!(bench.requests_within(ms(5)), [(0, vec![(100, 1)])]);
        bench.messages(100..101);
        assert!(bench.got.len() > 900 && bench.receiver.next() == 100 + bench.got.len() as u64);
        assert_eq!(bench.sent(), [Sent::Repair(vec![(1072, 16)])], "a `have` is on its way");
        bench.wait(ms(5));
        assert_eq!(bench.sent(), [Sent::Have(1072)], "that one counts as lost");
    }

    #[test]
    fn s10_gaps_between_what_is_held_count_as_well() {
        let mut bench = Bench::new();
        for number in 0..20_000 {
            bench.messages(101 + 2 * number..102 + 2 * number);
        }
        let gaps = bench.receiver.gaps.len();
        assert!(bench.receiver.reorder_buffer.cost() + gaps * GAP_COST <= MAX_HELD);
        bench.gone(100, 50_000);
        assert_eq!(bench.receiver.next(), 50_100);
        assert_eq!(bench.receiver.gone() + bench.got.len() as u64, 50_000);
    }

    #[test]
    fn s10_numbers_far_ahead_are_ignored() {
        let mut bench = Bench::new();
        bench.messages(FIRST + FAR_AHEAD..FIRST + FAR_AHEAD + 1);
        bench.tail(FIRST + FAR_AHEAD + 1);
        bench.state(u64::MAX);
        bench.gone(FIRST + 2, u32::MAX);
        assert!(bench.receiver.is_complete());
        assert_eq!(bench.asides, [12], "an aside is for us, wherever the room is");
        bench.messages(FIRST + FAR_AHEAD - 1..FIRST + FAR_AHEAD);
        assert!(!bench.receiver.is_complete());
        bench.gone(FIRST, u32::MAX);
        assert_eq!(bench.got, [FIRST + FAR_AHEAD - 1]);
        assert_eq!(bench.gone, [(FIRST, u64::from(u32::MAX))]);
    }

    #[test]
    fn s10_the_last_numbers_there_are() {
        let mut bench = Bench::starting_at(u64::MAX - 4);
        bench.messages(u64::MAX - 3..u64::MAX);
        assert!(bench.feed(&with(u64::MAX - 2, &[Entry::Gone { count: 9 }])));
        assert!(bench.feed(&with(u64::MAX, &[Entry::Gone { count: 1 }])));
        bench.tail(u64::MAX);
        bench.messages(u64::MAX - 4..u64::MAX - 3);
        assert_eq!(bench.got.len(), 4);
        assert_eq!((bench.receiver.next(), bench.receiver.is_complete()), (u64::MAX, true));
    }

    #[test]
    fn s3_s10_noise_does_no_harm() {
        let mut seed = 1_u64;
        let mut random = move |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % bound
        };
        let mut bench = Bench::new();
        for _ in 0..50_000 {
            let first = FIRST + random(300);
            let mut noise = datagram(first..first + random(4), b"text");
            if random(2) == 0 {
                noise = with(first, &[Entry::Gone { count: random(9) as u32 }]);
            }
            for _ in 0..random(4) {
                let place = 4 + random(noise.len() as u64 - 4) as usize;
                noise[place] = random(256) as u8;
            }
            noise.truncate(random(200) as usize);
            bench.feed(&noise);
            bench.wait(Duration::from_micros(random(3000)));
            bench.sent();
        }
        let handed_on = bench.got.len() as u64 + bench.receiver.gone();
        assert_eq!(bench.receiver.next(), FIRST + handed_on);
    }

    #[test]
    fn s10_requests_travel_together_and_have_64_ranges_at_most() {
        let mut bench = Bench::with_rtt(ms(1));
        for number in 0..100 {
            bench.messages(101 + 2 * number..102 + 2 * number);
        }
        let requests = bench.requests_within(ms(9));
        assert_eq!(requests.iter().map(|(_, ranges)| ranges.len()).sum::<usize>(), 100);
        let sizes: Vec<_> = requests.iter().map(|(at, ranges)| (*at, ranges.len())).collect();
        assert_eq!(sizes, [(0, 64), (1, 34), (2, 2)], "the last two wait for their time");
    }

    #[test]
    fn s10_no_more_is_asked_for_than_one_answer_holds() {
        let mut bench = Bench::with_rtt(ms(1));
        bench.messages(100..200); // 19 bytes each: 62 in a datagram
        bench.tail(100_200);
        let requests = bench.requests_within(ms(9));
        assert_eq!(requests, [(2, vec![(200, 16 * 62)])]);
        bench.messages(200..448);
        bench.messages(448..695);
        assert_eq!(bench.sent(), [Sent::Have(695)], "more than half is still to come");
        bench.messages(695..696);
        assert_eq!(bench.sent(), [Sent::Repair(vec![(1192, 496)])]);
    }

    #[test]
    fn s8_a_doubt_asks_at_once_but_not_again_and_again() {
        let start = Instant::now();
        let mut receiver = StreamReceiver::new(7, 1, Duration::from_secs(20), start);
        let (mut out, at) = (Vec::new(), |ms| start + Duration::from_millis(ms));
        assert!(receiver.poll_transmit(start, &mut out), "the first");
        let mut state = Vec::new();
        downstream::Header { tag: 7, sequence: 1 }.encode(&mut state);
        let answer = Entry::Aside { code: Code::State as u8, expected: 1, id: 0, text: b"" };
        answer.encode(&mut state);
        let mut asked = Vec::new();
        for ms in (0..2500).step_by(100) {
            receiver.handle_datagram(&state, at(ms), |_| {});
            receiver.doubt(at(ms));
            if receiver.poll_transmit(at(ms), &mut out) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [1000, 2000]);
    }

    #[test]
    fn s8_have_is_repeated_until_the_server_is_heard() {
        let mut bench = Bench::new();
        let mut times = Vec::new();
        while bench.now < bench.start + ms(60_000) {
            bench.now = bench.receiver.poll_timeout().unwrap();
            assert_eq!(bench.sent(), [Sent::Have(FIRST)]);
            times.push((bench.now - bench.start).as_secs());
        }
        assert_eq!(times, [1, 3, 7, 15, 31, 51, 71]);
        assert_eq!((bench.receiver.unanswered(), bench.receiver.last_heard()), (8, bench.start));
        bench.tail(FIRST);
        assert_eq!(bench.receiver.unanswered(), 0);
        assert_eq!(bench.receiver.poll_timeout(), Some(bench.now + ms(20_000)));
    }

    #[test]
    fn s8_the_time_from_have_to_have_is_within_bounds() {
        for (said, kept) in [(Duration::MAX, 20_000), (Duration::ZERO, 1000), (ms(5000), 5000)] {
            let now = Instant::now();
            let mut receiver = StreamReceiver::new(TAG, 1, said, now);
            assert!(receiver.poll_transmit(now, &mut Vec::new()));
            assert!(receiver.handle_datagram(&with(1, &[]), now, |_| {}));
            assert_eq!(receiver.poll_timeout(), Some(now + ms(kept)));
        }
    }

    #[test]
    fn s8_an_answer_to_one_of_two_is_not_measured() {
        let mut bench = Bench::new();
        bench.wait(ms(1000));
        assert_eq!(bench.sent(), [Sent::Have(FIRST)]);
        bench.wait(ms(30));
        bench.state(FIRST);
        assert_eq!(bench.receiver.rtt(), None, "Karn's rule");
        bench.wait(ms(20_000));
        assert_eq!(bench.sent(), [Sent::Have(FIRST)]);
        bench.wait(ms(40));
        assert!(
            bench.feed(&with(FIRST, &[Entry::Aside { code: 12, expected: 1, id: 5, text: b"" }]))
        );
        assert_eq!(bench.receiver.rtt(), None, "it answers a message");
        bench.state(FIRST);
        assert_eq!(bench.receiver.rtt(), Some(ms(40)));
    }

    #[test]
    fn s8_have_every_32_kib_while_behind() {
        let mut bench = Bench::with_rtt(ms(100));
        let big = |number| datagram(number..number + 1, &[0; 4000]);
        (100..120).for_each(|number| assert!(bench.feed(&big(number))));
        assert_eq!(bench.sent(), [], "not behind");
        (121..129).for_each(|number| assert!(bench.feed(&big(number))));
        assert_eq!(bench.sent(), [Sent::Repair(vec![(120, 1)])]);
        assert!(bench.feed(&big(129)));
        assert_eq!(bench.sent(), [Sent::Have(120)]);
    }
}
