//! Tests how much a room's ring accepts and retains.

use super::*;

#[test]
fn s12_ring_grows_before_it_refuses() {
    let mut stage = Stage::new(unlimited());
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
fn s12_half_the_ring_is_for_repairs() {
    let mut stage = Stage::new(ChatConfig { room_history: 65_536, ..unlimited() });
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
    assert_eq!(stage.received(&host).asides.len(), 1);
    assert_eq!(stage.received(&host).asides[0].0, 8);
}

/// Keeps `in_flight` messages of 1,000 bytes in flight for 100 turns of `budget` datagrams.
/// Returns the number of deferred messages. A message is in flight until the first `receivers`
/// members have it.
fn deferred_under_load(in_flight: u64, budget: usize, receivers: usize) -> usize {
    let mut stage = Stage::new(ChatConfig { fanout_limit: None, ..unlimited() });
    let mut members = vec![stage.host("r")];
    members.extend((1..20).map(|n| stage.guest("r", &format!("guest{n}"))));
    stage.discard_received();
    let (text, mut end) = ("x".repeat(1000), stage.received(&members[0]).next);
    let (mut sender, mut deferred) = (0, 0);
    for _ in 0..100 {
        let nexts = members[..receivers].iter().map(|member| stage.received(member).next);
        let lowest = nexts.min().unwrap_or(end);
        for _ in end - lowest..in_flight {
            match stage.say(&mut members[sender % 20], &text) {
                MessageOutcome::Relayed => end += 1,
                _ => deferred += 1,
            }
            sender += 1;
        }
        stage.turn(budget);
    }
    stage.deliver();
    members.iter().for_each(|member| stage.assert_whole(member, end));
    deferred
}

#[test]
fn field_p1_half_full_ring_accepts() {
    // 500 messages fill 95 % of half the ring. Delivery to everyone takes up to 625 datagrams.
    for (in_flight, budget) in [(64, 2048), (64, 600), (500, 600), (500, 50), (500, 7)] {
        let deferred = deferred_under_load(in_flight, budget, 20);
        assert_eq!(deferred, 0, "{in_flight}, budget {budget}");
    }
}

#[test]
fn field_p1_load_leaves_nobody_behind() {
    for budget in [2048, 600, 50] {
        assert_eq!(deferred_under_load(256, budget, 1), 0, "budget {budget}");
    }
}

#[test]
fn s12_minimum_ring_is_guaranteed() {
    let mut stage = Stage::new(ChatConfig { history_memory: Some(6000), ..unlimited() });
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
    assert_eq!(stage.received(&host).gone, 0);
    assert_eq!(stage.received(&host).texts().last(), Some(&&*long));
}
