//! Sessions: requests, messages in both directions, loss, and the end.

use super::*;
use crate::fanout::{Audience, Extent, Job, NO_TAG, Receipt, Share, Tag};

const TAG: Tag = *b"tag!";

impl Stage {
    /// Offers messages to a member, numbered ones with a tag. Returns the receipt, and the number that is left.
    fn carry(&mut self, member: MemberId, contents: &[&[u8]], is_tagged: bool) -> (Receipt, u32) {
        let mut end = 0;
        let extents = contents.iter().map(|content| {
            end += content.len() as u32;
            Extent { end, audience: Audience::All }
        });
        let (entries, bytes): (Vec<_>, _) = (extents.collect(), contents.concat());
        let tag = if is_tagged { TAG } else { NO_TAG };
        let until = contents.len() as u32;
        let mut to = [Share { member, cursor: 0, next: 0, until, tag }];
        let job = Job { bytes: &bytes, entries: &entries, to: &mut to, is_tagged };
        let receipt = self.quic.carry(job, 9_999);
        (receipt, to[0].until - to[0].next)
    }

    fn ends(&mut self) -> Vec<(MemberId, bool)> {
        let ends = self.events.drain(..).filter_map(|event| match event {
            Event::Ended { member, was_path } => Some((member, was_path)),
            _ => None,
        });
        ends.collect()
    }
}

#[test]
fn h8_list_ends_its_stream() {
    let mut stage = Stage::new();
    let (client, id) = stage.open_session();
    // More than the peer may have open at once: each gives its place back.
    for _ in 0..20 {
        let stream = stage.clients[client].request(b"list");
        stage.settle();
        let (asked, _) = stage.take_request();
        assert!(stage.quic.is_asked(id, asked));
        stage.quic.reply(id, asked, b"rooms", stage.now);
        assert!(!stage.quic.is_asked(id, asked));
        stage.advance(100);
        assert_eq!(stage.clients[client].units(stream), [b"rooms"]);
        assert!(stage.clients[client].finished.contains(&stream));
        // As a browser, in answer to STOP_SENDING.
        let mut send = stage.clients[client].connection.send_stream(stream);
        assert!(send.finish().is_err() && send.reset(0u32.into()).is_ok());
        stage.advance(100);
    }
}

#[test]
fn h8_messages_go_both_ways() {
    let mut stage = Stage::new();
    let (client, _, stream) = stage.enter(member(1), false);
    stage.clients[client].send_datagram(b"by datagram");
    stage.clients[client].send_unit(stream, b"by unit");
    stage.settle();
    let mut messages = stage.take_messages();
    messages.sort();
    assert_eq!(messages, [&b"by datagram"[..], b"by unit"]);
    let large = [b'x'; 1_500];
    let (receipt, left) = stage.carry(member(1), &[b"....small", &large], true);
    assert_eq!((receipt.sent, left, receipt.unrouted), (2, 0, false));
    stage.settle();
    assert_eq!(stage.clients[client].datagrams, [&b"tag!small"[..]]);
    let units = stage.clients[client].units(stream);
    assert_eq!((units.len(), &units[1][..5], units[1].len()), (2, &b"tag!x"[..], 1_500));
    let (receipt, left) = stage.carry(member(2), &[b"other"], false);
    assert_eq!((receipt.unrouted, left), (true, 1), "not a member on QUIC");
}

#[test]
fn h8_full_connection_keeps_the_share() {
    let mut stage = Stage::new();
    let (client, _, _) = stage.enter(member(1), false);
    let contents = [&[b'x'; 1_100][..]; 200];
    let (receipt, left) = stage.carry(member(1), &contents, true);
    assert!(receipt.blocked && left > 0, "{receipt:?}");
    let taken = receipt.sent;
    assert!(taken * 1_100 <= 32 * 1024, "the buffer has a limit");
    let (receipt, left) = stage.carry(member(1), &contents[..1], false);
    assert_eq!((receipt.dropped, left), (1, 0), "what nobody repeats is dropped");
    stage.events.clear();
    stage.advance(1_000);
    let is_space = |event: &Event| matches!(event, Event::Space(id) if *id == member(1));
    assert_eq!(stage.events.iter().filter(|event| is_space(event)).count(), 1);
    assert_eq!(stage.clients[client].datagrams.len(), taken);
    assert_eq!(stage.carry(member(1), &contents[..2], true).1, 0, "there is space again");
}

#[test]
fn h8_end_hands_over_the_rest() {
    let mut stage = Stage::new();
    let (client, _, stream) = stage.enter(member(1), false);
    stage.loss = 4;
    stage.quic.turn(member(1));
    let contents: Vec<Vec<u8>> = (0..40u8).map(|number| vec![number; 1_000]).collect();
    let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    assert_eq!(stage.carry(member(1), &slices, false).1, 0);
    stage.quic.end(member(1), Some(7), stage.now);
    assert!(!stage.quic.is_path_of(member(1)));
    stage.clients[client].send_datagram(b"too late");
    stage.advance(4_000);
    assert!(stage.clients[client].datagrams.is_empty(), "all on the stream");
    assert_eq!(stage.clients[client].units(stream)[1..], contents);
    assert!(stage.clients[client].finished.contains(&stream));
    let closed = &stage.clients[client].received[&session()];
    let capsule = [&[0x68, 0x43, 4][..], &4_007u32.to_be_bytes()].concat();
    assert!(closed.ends_with(&capsule), "{closed:x?}");
    stage.loss = 0;
    stage.advance(10_000);
    assert_eq!(stage.ends(), [(member(1), false)]);
    stage.advance(10_000);
    assert!(stage.quic.is_over() && stage.quic.count() == 0, "nothing is left");
}

#[test]
fn h8_loss_is_repaired_on_streams() {
    for seed in 1..6 {
        let mut stage = Stage::new();
        stage.dice ^= seed << 20;
        let (client, _, stream) = stage.enter(member(1), true);
        stage.loss = 5;
        let sent: Vec<Vec<u8>> = (0..200u8).map(|number| vec![number; 50]).collect();
        for content in &sent {
            stage.clients[client].send_unit(stream, content);
        }
        stage.advance(40_000);
        assert_eq!(stage.take_messages(), sent, "seed {seed}");
    }
}

#[test]
fn h8_lost_peer_is_told_once() {
    let mut stage = Stage::new();
    let (client, _, _) = stage.enter(member(1), false);
    stage.events.clear();
    stage.clients[client].connection.close(stage.now, 0u32.into(), Bytes::new());
    stage.advance(10_000);
    assert_eq!(stage.ends(), [(member(1), true)]);
    let (client, id, _) = stage.enter(member(2), false);
    stage.clients.remove(client);
    stage.advance(61_000);
    assert_eq!(stage.ends(), [(member(2), true)], "silence for a minute");
    assert!(!stage.quic.is_path_of(member(2)) && stage.quic.first_origin(id).is_none());
    assert_eq!(stage.quic.count(), 0);
}

#[test]
fn h8_end_of_the_stream_ends_the_session() {
    let mut stage = Stage::new();
    let (client, _, stream) = stage.enter(member(1), false);
    stage.events.clear();
    stage.clients[client].connection.send_stream(stream).finish().expect("its end");
    stage.advance(1);
    assert_eq!(stage.ends(), [(member(1), true)]);
    stage.advance(10_000);
    assert_eq!(stage.quic.count(), 0);
}

#[test]
fn h8_ping_shows_that_a_browser_lives() {
    let mut stage = Stage::new();
    stage.enter(member(1), false);
    stage.events.clear();
    for _ in 0..5 {
        stage.advance(21_000);
        let is_alive = |event: Event| matches!(event, Event::Alive(id) if id == member(1));
        assert!(stage.events.drain(..).any(is_alive), "a silent script");
    }
}

#[test]
fn h8_member_moves_between_sessions() {
    let mut stage = Stage::new();
    let (old, _, _) = stage.enter(member(1), false);
    let (new, _, _) = stage.enter(member(1), false);
    let capsule = 4_000u32.to_be_bytes();
    assert!(stage.clients[old].received[&session()].ends_with(&capsule), "without a reason");
    stage.carry(member(1), &[b"hello"], false);
    stage.settle();
    assert_eq!(stage.clients[new].datagrams, [&b"hello"[..]]);
    stage.advance(10_000);
    assert_eq!(stage.ends(), [(member(1), false)], "its old connection ends nothing");
}

#[test]
fn h8_peer_changes_its_address() {
    let mut stage = Stage::new();
    let (client, _, _) = stage.enter(member(1), false);
    stage.clients[client].address = SocketAddr::from(([198, 51, 100, 7], 4_444));
    stage.clients[client].send_datagram(b"from elsewhere");
    stage.advance(2_000);
    assert_eq!(stage.take_messages(), [&b"from elsewhere"[..]]);
    stage.carry(member(1), &[b"to elsewhere"], false);
    stage.advance(1_000);
    assert_eq!(stage.clients[client].datagrams, [&b"to elsewhere"[..]]);
}

#[test]
fn h9_other_certificate_is_for_new_ones() {
    let mut stage = Stage::new();
    let (old, _, stream) = stage.enter(member(1), false);
    let (server, client_config) = certificate();
    stage.quic.set_certificate(&server);
    stage.client_config = client_config;
    stage.enter(member(2), false);
    stage.clients[old].send_unit(stream, b"still here");
    stage.settle();
    assert_eq!(stage.take_messages(), [&b"still here"[..]]);
}
