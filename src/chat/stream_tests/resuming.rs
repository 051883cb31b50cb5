//! Tests connection migration: members that move to another IP.

use super::*;

#[test]
fn s14_nothing_is_sent_before_proof() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    stage.deliver();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.deliver();
    stage.resume(&guest, ELSEWHERE).expect("migration");
    stage.reachable.remove(&guest.id);
    stage.unblock();
    stage.say(&mut host, "two");
    stage.deliver();
    guest.address = (ELSEWHERE, guest.address.port()).into();
    stage.send(&guest, b"");
    stage.deliver();
    let end = stage.received(&host).next;
    stage.assert_whole(&guest, end);
}

#[test]
fn s14_repeated_resume_counts_once() {
    let mut stage = Stage::new(ChatConfig { max_unproved: Some(1), ..unlimited() });
    let host = stage.host("r");
    stage.chat.handle_disconnect(host.id, stage.now);
    for _ in 0..3 {
        assert!(stage.resume(&host, ELSEWHERE).is_ok());
        stage.chat.handle_disconnect(host.id, stage.now);
        stage.chat.handle_timeout(stage.now, usize::MAX);
    }
    assert!(stage.chat.directory.live(host.id).is_some());
}

#[test]
fn s14_field_b_resume_resets_idle_time() {
    let mut stage = Stage::new(unlimited());
    let host = stage.host("r");
    stage.advance(seconds(299));
    assert!(stage.resume(&host, ELSEWHERE).is_ok());
    stage.advance(seconds(299));
    assert!(stage.chat.directory.live(host.id).is_some(), "migration counts as activity");
    stage.advance(seconds(1));
    assert!(stage.chat.directory.live(host.id).is_none());
}

#[test]
fn w13_s14_old_ip_cannot_announce() {
    let mut stage = Stage::new(unlimited());
    let host = stage.enter(1, "r", "host", "");
    stage.resume(&host, ELSEWHERE).expect("migration");
    assert!(!stage.chat.handle_announcement(host.id, Endpoint::from((HOME, 9))));
    assert!(stage.chat.handle_announcement(host.id, Endpoint::from((ELSEWHERE, 9))));
}

#[test]
fn s14_resume_respects_ip_limit() {
    let mut stage = Stage::new(ChatConfig { max_members_ip: Some(2), ..unlimited() });
    let host = stage.host("r");
    let guest = stage.guest("r", "guest");
    assert!(stage.resume(&host, ELSEWHERE).is_ok());
    stage.guest("r", "other");
    assert_eq!(stage.resume(&host, HOME), Err(Status::RateLimited));
    assert!(stage.resume(&guest, HOME).is_ok(), "the member counts for that IP already");
}
