//! Tests of the send path with sealed members, who open what the played kernel was given.

use super::tests::{Stage, address, member};
use super::*;

use crate::address::{Origin, PeerAddr};
use crate::datagram::batch::played::Line;
use crate::datagram::routes::MAX_MESSAGE;
use crate::fanout::{Audience, Extent, NO_TAG, Share};
use crate::protocol::{Cipher, SealTerms, Secret};
use crate::seal::{ClientOpener, Header, OVERHEAD};

/// A sealed member at its end.
struct Client {
    slot: u32,
    opener: ClientOpener,
    /// The number of its datagrams that were opened.
    opened: usize,
    /// Their numbers.
    numbers: Vec<u64>,
}

impl Stage {
    /// Seals these members.
    fn seal(&mut self, slots: &[u32]) -> Vec<Client> {
        let cipher = Cipher::Aes128Gcm;
        let seal = |slot: &u32| {
            let (up, down) = (Secret::from_bits([1; 32]), Secret::from_bits([2; 32]));
            let terms = SealTerms { id: *slot, cipher, up, down };
            let now = Instant::now();
            self.seals.seal_member(member(*slot), &terms, PeerAddr::from([127, 0, 0, 1]), now);
            let origin = Origin { socket: 0, local: None, remote: address(*slot).into() };
            self.routes.announce(member(*slot), &origin, true);
            let opener = ClientOpener::new(*slot, cipher, down);
            Client { slot: *slot, opener, opened: 0, numbers: Vec::new() }
        };
        slots.iter().map(seal).collect()
    }

    /// Opens everything that was sent to a member since the last time.
    fn open(&self, client: &mut Client) -> Vec<String> {
        let mut texts = Vec::new();
        for datagram in self.datagrams_to(client.slot).skip(client.opened) {
            let mut content = Vec::new();
            let opened = client.opener.open(datagram, &mut content).expect("a genuine datagram");
            client.numbers.push(opened.number);
            texts.push(String::from_utf8(content).expect("UTF-8"));
        }
        client.opened += texts.len();
        texts
    }

    fn send_again(&mut self) -> Receipt {
        self.sockets[0].is_writable = true;
        self.send(999)
    }
}

const ALL: [&str; 5] = ["aa", "bb", "cc", "dd", "ee"];

#[test]
fn e6_packets_leave_in_one_message() {
    let mut stage = Stage::new([]);
    let mut clients = stage.seal(&[0, 1, 2]);
    assert_eq!(stage.send(99).sent, 15);
    assert_eq!(stage.played().messages, [5, 5, 5], "equal in size, one behind the other");
    for client in &mut clients {
        assert_eq!(stage.open(client), ALL);
        assert_eq!(client.numbers, [0, 1, 2, 3, 4]);
    }
    assert!(stage.played().sent.iter().all(|(_, bytes)| bytes.len() == 2 + OVERHEAD));
}

#[test]
fn e7_mixed_room_gets_all() {
    for sealed in [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]] {
        let mut stage = Stage::new([]);
        let mut clients = stage.seal(sealed);
        assert_eq!(stage.send(99).sent, 15);
        assert_eq!(stage.positions(), [5, 5, 5]);
        for client in &mut clients {
            assert_eq!(stage.open(client), ALL);
        }
        for slot in (0..3).filter(|slot| !sealed.contains(slot)) {
            assert!(stage.datagrams_to(slot).eq(ALL.map(str::as_bytes)));
        }
    }
}

#[test]
fn e9_nothing_leaves_in_the_clear() {
    let mut stage = Stage::new([]);
    stage.seal(&[1]);
    stage.seals.remove(member(1));
    let receipt = stage.send(99);
    assert_eq!(receipt, Receipt { sent: 10, ..Receipt::default() });
    assert_eq!(stage.datagrams_to(1).count(), 0, "the route has outlived the seal");
    assert_eq!(stage.positions(), [5, 5, 5]);
}

#[test]
fn e6_resent_under_new_numbers() {
    let unfit = || Line::Fail(libc::EMSGSIZE);
    let full = || Line::Fail(libc::EAGAIN);
    for lines in [
        vec![full()],
        vec![Line::Take(1), full()],
        vec![Line::Take(2), unfit(), unfit(), Line::Take(1), full()],
        vec![unfit(), unfit(), full()],
    ] {
        let mut stage = Stage::new(lines);
        let mut clients = stage.seal(&[0, 1, 2]);
        let blocked = stage.send(99);
        assert!(blocked.blocked);
        assert_eq!(blocked.sent + stage.send_again().sent, 15);
        for client in &mut clients {
            assert_eq!(stage.open(client), ALL);
        }
        let is_late = |client: &Client| client.numbers[4] > 4;
        assert!(clients.iter().any(is_late), "numbers of what was not sent are not used again");
    }
}

#[test]
fn e6_short_count_continues_after_it() {
    let mut stage = Stage::new([Line::Take(1), Line::Take(1), Line::Take(1)]);
    let mut clients = stage.seal(&[0, 1, 2]);
    assert_eq!(stage.send(99).sent, 15);
    for client in &mut clients {
        assert_eq!(stage.open(client), ALL);
        assert_eq!(client.numbers, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn e6_refused_message_is_lost_alone() {
    let refused = || Line::Fail(libc::EPERM);
    let mut stage = Stage::new([Line::Take(1), refused(), refused()]);
    let mut clients = stage.seal(&[0, 1, 2]);
    assert_eq!(stage.send(99), Receipt { sent: 10, dropped: 5, ..Receipt::default() });
    let texts: Vec<_> = clients.iter_mut().map(|client| stage.open(client).len()).collect();
    assert_eq!(texts, [5, 0, 5]);
}

#[test]
fn e7_tag_is_inside_the_seal() {
    let mut stage = Stage::new([Line::Take(1), Line::Fail(libc::EAGAIN)]);
    let mut clients = stage.seal(&[0, 2]);
    stage.tag();
    for budget in [1, 4, 99, 99] {
        stage.send(budget);
        stage.sockets[0].is_writable = true;
    }
    for (client, tag) in clients.iter_mut().zip(["tag0", "tag2"]) {
        assert_eq!(stage.open(client), ["aa", "bb", "c"].map(|text| format!("{tag}{text}")));
    }
    assert!(stage.datagrams_to(1).eq([&b"tag1aa"[..], b"tag1bb", b"tag1c"]));
}

#[test]
fn e7_budget_is_exact() {
    let mut stage = Stage::new([]);
    let mut clients = stage.seal(&[0, 2]);
    assert_eq!(stage.send(7).sent, 7);
    assert_eq!(
        stage.positions(),
        [5, 0, 2],
        "the first member is sealed, so sealed ones are first"
    );
    assert_eq!(stage.send(99).sent, 8);
    assert_eq!(stage.open(&mut clients[0]), ALL);
    assert_eq!(stage.open(&mut clients[1]), ALL);
}

#[test]
fn e7_both_kinds_get_their_turn() {
    let mut stage = Stage::new([]);
    stage.seal(&[0, 1]);
    stage.shares.swap(0, 2);
    assert_eq!(stage.send(5).sent, 5);
    assert_eq!(stage.datagrams_to(2).count(), 5, "its share is the first");
    stage.shares.rotate_left(1);
    assert_eq!(stage.send(5).sent, 5);
    assert_eq!(stage.datagrams_to(1).count(), 5);
}

#[test]
fn e7_message_keeps_the_kernels_limits() {
    const SIZE: u32 = 4_094;
    let mut stage = Stage::new([]);
    let mut clients = stage.seal(&[0]);
    stage.bytes = Box::leak(vec![b'x'; 40 * SIZE as usize].into());
    let entry = |index: u32| Extent { end: (index + 1) * SIZE, audience: Audience::All };
    stage.entries = (0..40).map(entry).collect();
    stage.shares = vec![Share { member: member(0), cursor: 0, next: 0, until: 40, tag: NO_TAG }];
    assert_eq!(stage.send(99).sent, 40);
    let longest = SIZE as usize + OVERHEAD;
    assert_eq!(longest, 4_124);
    assert!(stage.played().sent.iter().all(|(_, bytes)| bytes.len() == longest));
    let most = MAX_MESSAGE as usize / longest;
    assert_eq!(stage.played().messages, [most, most, 40 - 2 * most]);
    assert_eq!(stage.open(&mut clients[0]).len(), 40);
}

#[test]
fn e6_header_says_whom_it_is_for() {
    let mut stage = Stage::new([]);
    stage.seal(&[0, 1, 2]);
    stage.send(99);
    for slot in 0..3 {
        let ids = stage.datagrams_to(slot).map(|bytes| Header::parse(bytes).expect("sealed").id);
        assert!(ids.eq([slot; 5]));
    }
}
