//! Tests carried members in feeds, with simulated connections and datagrams.

mod bench;

use std::time::Duration;

use super::*;
use crate::protocol::Form;
use crate::protocol::stream::upstream::Range;

use bench::{Bench, ROOM, recipient};

#[test]
fn c1_carried_member_gets_entries_at_once() {
    let mut bench = Bench::new();
    let to = bench.carried(1);
    bench.say_often(3, 100);
    assert!(bench.has_all(&to, 1..4));
    bench.advance(Duration::from_secs(60));
    assert_eq!((bench.got(&to).probes, bench.feeds.counts().deadlines), (0, 0), "no tail probes");
    let other = bench.by_datagrams(2);
    bench.say_often(1, 100);
    bench.advance(Duration::from_secs(60));
    assert_eq!((bench.got(&to).probes, bench.got(&other).probes), (0, 3));
}

#[test]
fn c1_history_comes_without_pause() {
    let mut bench = Bench::new();
    let first = bench.carried(1);
    bench.say_often(600, 1000);
    let late = recipient(2, Delivery::Stream, true);
    bench.enter(&late, 500);
    bench.deliver();
    bench.advance(Duration::ZERO);
    assert!(bench.has_all(&late, 101..601), "{} entries", bench.got(&late).numbers.len());
    assert_eq!(bench.got(&late).probes, 0, "no questions");
    assert!(bench.paid >= bench.got(&late).bytes, "history counts against the limits");
    assert!(bench.has_all(&first, 1..601));
}

#[test]
fn c1_unpaid_history_waits() {
    let mut bench = Bench::new();
    bench.carried(1);
    bench.say_often(200, 1000);
    bench.credit = 100_000;
    let late = recipient(2, Delivery::Stream, true);
    bench.enter(&late, 200);
    bench.deliver();
    bench.advance(Duration::from_secs(9));
    let got = bench.got(&late).bytes;
    assert!((60_000..=100_000).contains(&got), "{got} bytes");
    bench.say_often(1, 10);
    assert_eq!(bench.got(&late).bytes, got, "nothing overtakes it");
    bench.credit = usize::MAX;
    bench.advance(Duration::from_secs(9));
    assert!(bench.has_all(&late, 1..202));
}

#[test]
fn c1_have_is_not_awaited() {
    let mut bench = Bench::new();
    let [to, other] = [bench.carried(1), bench.by_datagrams(2)];
    for _ in 0..9 {
        bench.say_often(1, 100);
        bench.advance(Duration::from_secs(20));
        [to, other].iter().for_each(|to| bench.feeds.note_silent(to, bench.now));
    }
    let (mine, others) = (bench.got(&to).numbers.len(), bench.got(&other).numbers.len());
    assert_eq!(mine, 9);
    assert!(others < 9, "others get only questions: {others}");
    bench.feeds.repair(&to, [Range { from: 1, count: 9 }].into_iter(), bench.now);
    bench.deliver();
    assert_eq!((bench.got(&to).numbers.len(), bench.got(&to).plain), (9, 0), "no repairs");
}

#[test]
fn c3_full_outbox_waits_alone() {
    let mut bench = Bench::new();
    let [slow, quick, other] = [bench.carried(1), bench.carried(2), bench.by_datagrams(3)];
    bench.space.insert(slow.member, 3000);
    for _ in 0..50 {
        bench.say_often(1, 500);
        assert!(!bench.feeds.has_undelivered(), "a full outbox is not polled");
    }
    for to in [&quick, &other] {
        assert!(bench.has_all(to, 1..51));
    }
    let before = bench.got(&slow).numbers.len();
    assert!((3..6).contains(&before), "{before}");
    bench.feeds.resume_stalled(bench.now);
    bench.deliver();
    assert_eq!(bench.got(&slow).numbers.len(), before, "a socket is no outbox");
    for _ in 0..12 {
        bench.drain(&slow, 2500);
        bench.deliver();
    }
    assert!(bench.has_all(&slow, 1..51));
    assert_eq!(bench.got(&slow).gone, 0);
    bench.say_often(1, 500);
    [&slow, &quick, &other].iter().for_each(|to| assert!(bench.has_all(to, 1..52)));
}

#[test]
fn c3_full_outbox_holds_no_entries() {
    let mut bench = Bench::new();
    let [slow, quick] = [bench.carried(1), bench.carried(2)];
    bench.space.insert(slow.member, 0);
    // More than the ring holds. It has space for messages as long as nobody who keeps up waits.
    bench.say_often(3000, 1000);
    assert!(bench.has_all(&quick, 1..3001));
    bench.drain(&slow, usize::MAX);
    bench.deliver();
    let got = bench.got(&slow);
    assert!(got.gone > 1000 && got.numbers.len() > 900, "{} are gone", got.gone);
    assert_eq!((got.gone + 1, got.numbers.last()), (got.numbers[0], Some(&3000)));
}

#[test]
fn c3_full_outbox_and_full_socket() {
    let mut bench = Bench::new();
    let [slow, deaf] = [bench.carried(1), bench.by_datagrams(2)];
    bench.space.insert(slow.member, 0);
    bench.blocked.insert(deaf.member);
    bench.say_often(1, 100);
    assert!(bench.feeds.has_undelivered(), "the socket is waited for");
    bench.drain(&slow, 9999);
    bench.deliver();
    assert!(bench.has_all(&slow, 1..2));
    assert!(!bench.got.contains_key(&deaf.member));
    bench.space.insert(slow.member, 0);
    bench.say_often(1, 100);
    bench.blocked.clear();
    bench.feeds.resume_stalled(bench.now);
    bench.deliver();
    assert!(bench.has_all(&deaf, 1..3) && bench.has_all(&slow, 1..2));
    assert!(!bench.feeds.has_undelivered());
}

#[test]
fn c3_plain_members_never_wait() {
    for form in Form::ALL {
        let mut bench = Bench::new();
        let to = recipient(1, Delivery::Plain(form), true);
        bench.enter(&to, 0);
        bench.space.insert(to.member, 250);
        for _ in 0..3 {
            assert_eq!(bench.say(100), Ok(()));
        }
        let receipt = bench.turn(99);
        assert_eq!((receipt.sent, receipt.dropped, receipt.blocked), (2, 1, false));
        assert!(!bench.feeds.has_undelivered());
        bench.feeds.note_silent(&to, bench.now);
        bench.space.clear();
        bench.say_often(500, 100);
        assert_eq!(bench.got(&to).plain, 502, "silence does not limit it");
        bench.feeds.unseat(&to);
        bench.deliver();
        assert_eq!(bench.ended(), [Ended::Member(to.member)]);
    }
}

#[test]
fn c3_resuming_serves_one_member() {
    const MEMBERS: u32 = 10_000;
    const SLOW: u32 = 1_000;
    let mut bench = Bench::new();
    let all: Vec<_> = (1..=MEMBERS).map(|number| bench.carried(number)).collect();
    let slow: Vec<_> = all.iter().step_by((MEMBERS / SLOW) as usize).copied().collect();
    for to in &slow {
        bench.space.insert(to.member, 0);
    }
    bench.say_often(1, 100);
    assert_eq!(bench.got.len() as u32, MEMBERS - SLOW);
    bench.say_often(20, 100);
    bench.shares = 0;
    for to in &slow {
        bench.drain(to, 99_999);
        bench.turn(99);
    }
    assert!(all.iter().all(|to| bench.has_all(to, 1..22)));
    assert_eq!(bench.shares as u32, SLOW, "each turn serves the one that has space again");
}

#[test]
fn c2_detached_member_holds_nothing() {
    let mut bench = Bench::new();
    let [gone, quick] = [bench.carried(1), bench.carried(2)];
    bench.say_often(10, 100);
    bench.confirm(&gone, 6);
    bench.feeds.disprove(&gone);
    bench.say_often(3000, 1000);
    assert_eq!(bench.got(&gone).numbers.len(), 10, "nothing is sent");
    assert!(!bench.feeds.has_undelivered() && bench.has_all(&quick, 1..3011));
    bench.prove(&gone);
    bench.deliver();
    bench.advance(Duration::ZERO);
    let got = bench.got(&gone);
    assert_eq!(got.numbers[10], 6 + got.gone, "all that it has not confirmed, or its count");
    assert_eq!(got.numbers.last(), Some(&3010));
}

#[test]
fn c2_new_connection_repeats_the_unconfirmed() {
    let mut bench = Bench::new();
    let to = bench.carried(1);
    bench.say_often(10, 100);
    bench.confirm(&to, 4);
    bench.prove(&to);
    bench.deliver();
    bench.say_often(1, 100);
    let expected: Vec<u64> = (1..11).chain(4..12).collect();
    assert_eq!(bench.got(&to).numbers, expected);
    assert!(bench.paid > 700, "repeats count against the limits");
}

#[test]
fn c2_member_moves_between_paths() {
    let mut bench = Bench::new();
    let to = bench.by_datagrams(1);
    let carried = Recipient { is_carried: true, ..to };
    bench.say_often(5, 100);
    bench.confirm(&to, 3);
    bench.blocked.insert(to.member);
    bench.say_often(2, 100);
    bench.blocked.clear();
    bench.prove(&carried);
    bench.deliver();
    assert_eq!(bench.got(&to).numbers, [1, 2, 3, 4, 5, 3, 4, 5, 6, 7]);
    bench.feeds.disprove(&to);
    bench.say_often(1, 100);
    assert_eq!(bench.got(&to).numbers.len(), 10, "its new address is not proved");
    bench.prove(&to);
    bench.deliver();
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.got(&to).numbers.last(), Some(&8));
    assert_eq!(bench.got(&to).probes, 3, "probed again");
}

#[test]
fn c1_ended_member_is_freed_once_delivered() {
    let mut bench = Bench::new();
    let [slow, quick] = [bench.carried(1), bench.carried(2)];
    bench.space.insert(slow.member, 300);
    bench.say_often(9, 100);
    [slow, quick].iter().for_each(|to| bench.feeds.unseat(to));
    bench.deliver();
    assert_eq!(bench.ended(), [Ended::Member(quick.member)]);
    bench.drain(&slow, 9999);
    bench.deliver();
    assert_eq!(bench.ended(), [Ended::Member(slow.member)]);
    assert!(bench.has_all(&slow, 1..10));
}

#[test]
fn c1_unicast_goes_before_the_end() {
    let mut bench = Bench::new();
    let to = bench.carried(1);
    bench.feeds.unicast(&to, |out| out.push(b'x'));
    bench.feeds.unseat(&to);
    bench.turn(0);
    assert_eq!(bench.ended(), []);
    bench.deliver();
    assert_eq!((bench.got(&to).plain, bench.ended()), (1, vec![Ended::Member(to.member)]));
}

#[test]
fn c1_closed_room_ends_without_tombstones() {
    const MEMBERS: u32 = 3000;
    let mut bench = Bench::new();
    let all: Vec<_> = (1..=MEMBERS).map(|number| bench.carried(number)).collect();
    let other = bench.by_datagrams(MEMBERS + 1);
    for to in &all {
        bench.space.insert(to.member, 0);
    }
    assert_eq!(bench.say(100), Ok(()));
    bench.feeds.close(ROOM);
    bench.deliver();
    assert_eq!(bench.ended(), []);
    for to in &all {
        bench.drain(to, 999);
        bench.turn(9);
        assert_eq!(bench.ended(), [Ended::Member(to.member)]);
        assert!(bench.has_all(to, 1..2));
    }
    bench.feeds.forget(&other);
    assert_eq!(bench.ended(), [Ended::Member(other.member), Ended::Room(ROOM)]);
    assert_eq!(bench.feeds.counts(), FeedCounts::default());
}

#[test]
fn c2_detached_member_ends_at_once() {
    let mut bench = Bench::new();
    let [one, two] = [bench.carried(1), bench.carried(2)];
    bench.space.insert(two.member, 0);
    bench.feeds.disprove(&one);
    bench.say_often(1, 100);
    bench.feeds.unseat(&one);
    bench.deliver();
    assert_eq!(bench.ended(), [Ended::Member(one.member)]);
    bench.feeds.unseat(&two);
    bench.deliver();
    assert_eq!(bench.ended(), [], "its connection may still take everything");
    bench.feeds.disprove(&two);
    bench.deliver();
    assert_eq!(bench.ended(), [Ended::Member(two.member)]);
}
