//! Tests that the first two bytes tell QUIC from the datagrams of members.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::protocol::Token;
use crate::protocol::datagram::encode_upstream;

/// Delivers a datagram. Returns true if it was handed over as QUIC.
fn is_handed_as_quic(datagram: &[u8], takes_quic: bool) -> Option<bool> {
    let now = Instant::now();
    let (mut routes, mut seals) = (Routes::default(), Seals::new(now));
    routes.hosts.add_socket(1 << 20, now);
    let remote = SocketAddr::from(([127, 0, 0, 1], 9));
    let arrival = Arrival { bytes: datagram, segment: None, remote, local: None, overflow: None };
    let origin = Origin { socket: 0, local: None, remote: remote.into() };
    let (mut handed, mut report) = (None, ReceiveReport::default());
    let mut handle = |_: &Origin, incoming: Incoming<'_>| {
        handed = Some(matches!(incoming, Incoming::Quic(_)));
        Disposition { member: None, was_rejected: false }
    };
    let (sender_key, handle): (SenderKey, _) = (|bytes| bytes, &mut handle);
    let (routes, seals, report) = (&mut routes, &mut seals, &mut report);
    Intake { routes, seals, sender_key, takes_quic, now, report, handle }.deliver(arrival, &origin);
    handed
}

#[test]
fn h1_no_room_name_is_quic() {
    let token = Token::from_bits([0xff; 16]);
    for size in 1..=255 {
        for first in [0x01, b' ', b'a', 0x80, 0xff] {
            let room = String::from_utf8(vec![first & 0x7f; size]).expect("ASCII");
            let mut datagram = Vec::new();
            encode_upstream(&room, token, b"hi", &mut datagram);
            assert_eq!(is_handed_as_quic(&datagram, true), Some(false), "{size} bytes");
        }
    }
}

#[test]
fn h1_without_webtransport_nothing_is_quic() {
    let initial = [0xc3, 0, 0, 0, 1, 8, 1, 2];
    assert_eq!(is_handed_as_quic(&initial, true), Some(true));
    assert_eq!(is_handed_as_quic(&initial, false), Some(false));
}

proptest! {
    #[test]
    fn h1_first_two_bytes_decide(
        room in "\\PC{1,63}",
        token: [u8; 16],
        message in proptest::collection::vec(any::<u8>(), 0..99),
        mut other in proptest::collection::vec(any::<u8>(), 2..99),
    ) {
        let mut datagram = Vec::new();
        encode_upstream(&room, Token::from_bits(token), &message, &mut datagram);
        prop_assert_eq!(is_handed_as_quic(&datagram, true), Some(false));
        other[0] = 0;
        prop_assert_ne!(is_handed_as_quic(&other, true), Some(true), "a sealed one");
        // Long headers: the fixed bit, and version 1. Short headers: the fixed bit, and a connection id of
        // ours.
        (other[0], other[1]) = (0xc0 | token[0], 0);
        prop_assert_eq!(is_handed_as_quic(&other, true), Some(true));
        (other[0], other[1]) = (0x40 | token[0] & 0x3f, 0x80 | token[1]);
        prop_assert_eq!(is_handed_as_quic(&other, true), Some(true));
    }
}
