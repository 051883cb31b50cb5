//! Members on QUIC: loss, as with datagrams; detachment, as with connections; and an end without loss.

use super::*;
use crate::protocol::stream::Code;

const CARRY: &str = r#","carry":true"#;

/// Returns a stage with a room, its host, and a guest on QUIC that has received everything.
fn guest_on_quic(config: ChatConfig) -> (Stage, Guest, Guest) {
    let mut stage = Stage::new(config);
    let host = stage.host("r");
    let guest = stage.enter_quic("r", "guest");
    stage.deliver();
    (stage, host, guest)
}

/// Requests so many entries again, from the first one that is missing.
fn request_repair(stage: &mut Stage, guest: &Guest, count: u16) {
    let mut body = Vec::new();
    let from = stage.received(guest).next;
    upstream::encode_repair([Range { from, count }], &mut body);
    stage.on_quic(guest, &body);
}

impl Stage {
    fn enter_quic(&mut self, room: &str, name: &str) -> Guest {
        (self.is_encrypted, self.is_quic) = (true, true);
        let guest = self.try_enter(2, room, name, STREAM).expect("admission");
        (self.is_encrypted, self.is_quic) = (false, false);
        self.reachable.insert(guest.id);
        guest
    }

    fn resume_quic(&mut self, guest: &Guest, keys: &str) -> Result<Reply, Status> {
        (self.is_encrypted, self.is_quic) = (true, true);
        let reply = self.resume_on(guest, ELSEWHERE, keys);
        (self.is_encrypted, self.is_quic) = (false, false);
        self.reachable.insert(guest.id);
        reply
    }

    /// Hands over a datagram or a unit of a member on QUIC.
    fn on_quic(&mut self, guest: &Guest, body: &[u8]) -> DatagramOutcome {
        self.chat.handle_carried(guest.id, body, self.now)
    }

    fn have_on_quic(&mut self, guest: &Guest) {
        let mut body = Vec::new();
        upstream::encode_have(self.received(guest).next, &mut body);
        self.on_quic(guest, &body);
    }

    /// Delivers what is ready, and loses what goes to this member.
    fn lose(&mut self, guest: &Guest) {
        self.reachable.remove(&guest.id);
        self.deliver();
        self.reachable.insert(guest.id);
    }

    fn ends(&mut self) -> Vec<PathEnd> {
        self.deliver();
        std::iter::from_fn(|| self.chat.poll_path_end()).collect()
    }
}

#[test]
fn h8_loss_is_probed_and_repaired() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    stage.have_on_quic(&guest);
    stage.discard_received();
    stage.say(&mut host, "lost");
    stage.lose(&guest);
    stage.advance(Duration::from_millis(50));
    assert!(stage.received(&guest).is_probed, "a tail probe, as with datagrams");
    request_repair(&mut stage, &guest, 1);
    stage.deliver();
    assert_eq!(stage.received(&guest).texts(), ["lost"]);
}

#[test]
fn h8_full_connection_waits_for_space() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    let other = stage.guest("r", "other");
    stage.deliver();
    stage.discard_received();
    stage.blocked.insert(guest.id);
    stage.say(&mut host, "one");
    stage.deliver();
    assert_eq!(stage.received(&other).texts(), ["one"], "it delays nobody");
    assert!(stage.received(&guest).texts().is_empty());
    stage.unblock();
    stage.advance(Duration::from_millis(5));
    assert_eq!(stage.received(&guest).texts(), ["one"]);
}

#[test]
fn h8_end_repeats_what_was_lost() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    stage.have_on_quic(&guest);
    stage.discard_received();
    stage.say(&mut host, "one");
    stage.say(&mut host, "two");
    stage.lose(&guest);
    stage.say(&mut host, "/kick guest");
    assert_eq!(stage.chat.poll_turned(), Some(guest.id));
    let end = PathEnd { member: guest.id, code: Some(Code::Removed) };
    assert_eq!(stage.ends(), [end]);
    let received = stage.received(&guest);
    assert_eq!((received.texts(), received.skipped), (vec!["one", "two"], 0));
    assert_eq!(received.asides.len(), 1, "told once");
    assert_eq!((received.asides[0].0, stage.chat.census().tombstones), (7, 0));
    assert_eq!(stage.chat.poll_turned(), None);
}

#[test]
fn h8_closed_room_ends_its_sessions() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    stage.have_on_quic(&guest);
    let gone = stage.enter_quic("r", "gone");
    stage.deliver();
    stage.chat.handle_path_end(gone.id, stage.now);
    stage.reachable.remove(&gone.id);
    stage.discard_received();
    stage.say(&mut host, "bye");
    stage.lose(&guest);
    stage.say(&mut host, "/exit");
    while stage.chat.has_output() {
        stage.turn(3);
    }
    let end = PathEnd { member: guest.id, code: Some(Code::RoomClosed) };
    assert_eq!(stage.ends(), [end], "the detached one has no session");
    assert_eq!(stage.received(&guest).texts(), ["bye", "the room was closed"]);
    stage.advance(seconds(70));
    assert_eq!(stage.chat.census(), Census::default(), "nothing is left");
}

#[test]
fn h8_cut_session_detaches_its_member() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    stage.have_on_quic(&guest);
    stage.discard_received();
    stage.chat.handle_path_end(guest.id, stage.now);
    stage.reachable.remove(&guest.id);
    stage.say(&mut host, "meanwhile");
    stage.advance(seconds(29));
    assert_eq!(stage.received(&host).texts(), ["meanwhile"], "nobody notices");
    stage.resume_quic(&guest, "").expect("a path");
    stage.advance(seconds(1));
    assert_eq!(stage.received(&guest).texts(), ["meanwhile"]);
    stage.advance(seconds(40));
    assert!(stage.chat.directory.live(guest.id).is_some(), "it is attached");
    assert!(stage.ends().is_empty());
}

#[test]
fn h8_session_changes_with_carried() {
    let (mut stage, mut host, guest) = guest_on_quic(unlimited());
    stage.have_on_quic(&guest);
    stage.discard_received();
    for keys in [CARRY, "", CARRY] {
        stage.say(&mut host, "lost");
        stage.lose(&guest);
        stage.resume_quic(&guest, keys).expect("a path");
        // The end of the earlier connection ends nothing.
        stage.chat.handle_disconnect(guest.id, stage.now);
        stage.advance(seconds(2));
        if keys.is_empty() {
            request_repair(&mut stage, &guest, 9);
            stage.deliver();
        }
        stage.have_on_quic(&guest);
    }
    assert_eq!(stage.received(&guest).texts(), ["lost"; 3]);
    assert_eq!(stage.resume(&guest, HOME), Err(Status::RoomNotFound), "never in the clear");
}

#[test]
fn h8_acknowledged_ping_is_a_sign_of_life() {
    let (mut stage, host, guest) = guest_on_quic(unlimited());
    for _ in 0..10 {
        stage.advance(seconds(60));
        stage.chat.note_alive(guest.id, stage.now);
        stage.send(&host, b"");
    }
    assert!(stage.chat.directory.live(guest.id).is_some());
    stage.chat.handle_path_end(guest.id, stage.now);
    stage.chat.note_alive(guest.id, stage.now);
    stage.advance(seconds(31));
    assert!(stage.chat.directory.live(guest.id).is_none(), "not of a detached one");
}

#[test]
fn h8_sessions_count_as_carried() {
    let mut stage =
        Stage::new(ChatConfig { max_carried: Some(2), max_carried_ip: Some(2), ..unlimited() });
    stage.host("r");
    stage.enter_quic("r", "one");
    let two = stage.enter_quic("r", "two");
    let refused = stage.try_enter(2, "r", "three", r#","carry":true"#).err();
    assert_eq!(refused, Some(Status::RateLimited));
    stage.resume_quic(&two, "").expect("it counts already");
    let from_home = stage.try_enter(2, "r", "three", r#","carry":true"#).err();
    assert_eq!(from_home, Some(Status::ServerFull));
}

/// Runs a room with a guest that loses a part of its datagrams, confirms and asks at random, and is
/// removed. In the end it has every entry before its end, once and in order.
#[test]
fn h8_seeded_loss_ends_whole() {
    for seed in 1..=200u64 {
        let (mut stage, mut host, guest) = guest_on_quic(unlimited());
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice >> 11) % sides
        };
        let mut is_behind = false;
        for step in 0..40 {
            stage.say(&mut host, &format!("{step}"));
            // After a loss the receiver of this test cannot keep later entries, so it loses them too.
            is_behind |= roll(8) == 0;
            if is_behind {
                stage.lose(&guest)
            } else {
                stage.deliver()
            }
            match roll(6) {
                0 => stage.have_on_quic(&guest),
                1 => {
                    request_repair(&mut stage, &guest, 99);
                    stage.deliver();
                    is_behind = stage.received(&guest).next < stage.received(&host).next;
                }
                _ => {}
            }
        }
        stage.say(&mut host, "/kick guest");
        let end = PathEnd { member: guest.id, code: Some(Code::Removed) };
        assert_eq!(stage.ends(), [end], "seed {seed}");
        let received = stage.received(&guest);
        let said: Vec<&str> = received.texts().into_iter().filter(|text| text.len() < 3).collect();
        let expected: Vec<String> = (0..40).map(|step| step.to_string()).collect();
        assert_eq!(said, expected, "seed {seed}");
        assert_eq!((received.skipped, received.gone), (0, 0), "seed {seed}");
    }
}
