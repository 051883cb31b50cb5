//! Tests of arrivals with sealed datagrams.

use std::net::SocketAddr;

use super::*;
use crate::address::PeerAddr;
use crate::datagram::Rejected;
use crate::ids::Key;
use crate::protocol::{Cipher, SealTerms, Secret};
use crate::seal::{HEADER, Sealer};

const MEMBER: MemberId = MemberId(Key { slot: 1, generation: 0 });
const HOME: ([u8; 4], u16) = ([127, 0, 0, 1], 9);
const AWAY: ([u8; 4], u16) = ([127, 0, 0, 2], 9);

/// The way in, with one sealed member.
struct Stage {
    routes: Routes,
    seals: Seals,
    sealer: Sealer,
}

impl Stage {
    fn new() -> Self {
        let now = Instant::now();
        let (mut routes, mut seals) = (Routes::default(), Seals::new(now));
        routes.hosts.add_socket(1 << 20, now);
        let (id, cipher, up) = (7, Cipher::Aes128Gcm, Secret::from_bits([1; 32]));
        let terms = SealTerms { id, cipher, up, down: Secret::from_bits([2; 32]) };
        seals.seal_member(MEMBER, &terms, PeerAddr::from(HOME.0), now);
        Self { routes, seals, sealer: Sealer::new(id, cipher, up) }
    }

    fn datagram(&mut self) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.sealer.seal(0, b"hello", &mut datagram).expect("a number");
        datagram
    }

    fn forged(&mut self) -> Vec<u8> {
        let mut datagram = self.datagram();
        datagram[HEADER] ^= 1;
        datagram
    }

    /// Delivers datagrams of one size that arrive together. Returns the report, and the contents that were
    /// handed over.
    fn deliver(
        &mut self,
        from: ([u8; 4], u16),
        datagrams: &[Vec<u8>],
        was_rejected: bool,
    ) -> (ReceiveReport, Vec<Vec<u8>>) {
        let mut handed = Vec::new();
        let remote = SocketAddr::from(from);
        let segment = Some(datagrams[0].len() as u16);
        let bytes = &datagrams.concat()[..];
        let arrival = Arrival { bytes, segment, remote, local: None, overflow: None };
        let origin = Origin { socket: 0, local: None, remote: remote.into() };
        let mut handle = |_: &Origin, incoming: Incoming<'_>| {
            let (member, content) = match incoming {
                // The owner would find the member by its token.
                Incoming::Clear(content) => (MEMBER, content),
                Incoming::Sealed { member, content, .. } => (member, content),
                Incoming::Quic(_) => panic!("no QUIC"),
            };
            handed.push(content.to_vec());
            Disposition { member: Some(member), was_rejected }
        };
        let Self { routes, seals, .. } = self;
        let (sender_key, now): (SenderKey, _) = (|bytes| bytes, Instant::now());
        let mut report = ReceiveReport::default();
        let (counts, handle) = (&mut report, &mut handle);
        let takes_quic = false;
        Intake { routes, seals, sender_key, takes_quic, now, report: counts, handle }
            .deliver(arrival, &origin);
        (report, handed)
    }

    fn route(&self) -> Option<SocketAddr> {
        self.routes.get(MEMBER).map(|route| route.remote.to_socket_addr())
    }
}

#[test]
fn e8_forged_ones_silence_nobody() {
    let mut stage = Stage::new();
    let mut datagrams: Vec<_> = (0..50).map(|_| stage.forged()).collect();
    datagrams.insert(40, stage.datagram());
    let (report, handed) = stage.deliver(HOME, &datagrams, false);
    assert_eq!(handed, [b"hello"]);
    assert_eq!((report.received, report.skipped, report.opened), (51, 0, 1));
    assert_eq!(report.rejections.count(Rejected::Forged), 50);
}

#[test]
fn e8_genuine_flood_is_skipped() {
    let mut stage = Stage::new();
    let datagrams: Vec<_> = (0..50).map(|_| stage.datagram()).collect();
    let (report, handed) = stage.deliver(HOME, &datagrams, true);
    assert_eq!((report.opened, report.skipped), (MAX_REJECTS + 1, 50 - MAX_REJECTS - 1));
    assert_eq!(handed.len(), report.opened);
}

#[test]
fn e8_dropped_ones_are_not_seen() {
    let mut stage = Stage::new();
    let genuine = stage.datagram();
    let mut unknown = genuine.clone();
    unknown[2] = 1;
    let datagrams = [genuine.clone(), genuine, unknown, stage.forged()];
    let (report, handed) = stage.deliver(HOME, &datagrams, false);
    assert_eq!(handed, [b"hello"]);
    for reason in [Rejected::Replayed, Rejected::UnknownId, Rejected::Forged] {
        assert_eq!(report.rejections.count(reason), 1, "{reason:?}");
    }
}

#[test]
fn e10_route_follows_the_proved_address() {
    let mut stage = Stage::new();
    let [first, second, third] = std::array::from_fn(|_| stage.datagram());
    stage.deliver(AWAY, &[first], false);
    assert_eq!(stage.route(), None);
    let (report, _) = stage.deliver(HOME, &[second], false);
    assert_eq!((stage.route(), report.moves), (Some(HOME.into()), 1));
    assert!(stage.routes.get(MEMBER).is_some_and(|route| route.exit.is_sealed));
    let (report, handed) = stage.deliver(AWAY, &[third], false);
    assert_eq!((stage.route(), report.moves, handed.len()), (Some(HOME.into()), 0, 1));
}

#[test]
fn e9_clear_datagram_sets_no_route() {
    let mut stage = Stage::new();
    stage.deliver(HOME, &[b"\x01rt".to_vec()], false);
    assert_eq!(stage.route(), None);
    let sealed = stage.datagram();
    stage.deliver(HOME, &[sealed], false);
    stage.deliver(AWAY, &[b"\x01rt".to_vec()], false);
    assert_eq!(stage.route(), Some(HOME.into()));
    assert!(stage.routes.get(MEMBER).is_some_and(|route| route.exit.is_sealed));
}
