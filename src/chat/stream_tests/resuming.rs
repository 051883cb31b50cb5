//! Members that go on from another IP.

use super::*;

#[test]
fn s14_who_was_behind_a_full_socket_and_resumed_gets_nothing_before_it_is_proved_again() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    let mut guest = stage.guest("r", "guest");
    stage.deliver();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.deliver();
    let token = String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    stage.request(elsewhere, 4, "r", &token).expect("to go on");
    stage.reachable.remove(&guest.id);
    stage.unblock();
    stage.say(&mut host, "two");
    stage.deliver();
    guest.address.set_ip(elsewhere.into());
    stage.send(&guest, b"");
    stage.deliver();
    let end = stage.ear(&host).next;
    stage.assert_whole(&guest, end);
}

#[test]
fn s14_the_same_request_again_is_no_unproved_member_more() {
    let mut stage = Stage::new(ChatConfig { max_unproved: Some(1), ..open() });
    let host = stage.host("r");
    stage.chat.handle_disconnect(host.id, stage.now);
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    for _ in 0..3 {
        assert!(stage.request(Ipv4Addr::new(192, 0, 2, 2), 4, "r", &token).is_ok());
        stage.chat.handle_disconnect(host.id, stage.now);
        stage.chat.handle_timeout(stage.now, usize::MAX);
    }
    assert!(stage.chat.live(host.id).is_some());
}

#[test]
fn s14_field_b_a_member_that_resumes_counts_as_heard() {
    let mut stage = Stage::new(open());
    let host = stage.host("r");
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    stage.advance(seconds(299));
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    assert!(stage.request(elsewhere, 4, "r", &token).is_ok());
    stage.advance(seconds(299));
    assert!(stage.chat.live(host.id).is_some(), "its next datagram may be on its way");
    stage.advance(seconds(1));
    assert!(stage.chat.live(host.id).is_none());
}

#[test]
fn w13_s14_a_port_announced_from_the_ip_that_a_member_has_left_is_not_its_own() {
    let mut stage = Stage::new(open());
    let host = stage.enter(1, "r", "host", "");
    let token = String::from_utf8(host.token.to_wire().to_vec()).expect("hex");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    stage.request(elsewhere, 4, "r", &token).expect("to go on");
    assert!(!stage.chat.handle_announcement(host.id, SocketAddr::from((HOME, 9))));
    assert!(stage.chat.handle_announcement(host.id, SocketAddr::from((elsewhere, 9))));
}

#[test]
fn s14_a_peer_with_members_enough_gets_none_by_resuming() {
    let mut stage = Stage::new(ChatConfig { max_members_ip: Some(2), ..open() });
    let host = stage.host("r");
    let guest = stage.guest("r", "guest");
    let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
    let hex = |guest: &Guest| String::from_utf8(guest.token.to_wire().to_vec()).expect("hex");
    assert!(stage.request(elsewhere, 4, "r", &hex(&host)).is_ok());
    stage.guest("r", "other");
    assert_eq!(stage.request(HOME, 4, "r", &hex(&host)), Err(Status::RateLimited));
    assert!(stage.request(HOME, 4, "r", &hex(&guest)).is_ok(), "it is of that peer already");
}
