//! A conversation of a real server with a client that was written in Python from the protocol page
//! alone. Its secrets and datagrams are recorded, so both implementations must agree on every byte.

use std::collections::HashMap;

use reactor_chat::protocol::SealTerms;
use reactor_chat::seal::{Header, Opener, Sealer};

/// Each line is one of these, in the order of the conversation:
///
/// - `terms`, then the `seal` object of a completion;
/// - `up` or `down`, then a plaintext and its datagram in hex.
const RECORD: &str = include_str!("exchange.txt");

/// A direction of a seal, with the window of its receiver.
struct Direction<const BLOCKS: usize> {
    sealer: Sealer,
    opener: Opener<BLOCKS>,
}

impl<const BLOCKS: usize> Direction<BLOCKS> {
    fn replay(&mut self, flags: u8, plaintext: &[u8], datagram: &[u8]) {
        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
        self.sealer.seal(flags, plaintext, &mut sealed).expect("numbers are left");
        assert_eq!(sealed, datagram);
        self.opener.open(datagram, &mut opened).expect("a genuine datagram");
        assert_eq!(opened, plaintext);
    }
}

fn directions(terms: &SealTerms) -> (Direction<3>, Direction<17>) {
    let SealTerms { id, cipher, up, down } = *terms;
    let up = Direction { sealer: Sealer::new(id, cipher, up), opener: Opener::new(id, cipher, up) };
    let down =
        Direction { sealer: Sealer::new(id, cipher, down), opener: Opener::new(id, cipher, down) };
    (up, down)
}

#[test]
fn e6_e10_recorded_exchange() {
    let (mut seals, mut controls) = (HashMap::new(), 0);
    for line in RECORD.lines() {
        println!("{line}");
        let (kind, rest) = line.split_once(' ').expect("a kind");
        if kind == "terms" {
            let terms: SealTerms = serde_json::from_str(rest).expect("terms");
            seals.insert(terms.id, directions(&terms));
            continue;
        }
        let (plaintext, datagram) = rest.split_once(' ').expect("two values");
        let (plaintext, datagram) = (bytes(plaintext), bytes(datagram));
        let header = Header::parse(&datagram).expect("a sealed datagram");
        let (up, down) = seals.get_mut(&header.id).expect("the terms of this id");
        match kind {
            "up" => up.replay(header.flags, &plaintext, &datagram),
            _ => down.replay(header.flags, &plaintext, &datagram),
        }
        controls += usize::from(header.flags != 0);
    }
    assert_eq!((seals.len(), controls), (4, 2), "a resume, and a challenge with its answer");
}

fn bytes(hex: &str) -> Vec<u8> {
    let value = |pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    hex.as_bytes().chunks(2).map(value).collect()
}
