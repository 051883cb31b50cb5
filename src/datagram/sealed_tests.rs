//! Tests of the whole layer with sealed members.

use std::net::SocketAddr;

use super::tests::datagrams;
use super::*;

use batch::played::Played;

use crate::fanout::{Audience, Extent, NO_TAG, Share};
use crate::ids::Key;
use crate::seal::{CONTROL, ClientOpener, Control, Sealer};

const MEMBER: MemberId = MemberId(Key { slot: 1, generation: 0 });
/// The played kernel receives everything from there.
const KERNEL: ([u8; 4], u16) = ([127, 0, 0, 1], 1);
/// The IP of the TLS peer, if the member is elsewhere.
const OFFICE: [u8; 4] = [192, 0, 2, 1];

impl Datagrams {
    fn played(&mut self) -> &mut Played {
        let Batch::Played(played) = &mut self.batch else { panic!("played") };
        played
    }

    /// Receives one datagram.
    fn take(&mut self, datagram: Vec<u8>) -> ReceiveReport {
        self.played().heard.push_back(Ok(datagram.leak()));
        self.note_readable(0);
        self.receive(0, 99, Instant::now(), |_, incoming| {
            let member = match incoming {
                Incoming::Clear(_) => None,
                Incoming::Sealed { member, .. } => Some(member),
                Incoming::Quic(_) => None,
            };
            Disposition { member, was_rejected: false }
        })
    }

    /// Seals the member for a peer at this IP. Returns its end.
    fn seal_for(&mut self, ip: [u8; 4]) -> (Sealer, ClientOpener) {
        let draw = {
            let mut drawn = 0_u8;
            move || {
                drawn += 1;
                Some([drawn; 16])
            }
        };
        let terms = self.make_terms(Ciphers::ALL, draw).expect("terms");
        self.seal_member(MEMBER, &terms, ip.into(), Instant::now());
        let SealTerms { id, cipher, up, down } = terms;
        (Sealer::new(id, cipher, up), ClientOpener::new(id, cipher, down))
    }

    /// Sends one entry to the member.
    fn send_hello(&mut self) -> Receipt {
        let entries = [Extent { end: 5, audience: Audience::All }];
        let mut to = [Share { member: MEMBER, cursor: 0, next: 0, until: 1, tag: NO_TAG }];
        let job = Job { bytes: b"hello", entries: &entries, to: &mut to, is_tagged: false };
        self.send(job, 99)
    }
}

fn seal(sealer: &mut Sealer, flags: u8, content: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    sealer.seal(flags, content, &mut datagram).expect("a number");
    datagram
}

#[test]
fn e9_seal_ends_the_clear_route() {
    let mut datagrams = datagrams(&[]);
    let home = Origin { socket: 0, local: None, remote: SocketAddr::from(KERNEL).into() };
    datagrams.announce(MEMBER, &home);
    assert_eq!(datagrams.send_hello().sent, 1);
    let (mut sealer, mut opener) = datagrams.seal_for(KERNEL.0);
    assert!(datagrams.send_hello().unrouted, "no sealed datagram has come yet");
    datagrams.announce(MEMBER, &home);
    assert!(datagrams.send_hello().unrouted, "a port that was announced proves nothing");
    datagrams.take(seal(&mut sealer, 0, b""));
    assert_eq!(datagrams.send_hello().sent, 1);
    let (_, datagram) = datagrams.played().sent.pop().expect("a datagram");
    let mut content = Vec::new();
    opener.open(&datagram, &mut content).expect("sealed");
    assert_eq!(content, b"hello");
}

#[test]
fn e5_resume_keeps_the_route() {
    let mut datagrams = datagrams(&[]);
    let (mut sealer, mut opener) = datagrams.seal_for(KERNEL.0);
    datagrams.take(seal(&mut sealer, 0, b""));
    datagrams.seal_for(OFFICE);
    assert_eq!(datagrams.send_hello().sent, 1);
    let (_, datagram) = datagrams.played().sent.pop().expect("a datagram");
    assert!(opener.open(&datagram, &mut Vec::new()).is_ok(), "under the former seal");
}

#[test]
fn e8_removed_member_is_forgotten() {
    let mut datagrams = datagrams(&[]);
    let (mut sealer, _) = datagrams.seal_for(KERNEL.0);
    datagrams.take(seal(&mut sealer, 0, b""));
    assert!(datagrams.has_route(MEMBER));
    datagrams.forget_route(MEMBER);
    datagrams.take(seal(&mut sealer, 0, b""));
    assert!(datagrams.has_route(MEMBER), "its seal was kept");
    datagrams.remove(MEMBER);
    assert!(!datagrams.has_route(MEMBER));
    let report = datagrams.take(seal(&mut sealer, 0, b""));
    assert_eq!(report.rejections.count(Rejected::UnknownId), 1);
}

#[test]
fn e10_challenge_goes_to_the_sender() {
    let mut datagrams = datagrams(&[]);
    let (mut sealer, mut opener) = datagrams.seal_for(OFFICE);
    datagrams.take(seal(&mut sealer, 0, b"a longer message"));
    assert_eq!(datagrams.send_challenges(|| Some([7; 8])), 1);
    assert_eq!(datagrams.send_challenges(|| Some([7; 8])), 0);
    assert!(!datagrams.has_route(MEMBER));
    let (to, challenge) = datagrams.played().sent.pop().expect("a challenge");
    assert_eq!(to, KERNEL.into());
    let mut content = Vec::new();
    assert!(opener.open(&challenge, &mut content).expect("sealed").is_control());
    assert_eq!(content, Control::Challenge([7; 8]).encode());
    let report = datagrams.take(seal(&mut sealer, CONTROL, &Control::Answer([7; 8]).encode()));
    assert_eq!(report.moves, 1);
    assert!(datagrams.has_route(MEMBER));
}

#[test]
fn e10_full_socket_drops_a_challenge() {
    let mut datagrams = datagrams(&[]);
    let (mut sealer, _) = datagrams.seal_for(OFFICE);
    datagrams.sockets[0].is_writable = false;
    datagrams.take(seal(&mut sealer, 0, b"a longer message"));
    assert_eq!(datagrams.send_challenges(|| Some([7; 8])), 0);
    assert!(datagrams.played().sent.is_empty());
}

#[test]
fn e8_rejections_get_no_answer() {
    let mut datagrams = datagrams(&[]);
    let (mut sealer, _) = datagrams.seal_for(KERNEL.0);
    let genuine = seal(&mut sealer, 0, b"hello");
    datagrams.take(genuine.clone());
    let mut forged = seal(&mut sealer, 0, b"hello");
    forged[20] ^= 1;
    for datagram in [genuine, forged, vec![0; 30], vec![0; 29], vec![0; 5_000], vec![0]] {
        let report = datagrams.take(datagram);
        assert_eq!((report.received, report.opened, report.moves), (1, 0, 0));
    }
    assert_eq!(datagrams.send_challenges(|| Some([7; 8])), 0);
    assert!(datagrams.played().sent.is_empty());
}
