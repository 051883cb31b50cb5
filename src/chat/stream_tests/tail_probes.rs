//! Tests tail probes, which announce the last sequence number of a quiet room.

use super::*;

#[test]
fn field_p4_steady_room_probes_once() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.discard_received();
    for n in 0..20 {
        stage.say(&mut host, &format!("{n}"));
        stage.deliver();
        stage.advance(Duration::from_millis(60));
    }
    let probes =
        |stage: &Stage| stage.received(&guest).sizes.iter().filter(|size| **size == 12).count();
    assert_eq!(probes(&stage), 1, "only before the interval between messages is known");
    stage.advance(seconds(2));
    assert_eq!(probes(&stage), 4);
}

#[test]
fn s9_only_late_members_get_probes() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let [behind, here, full] = ["behind", "here", "full"].map(|name| stage.guest("r", name));
    let unproved = stage.try_enter(2, "r", "unproved", STREAM).expect("admission");
    stage.say(&mut host, "last");
    stage.deliver();
    let end = stage.received(&here).next;
    for guest in [&host, &here] {
        stage.have(guest, end);
    }
    stage.discard_received();
    stage.blocked.insert(full.id);
    for (wait, count) in [(49, 0), (1, 1), (199, 1), (1, 2), (999, 2), (1, 3), (9999, 3)] {
        stage.advance(Duration::from_millis(wait));
        assert_eq!(stage.received(&behind).sizes, vec![12; count]);
        assert_eq!(stage.received(&here).sizes, [0; 0]);
        assert_eq!(stage.received(&unproved).sizes, [0; 0]);
        assert!(!stage.chat.has_output());
    }
    assert_eq!(stage.received(&behind).next, end);
}
