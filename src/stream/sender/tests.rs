//! The sender against answers written by hand, in virtual time.

use super::*;
use crate::protocol::stream::Upstream;

const MEMBER: u32 = 3;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A sender and a clock that the test moves.
struct SenderBench {
    sender: StreamSender,
    now: Instant,
}

impl SenderBench {
    fn new() -> Self {
        Self { sender: StreamSender::new(MEMBER, 1, "room"), now: Instant::now() }
    }

    /// Creates a sender whose first message was taken after one round trip, so that the next id is 2.
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

    /// Feeds our own message, which came back.
    fn own(&mut self, id: u32) {
        let event =
            Event::Message { number: 9, member: MEMBER, id, name: b"", text: b"", is_late: false };
        self.sender.handle_event(&event, self.now);
    }

    fn aside(&mut self, code: Code, expected: u32, id: u32) {
        let event = Event::Aside { code: code as u8, expected, id, text: b"" };
        self.sender.handle_event(&event, self.now);
    }

    /// Sends what is due and returns the ids.
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
fn s5_messages_go_out_in_order() {
    let mut bench = SenderBench::new();
    assert_eq!(bench.push(3), [1, 2, 3]);
    assert!(bench.sent().is_empty());
    bench.own(1);
    assert_eq!(bench.sender.open(), 2);
    bench.aside(Code::Answer, 4, 3);
    assert_eq!((bench.sender.open(), bench.sender.poll_timeout()), (0, None));
    assert_eq!(bench.push(1), [4]);
}

#[test]
fn s15_open_messages_can_move() {
    let mut bench = SenderBench::new();
    for text in ["one", "two", "three"] {
        bench.sender.push(text.as_bytes()).unwrap();
    }
    bench.sent();
    bench.own(1);
    let open: Vec<_> = bench.sender.into_open().collect();
    assert_eq!(open, [(2, Arc::from(&b"two"[..])), (3, Arc::from(&b"three"[..]))]);
}

#[test]
fn s6_64_messages_and_32_kib_are_open() {
    let mut bench = SenderBench::new();
    assert_eq!(bench.push(64).len(), 64);
    assert_eq!((bench.sender.push(b"hi"), bench.sender.has_space()), (Err(PushError::Full), false));
    bench.own(1);
    assert_eq!((bench.sender.push(b"hi"), bench.sender.has_space()), (Ok(65), false));

    let mut bench = SenderBench::new();
    assert!((0..8).all(|_| bench.sender.has_space() && bench.sender.push(&[0; 4050]).is_ok()));
    assert!(!bench.sender.has_space());
    assert_eq!(bench.sender.push(&[0; 369]), Err(PushError::Full));
    assert_eq!(bench.sender.push(&[0; 368]), Ok(4 * 8 + 1), "each of four parts before it");
}

#[test]
fn s16_too_long_message_is_refused() {
    let mut bench = SenderBench::new();
    let too_long = Err(PushError::TooLong { fits: 4096 });
    assert_eq!(bench.sender.push(&vec![b'x'; 4097]), too_long);
    assert_eq!(bench.sender.push(&vec![b'x'; 4096]), Ok(4));
    assert_eq!(bench.sender.push(b""), Ok(5), "an empty one has an id, too");
}

#[test]
fn s16_parts_fill_one_packet_each() {
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
fn s16_message_is_open_until_last_part() {
    let mut bench = SenderBench::new();
    let text = vec![b'x'; 4000];
    assert_eq!(bench.sender.push(&text), Ok(4));
    let mut out = Vec::new();
    while bench.sender.poll_transmit(bench.now, &mut out) {}
    bench.aside(Code::State, 4, 3);
    assert_eq!(bench.sender.open(), 1);
    assert_eq!(bench.sender.open_ids().collect::<Vec<_>>(), [4]);
    let open: Vec<_> = bench.sender.into_open().collect();
    assert_eq!(open, [(4, Arc::from(&text[..]))]);

    let mut bench = SenderBench::new();
    bench.sender.push(&text).expect("space");
    while bench.sender.poll_transmit(bench.now, &mut out) {}
    bench.own(4);
    assert_eq!((bench.sender.open(), bench.sender.poll_timeout()), (0, None));
}

#[test]
fn s16_taken_part_repeats_nothing() {
    let mut bench = SenderBench::with_rtt(ms(80));
    assert_eq!(bench.push(3), [2, 3, 4]);
    bench.wait(ms(150));
    bench.aside(Code::State, 3, 2);
    assert!(bench.sent().is_empty(), "the others may be late as well");
    bench.aside(Code::State, 3, 4);
    assert_eq!(bench.sent(), [3, 4], "4 has overtaken 3");
}

#[test]
fn s6_timeout_repeats_only_the_first() {
    let mut bench = SenderBench::with_rtt(ms(80));
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
fn s6_timeouts_are_20_ms_to_2_s() {
    let mut bench = SenderBench::with_rtt(Duration::ZERO);
    bench.push(1);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let at = bench.sender.poll_timeout().unwrap();
        waits.push((at - bench.now).as_millis());
        bench.wait(at - bench.now);
        assert_eq!(bench.sent(), [2]);
    }
    assert_eq!(waits, [20, 40, 80, 160, 320, 640, 1280, 2000, 2000]);
    let mut fresh = SenderBench::new();
    fresh.push(1);
    assert_eq!(fresh.sender.poll_timeout(), Some(fresh.now + ms(1000)));
}

#[test]
fn s6_repeated_message_is_not_measured() {
    let mut bench = SenderBench::with_rtt(ms(80));
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
fn s6_aside_repeats_once_a_round_trip() {
    let mut bench = SenderBench::with_rtt(ms(80));
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
fn s6_late_copy_repeats_nothing() {
    let mut bench = SenderBench::with_rtt(ms(80));
    bench.push(5);
    bench.wait(ms(60));
    bench.aside(Code::State, 4, 1);
    bench.aside(Code::State, 4, 0);
    bench.aside(Code::Answer, 4, 3);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.sender.open(), 3);
}

#[test]
fn s5_unsent_messages_stay_open() {
    let mut bench = SenderBench::new();
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
fn s5_other_members_settle_nothing() {
    let mut bench = SenderBench::new();
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
fn s5_ids_end_at_u32_max() {
    let mut sender = StreamSender::new(MEMBER, u32::MAX - 1, "room");
    assert_eq!(sender.push(b"hi"), Ok(u32::MAX - 1));
    assert_eq!(sender.push(b"hi"), Err(PushError::Full));
    let mut bench = SenderBench { sender, now: Instant::now() };
    assert_eq!(bench.sent(), [u32::MAX - 1]);
    bench.own(u32::MAX - 1);
    assert_eq!((bench.sender.open(), bench.sender.push(b"hi")), (0, Err(PushError::Full)));
}

#[test]
fn s5_hold_doubles_without_progress() {
    let mut bench = SenderBench::with_rtt(ms(1));
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
fn s5_hold_is_at_least_a_round_trip() {
    let mut bench = SenderBench::with_rtt(ms(300));
    bench.push(1);
    bench.aside(Code::RateLimited, 2, 2);
    assert!(bench.sender.poll_timeout() >= Some(bench.now + ms(260)));
}
