//! The receiver against datagrams written by hand, in virtual time.

use super::super::sequencer::{FAR_AHEAD, MAX_HELD};
use super::*;
use crate::protocol::stream::Header;
use crate::protocol::stream::upstream::{Range, Upstream};

const TAG: u32 = 7;
const FIRST: u64 = 100;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A receiver with the events that it delivered, and a clock that the test moves.
struct ReceiverBench {
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

impl ReceiverBench {
    /// Creates a receiver whose first `have` is in flight.
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

    /// Creates a receiver whose first answer took one round trip.
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

    /// Feeds messages with these numbers in one datagram.
    fn messages(&mut self, numbers: std::ops::Range<u64>) {
        assert!(self.feed(&datagram(numbers, b"text")));
    }

    /// Feeds a datagram without entries, which says that `next` is the room's next number.
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
                Upstream::Repair(ranges) => {
                    Sent::Repair(ranges.iter().map(|Range { from, count }| (from, count)).collect())
                }
                other => panic!("{other:?}"),
            });
        }
        assert!(out.is_empty());
        sent
    }

    /// Returns the repair requests until `time` has passed, each with the milliseconds from now.
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
            assert!(self.receiver.poll_timeout() > Some(self.now), "the timer stands still");
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
fn s3_foreign_datagrams_are_ignored() {
    let mut bench = ReceiverBench::new();
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
fn s10_duplicates_are_dropped() {
    let mut bench = ReceiverBench::new();
    bench.messages(100..103);
    bench.messages(101..104);
    bench.messages(100..101);
    assert_eq!(bench.got, [100, 101, 102, 103]);
    assert_eq!((bench.receiver.next(), bench.receiver.is_complete()), (104, true));
}

#[test]
fn s10_entries_are_delivered_in_order() {
    let mut bench = ReceiverBench::new();
    bench.messages(103..105);
    bench.messages(101..102);
    assert!(bench.got.is_empty() && !bench.receiver.is_complete());
    bench.messages(100..101);
    assert_eq!(bench.got, [100, 101]);
    bench.messages(101..106);
    assert_eq!(bench.got, [100, 101, 102, 103, 104, 105]);
    assert!(bench.receiver.is_complete() && bench.receiver.repaired() == 0);
    assert_eq!(bench.receiver.sequencer.memory(), 0);
}

#[test]
fn s10_third_later_datagram_requests() {
    let mut bench = ReceiverBench::new();
    bench.messages(101..102);
    bench.messages(102..103);
    bench.messages(101..102);
    assert_eq!(bench.sent(), [], "a copy is not a later datagram");
    bench.messages(103..104);
    assert_eq!(bench.sent(), [Sent::Repair(vec![(100, 1)])]);
    bench.messages(104..105);
    assert_eq!(bench.sent(), []);
}

#[test]
fn s10_retry_delays_double() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    bench.messages(101..102);
    let times: Vec<_> = bench.requests_within(ms(6000)).into_iter().collect();
    let expected = [2, 12, 32, 72, 152, 312, 632, 1272, 2552, 4552];
    assert_eq!(times.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
    assert!(times.iter().all(|(_, ranges)| *ranges == [(100, 1)]));
}

#[test]
fn s10_retry_delays_follow_the_rtt() {
    let mut bench = ReceiverBench::with_rtt(ms(80));
    bench.messages(101..102);
    let times: Vec<_> = bench.requests_within(ms(500)).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [20, 120, 320]);
}

#[test]
fn s9_s10_lost_tail_is_requested() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
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
fn s9_s10_growing_tail_is_requested_once() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    bench.tail(102);
    assert_eq!(bench.requests_within(ms(3)), [(2, vec![(100, 2)])]);
    bench.tail(103);
    assert_eq!(bench.requests_within(ms(3)), [(2, vec![(102, 1)])]);
    assert_eq!(bench.requests_within(ms(6)), [(6, vec![(100, 2)])]);
}

#[test]
fn field_p4_first_tail_probe_is_answered() {
    let mut bench = ReceiverBench::new();
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
fn s9_aside_reveals_the_tail() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    bench.state(102);
    assert_eq!(bench.requests_within(ms(3)), [(2, vec![(100, 2)])]);
    assert_eq!(bench.asides, [12, 12]);
}

#[test]
fn s10_only_missing_entries_are_gone() {
    let mut bench = ReceiverBench::new();
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
fn s16_parts_are_joined_in_any_order() {
    let part = Entry::Part { member: 1, id: 4, name: b"ann", text: b"a" };
    let last = Entry::Message { member: 1, id: 4, name: b"ann", text: b"b" };
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]] {
        let mut bench = ReceiverBench::new();
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
fn s10_at_most_a_mebibyte_is_held() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    for number in 101..3000 {
        assert!(bench.feed(&datagram(number..number + 1, &[0; 1000])));
        assert!(bench.receiver.sequencer.memory() <= MAX_HELD);
    }
    assert!(bench.receiver.sequencer.memory() > MAX_HELD - 5000);
    assert_eq!(
        bench.receiver.sequencer.gap_count(),
        2,
        "the first one, and all that found no room"
    );
    // Entries that the full buffer could not hold are not requested.
    assert_eq!(bench.requests_within(ms(5)), [(0, vec![(100, 1)])]);
    bench.messages(100..101);
    assert!(bench.got.len() > 900 && bench.receiver.next() == 100 + bench.got.len() as u64);
    assert_eq!(bench.sent(), [Sent::Repair(vec![(1072, 16)])], "a `have` is in flight");
    bench.wait(ms(5));
    assert_eq!(bench.sent(), [Sent::Have(1072)], "that one counts as lost");
}

#[test]
fn s10_gaps_count_as_held_memory() {
    let mut bench = ReceiverBench::new();
    for number in 0..20_000 {
        bench.messages(101 + 2 * number..102 + 2 * number);
    }
    assert!(bench.receiver.sequencer.memory() <= MAX_HELD);
    bench.gone(100, 50_000);
    assert_eq!(bench.receiver.next(), 50_100);
    assert_eq!(bench.receiver.gone() + bench.got.len() as u64, 50_000);
}

#[test]
fn s10_numbers_far_ahead_are_ignored() {
    let mut bench = ReceiverBench::new();
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
fn s10_numbers_end_at_u64_max() {
    let mut bench = ReceiverBench::starting_at(u64::MAX - 4);
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
    let mut bench = ReceiverBench::new();
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
    let delivered = bench.got.len() as u64 + bench.receiver.gone();
    assert_eq!(bench.receiver.next(), FIRST + delivered);
}

#[test]
fn s10_request_has_at_most_64_ranges() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    for number in 0..100 {
        bench.messages(101 + 2 * number..102 + 2 * number);
    }
    let requests = bench.requests_within(ms(9));
    assert_eq!(requests.iter().map(|(_, ranges)| ranges.len()).sum::<usize>(), 100);
    let sizes: Vec<_> = requests.iter().map(|(at, ranges)| (*at, ranges.len())).collect();
    assert_eq!(sizes, [(0, 64), (1, 34), (2, 2)], "the last two wait for their time");
}

#[test]
fn s10_request_fits_one_answer() {
    let mut bench = ReceiverBench::with_rtt(ms(1));
    bench.messages(100..200); // 19 bytes each: 59 in a datagram
    bench.tail(100_200);
    let requests = bench.requests_within(ms(9));
    assert_eq!(requests, [(2, vec![(200, 16 * 59)])]);
    bench.messages(200..436);
    bench.messages(436..671);
    assert_eq!(bench.sent(), [Sent::Have(671)], "more than half is still to come");
    bench.messages(671..672);
    assert_eq!(bench.sent(), [Sent::Repair(vec![(1144, 472)])]);
}

#[test]
fn s8_doubt_sends_have_once_a_second() {
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
fn s8_have_repeats_until_heard() {
    let mut bench = ReceiverBench::new();
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
fn s8_keep_alive_is_bounded() {
    for (said, kept) in [(Duration::MAX, 20_000), (Duration::ZERO, 1000), (ms(5000), 5000)] {
        let now = Instant::now();
        let mut receiver = StreamReceiver::new(TAG, 1, said, now);
        assert!(receiver.poll_transmit(now, &mut Vec::new()));
        assert!(receiver.handle_datagram(&with(1, &[]), now, |_| {}));
        assert_eq!(receiver.poll_timeout(), Some(now + ms(kept)));
    }
}

#[test]
fn s8_ambiguous_answer_is_not_measured() {
    let mut bench = ReceiverBench::new();
    bench.wait(ms(1000));
    assert_eq!(bench.sent(), [Sent::Have(FIRST)]);
    bench.wait(ms(30));
    bench.state(FIRST);
    assert_eq!(bench.receiver.rtt(), None, "Karn's rule");
    bench.wait(ms(20_000));
    assert_eq!(bench.sent(), [Sent::Have(FIRST)]);
    bench.wait(ms(40));
    assert!(bench.feed(&with(FIRST, &[Entry::Aside { code: 12, expected: 1, id: 5, text: b"" }])));
    assert_eq!(bench.receiver.rtt(), None, "it answers a message");
    bench.state(FIRST);
    assert_eq!(bench.receiver.rtt(), Some(ms(40)));
}

#[test]
fn s8_have_every_32_kib_while_behind() {
    let mut bench = ReceiverBench::with_rtt(ms(100));
    let big = |number| datagram(number..number + 1, &[0; 4000]);
    (100..120).for_each(|number| assert!(bench.feed(&big(number))));
    assert_eq!(bench.sent(), [], "not behind");
    (121..129).for_each(|number| assert!(bench.feed(&big(number))));
    assert_eq!(bench.sent(), [Sent::Repair(vec![(120, 1)])]);
    assert!(bench.feed(&big(129)));
    assert_eq!(bench.sent(), [Sent::Have(120)]);
}
