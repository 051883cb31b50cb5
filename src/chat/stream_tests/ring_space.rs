//! Space in the rings of rooms.

use super::*;

#[test]
fn s12_a_young_ring_grows_before_it_refuses() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut text = stage.enter(2, "r", "text", "");
    stage.deliver();
    for n in 0..200 {
        assert_eq!(stage.say(&mut host, &"x".repeat(100)), MessageOutcome::Relayed, "{n}");
        assert_eq!(stage.say(&mut text, &"y".repeat(100)), MessageOutcome::Relayed, "{n}");
    }
    stage.deliver();
    stage.assert_whole(&host, 403);
}

#[test]
fn s12_half_of_the_ring_is_for_what_was_lost() {
    let mut stage = Stage::new(ChatConfig { room_history: 65_536, ..open() });
    let mut host = stage.host("r");
    stage.deliver();
    let mut taken = 0;
    while stage.say(&mut host, &"x".repeat(1000)) == MessageOutcome::Relayed {
        taken += 1;
        assert!(taken < 100);
    }
    assert!((30..=32).contains(&taken), "{taken}");
    stage.deliver();
    assert_eq!(stage.say(&mut host, "now there is space"), MessageOutcome::Relayed);
    assert_eq!(stage.ear(&host).asides.len(), 1);
    assert_eq!(stage.ear(&host).asides[0].0, 8);
}

/// Keeps `in_flight` messages of 1,000 bytes under way for 100 turns of so many datagrams, and
/// counts those that were put off. A message is under way until the first `hearers` members have
/// it.
fn put_off_under_load(in_flight: u64, budget: usize, hearers: usize) -> usize {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..open() });
    let mut members = vec![stage.host("r")];
    members.extend((1..20).map(|n| stage.guest("r", &format!("guest{n}"))));
    stage.hush();
    let (text, mut end) = ("x".repeat(1000), stage.ear(&members[0]).next);
    let (mut speaker, mut put_off) = (0, 0);
    for _ in 0..100 {
        let heard = members[..hearers].iter().map(|member| stage.ear(member).next);
        let lowest = heard.min().unwrap_or(end);
        for _ in end - lowest..in_flight {
            match stage.say(&mut members[speaker % 20], &text) {
                MessageOutcome::Relayed => end += 1,
                _ => put_off += 1,
            }
            speaker += 1;
        }
        stage.turn(budget);
    }
    stage.deliver();
    members.iter().for_each(|member| stage.assert_whole(member, end));
    put_off
}

#[test]
fn field_p1_nothing_is_put_off_below_half_of_the_ring() {
    // 500 messages are 95 % of half of the ring; a round to everyone takes up to 625 datagrams.
    for (in_flight, budget) in [(64, 2048), (64, 600), (500, 600), (500, 50), (500, 7)] {
        let put_off = put_off_under_load(in_flight, budget, 20);
        assert_eq!(put_off, 0, "{in_flight}, budget {budget}");
    }
}

#[test]
fn field_p1_no_member_stays_behind_under_load() {
    for budget in [2048, 600, 50] {
        assert_eq!(put_off_under_load(256, budget, 1), 0, "budget {budget}");
    }
}

#[test]
fn s12_the_least_that_a_ring_may_have_is_not_taken_from_it() {
    let mut stage = Stage::new(ChatConfig { history_memory: Some(6000), ..open() });
    let mut host = stage.host("r");
    stage.deliver();
    let long = "x".repeat(4000);
    assert_eq!(stage.say(&mut host, &long), MessageOutcome::Relayed);
    for other in 0..4 {
        let mut guest = stage.host(&format!("other{other}"));
        for _ in 0..10 {
            stage.say(&mut guest, &"y".repeat(300));
        }
    }
    stage.deliver();
    assert_eq!(stage.ear(&host).gone, 0);
    assert_eq!(stage.ear(&host).said().last(), Some(&&*long));
}
