//! Limits: proved addresses, handshakes, connections, time, and bad input.

use proptest::prelude::*;
use quinn_proto::WriteError;

use super::*;

#[test]
fn h8_address_is_proved_before_anything() {
    let mut stage = Stage::new();
    stage.add_client();
    assert!(stage.send_up());
    let waits = (stage.quic.count(), stage.quic.has_work());
    assert_eq!(waits, (0, true), "a reply, and no connection");
    stage.turn();
    // A hello of a post-quantum key exchange takes two packets.
    assert!((1..=2).contains(&stage.sent.len()), "{:?}", stage.sent);
    assert!(stage.sent.iter().all(|size| *size < 200), "Retry: {:?}", stage.sent);
    assert_eq!(stage.quic.take_count(Count::Replies), stage.sent.len() as u64);
    stage.settle();
    assert!(stage.clients[0].is_connected);
    assert_eq!((stage.quic.take_count(Count::Replies), stage.quic.count()), (0, 1));
}

/// A peer that is allowed to clears the bit that tells QUIC from other datagrams (RFC 9287).
#[test]
fn h1_fixed_bit_is_not_greased() {
    let settings = format!("{:?}", settings::endpoint());
    assert!(settings.contains("grease_quic_bit: false"), "{settings}");
}

#[test]
fn h8_windows_have_64_kib() {
    let mut stage = Stage::new();
    let index = stage.add_client();
    stage.settle();
    let connection = &mut stage.clients[index].connection;
    let written: Vec<_> = (0..2)
        .map(|_| {
            let stream = connection.streams().open(Dir::Bi).expect("a stream");
            connection.send_stream(stream).write(&[0; 100 * 1024])
        })
        .collect();
    assert!(matches!(written[..], [Ok(65_536), Err(WriteError::Blocked)]), "{written:?}");
}

#[test]
fn h8_turn_answers_four_hellos() {
    let mut stage = Stage::new();
    stage.add_clients(8);
    stage.send_up();
    stage.turn();
    stage.send_up();
    let mut begun = Vec::new();
    while begun.iter().sum::<u64>() < 8 {
        stage.turn();
        begun.push(stage.quic.take_count(Count::Begun));
        assert!(begun.len() < 9, "{begun:?}");
    }
    // A hello of a post-quantum key exchange takes two packets, and the second one may come later.
    assert!(begun.len() >= 2 && begun.iter().all(|count| *count <= 5), "{begun:?}");
    stage.settle();
    assert!(stage.clients.iter().all(|client| client.is_connected));
    assert_eq!(stage.quic.take_count(Count::Handshakes), 8);
}

#[test]
fn h8_peer_has_eight_handshakes_at_once() {
    let mut stage = Stage::new();
    stage.add_clients(10);
    stage.send_up();
    stage.turn();
    stage.send_up();
    for _ in 0..6 {
        stage.quic.answer_greetings(stage.now, |_, _| true);
        stage.quic.end_turn();
    }
    assert_eq!((stage.quic.count(), stage.quic.take_count(Count::Refused)), (8, 2));
    stage.settle();
    let refused = stage.clients.iter().filter(|client| client.lost.is_some());
    assert_eq!(refused.count(), 2, "they are told");
}

#[test]
fn h8_full_server_refuses() {
    let mut stage = Stage::new();
    stage.max = 1;
    let first = stage.add_client();
    stage.settle();
    let second = stage.add_client();
    stage.settle();
    assert!(stage.clients[first].is_connected && !stage.clients[second].is_connected);
    assert!(matches!(
        stage.clients[second].lost,
        Some(ConnectionError::ConnectionClosed(ref close))
            if close.error_code == quinn_proto::TransportErrorCode::CONNECTION_REFUSED
    ));
    stage.quic.finish_all(stage.now);
    stage.max = 9;
    let third = stage.add_client();
    stage.settle();
    assert!(stage.clients[first].lost.is_some() && !stage.clients[third].is_connected);
}

#[test]
fn h8_session_without_request_times_out() {
    let mut stage = Stage::new();
    stage.open_session();
    stage.advance(110_000);
    assert_eq!(stage.quic.count(), 1);
    stage.advance(20_000);
    assert_eq!((stage.quic.count(), stage.quic.take_count(Count::TimedOut)), (0, 1));
}

#[test]
fn h8_long_unit_ends_its_connection() {
    let mut stage = Stage::new();
    let (bad, _, stream) = stage.enter(member(1), false);
    let (good, _, other) = stage.enter(member(2), false);
    stage.events.clear();
    stage.clients[bad].write(stream, &[0x10, 0x01]);
    stage.clients[good].send_unit(other, &[b'x'; 4_096]);
    stage.settle();
    assert!(stage.clients[bad].lost.is_some() && stage.clients[good].lost.is_none());
    assert_eq!(stage.quic.take_count(Count::Faults), 1);
    assert_eq!(stage.take_messages().len(), 1);
    assert!(stage.quic.is_path_of(member(2)) && !stage.quic.is_path_of(member(1)));
}

#[test]
fn h8_damaged_packets_are_lost_ones() {
    for seed in 1..6 {
        let mut stage = Stage::new();
        stage.dice ^= seed << 20;
        let (client, _, stream) = stage.enter(member(1), false);
        stage.events.clear();
        stage.noise = 3;
        let sent: Vec<Vec<u8>> = (0..100u8).map(|number| vec![number; 99]).collect();
        for content in &sent {
            stage.clients[client].send_unit(stream, content);
            stage.settle();
        }
        stage.advance(40_000);
        assert_eq!(stage.take_messages(), sent, "seed {seed}");
    }
}

#[test]
fn h8_unread_answers_stop_requests() {
    let mut stage = Stage::new();
    let (client, id) = stage.open_session();
    // The answers are larger than the windows of a client that reads nothing.
    let answer = vec![b'x'; 60_000];
    let mut asked = 0;
    for _ in 0..3 {
        stage.clients[client].request(b"list");
    }
    for _ in 0..9 {
        stage.send_up();
        stage.quic.answer_greetings(stage.now, |_, _| true);
        while let Some(event) = stage.quic.poll_event(stage.now) {
            if let Event::Request { stream, .. } = event {
                asked += 1;
                stage.quic.reply(id, stream, &answer, stage.now);
            }
        }
    }
    assert_eq!(asked, 2, "the first fills the window, and the second waits");
    stage.advance(5_000);
    assert!(matches!(stage.events.pop_back(), Some(Event::Request { .. })), "now it is read");
}

#[test]
fn h8_unknown_version_gets_a_short_answer() {
    let mut stage = Stage::new();
    let remote = Address::from(SocketAddr::from(([192, 0, 2, 9], 9)));
    let origin = Origin { socket: 0, local: None, remote };
    let mut initial = vec![0u8; 1_200];
    initial[..7].copy_from_slice(&[0xc0, 0x0a, 0x0a, 0x0a, 0x0a, 8, 1]);
    stage.quic.handle_datagram(&origin, &initial, stage.now);
    let (to, reply) = stage.quic.poll_reply().expect("version negotiation");
    assert!(to == origin && reply.len() < 60);
    stage.quic.handle_datagram(&origin, &initial[..1_199], stage.now);
    assert!(stage.quic.poll_reply().is_none(), "a short one might be forged");
    assert_eq!(stage.quic.take_count(Count::Strays), 1);
    // A packet of a connection that is gone.
    let short = [&[0x41, 0x80][..], &[7; 60]].concat();
    stage.quic.handle_datagram(&origin, &short, stage.now);
    let (_, reset) = stage.quic.poll_reply().expect("a reset");
    assert!(reset.len() < short.len());
}

proptest! {
    #[test]
    fn h8_no_datagram_breaks_the_server(
        mut datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 2..1_400), 1..20),
        is_long: bool,
    ) {
        let mut stage = Stage::new();
        let remote = Address::from(SocketAddr::from(([192, 0, 2, 9], 9)));
        let origin = Origin { socket: 0, local: None, remote };
        for datagram in &mut datagrams {
            if is_long {
                datagram.resize(1_200, 0);
                datagram[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
            }
            stage.quic.handle_datagram(&origin, datagram, stage.now);
            stage.turn();
            prop_assert!(stage.sent.drain(..).all(|size| size < datagram.len()));
        }
        prop_assert_eq!(stage.quic.count(), 0);
    }
}
