//! Receiver and sender on a carried path, in virtual time.

use std::time::{Duration, Instant};

use super::{Event, StreamReceiver, StreamSender};
use crate::protocol::stream::upstream::{self, Upstream};
use crate::protocol::stream::{Code, Entry, Header};

const TAG: u32 = 7;
const KEEP_ALIVE: Duration = Duration::from_secs(20);

fn datagram(number: u64) -> Vec<u8> {
    let mut datagram = Vec::new();
    Header { tag: TAG, sequence: number }.encode(&mut datagram);
    Entry::Message { member: 3, id: 0, name: b"ann", text: b"hi" }.encode(&mut datagram);
    datagram
}

/// Returns the ids that the sender sends now.
fn sent_ids(sender: &mut StreamSender, now: Instant) -> Vec<u32> {
    let mut body = Vec::new();
    let mut ids = Vec::new();
    while sender.poll_transmit(now, &mut body) {
        let Some(Upstream::Message { id, .. }) = upstream::parse(&body) else { panic!("{body:?}") };
        ids.push(id);
    }
    ids
}

#[test]
fn c1_receiver_requests_no_repairs() {
    let start = Instant::now();
    let mut receiver = StreamReceiver::new(TAG, 1, KEEP_ALIVE, start);
    receiver.carry();
    let mut body = Vec::new();
    assert!(receiver.poll_transmit(start, &mut body));
    assert!(receiver.handle_datagram(&datagram(1), start, |_| {}));
    assert!(receiver.handle_datagram(&datagram(5), start, |_| {}));
    assert!(!receiver.is_complete());
    while let Some(at) = receiver.poll_timeout().filter(|at| *at <= start + 3 * KEEP_ALIVE) {
        while receiver.poll_transmit(at, &mut body) {
            assert_eq!(upstream::parse(&body), Some(Upstream::Have { next: 2 }));
        }
    }
}

#[test]
fn c2_new_connection_gets_have_at_once() {
    let start = Instant::now();
    let mut receiver = StreamReceiver::new(TAG, 1, KEEP_ALIVE, start);
    let mut body = Vec::new();
    assert!(receiver.poll_transmit(start, &mut body));
    for _ in 0..2 {
        assert!(!receiver.poll_transmit(start, &mut body), "one is in flight");
        receiver.carry();
        assert!(receiver.poll_timeout().is_some_and(|at| at <= start));
        assert!(receiver.poll_transmit(start, &mut body));
        assert_eq!(upstream::parse(&body), Some(Upstream::Have { next: 1 }));
    }
}

#[test]
fn c2_new_connection_gets_open_messages() {
    let now = Instant::now();
    let mut sender = StreamSender::new(3, 1, "lobby");
    (0..3).for_each(|_| assert!(sender.push(b"hi").is_ok()));
    assert_eq!(sent_ids(&mut sender, now), [1, 2, 3]);
    for _ in 0..2 {
        assert!(sent_ids(&mut sender, now).is_empty());
        sender.carry();
        assert_eq!(sent_ids(&mut sender, now), [1, 2, 3]);
    }
}

#[test]
fn c1_sender_waits_10_s_for_answer() {
    let start = Instant::now();
    let mut sender = StreamSender::new(3, 1, "lobby");
    sender.carry();
    assert!(sender.push(b"hi").is_ok() && sender.push(b"ho").is_ok());
    assert_eq!(sent_ids(&mut sender, start), [1, 2]);
    let late = start + Duration::from_secs(10);
    assert!(sent_ids(&mut sender, late - Duration::from_millis(1)).is_empty());
    assert_eq!(sent_ids(&mut sender, late), [1], "the server dropped its answer");
    let taken = Event::Aside { code: Code::State as u8, expected: 3, id: 0, text: b"" };
    sender.handle_event(&taken, late);
    assert_eq!((sender.open(), sender.poll_timeout()), (0, None));
}
