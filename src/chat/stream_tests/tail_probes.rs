//! Tail probes of rooms that fell silent.

use super::*;

#[test]
fn field_p4_members_of_a_room_in_rhythm_get_few_tails() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let guest = stage.guest("r", "guest");
    stage.hush();
    for n in 0..20 {
        stage.say(&mut host, &format!("{n}"));
        stage.deliver();
        stage.advance(Duration::from_millis(60));
    }
    let tails = |stage: &Stage| stage.ear(&guest).sizes.iter().filter(|size| **size == 12).count();
    assert_eq!(tails(&stage), 1, "after the first message, when nobody knew of the rhythm");
    stage.advance(seconds(2));
    assert_eq!(tails(&stage), 4);
}

#[test]
fn s9_only_who_is_behind_is_told_and_nobody_whose_socket_is_full() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let [behind, here, full] = ["behind", "here", "full"].map(|name| stage.guest("r", name));
    let unproved = stage.try_enter(2, "r", "unproved", STREAM).expect("a place");
    stage.say(&mut host, "last");
    stage.deliver();
    let end = stage.ear(&here).next;
    for guest in [&host, &here] {
        stage.have(guest, end);
    }
    stage.hush();
    stage.blocked.insert(full.id);
    for (wait, count) in [(49, 0), (1, 1), (199, 1), (1, 2), (999, 2), (1, 3), (9999, 3)] {
        stage.advance(Duration::from_millis(wait));
        assert_eq!(stage.ear(&behind).sizes, vec![12; count]);
        assert_eq!(stage.ear(&here).sizes, [0; 0]);
        assert_eq!(stage.ear(&unproved).sizes, [0; 0]);
        assert!(!stage.chat.has_output());
    }
    assert_eq!(stage.ear(&behind).next, end);
}
