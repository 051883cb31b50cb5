//! Tests of terms, memory and keys.

use super::*;
use crate::datagram::seals::keys::{KEY_LIFE, MAX_HOLDERS};
use crate::datagram::seals::member::SealedMember;
use crate::protocol::Cipher;

impl Server {
    fn holders(&self) -> usize {
        let members = self.seals.ids.values().filter_map(|member| self.seals.members.get(*member));
        members.filter(|member| member.holds_keys()).count()
    }
}

#[test]
fn e5_ids_in_use_are_not_drawn() {
    let mut server = Server::new();
    let client = server.seal(1, HOME);
    let id = client.terms.id.to_be_bytes();
    let (mut drawn, mut bits) = (0, [0; 16]);
    bits[..4].copy_from_slice(&id);
    let draw = || {
        drawn += 1;
        if drawn < 3 { Some(bits) } else { Some([drawn; 16]) }
    };
    let terms = server.seals.make_terms(Ciphers::ALL, draw).expect("terms");
    assert_eq!(terms.id, 0x0303_0303);
    assert_ne!(terms.up, terms.down);
    assert_eq!(server.seals.make_terms(Ciphers::ALL, || Some(bits)), None, "all are in use");
    assert_eq!(server.seals.make_terms(Ciphers::ALL, || None), None);
}

#[test]
fn e5_cipher_is_one_of_the_clients() {
    let server = Server::new();
    let draw = || Some([1; 16]);
    for cipher in [Cipher::Aes128Gcm, Cipher::Chacha20Poly1305] {
        let terms = server.seals.make_terms([cipher].into_iter().collect(), draw);
        assert_eq!(terms.expect("terms").cipher, cipher);
    }
    let none = std::iter::empty().collect();
    assert_eq!(server.seals.make_terms(none, draw), None);
}

/// The target of a whole idle sealed member is 900 bytes, more than half of them for the chat.
#[test]
fn e5_idle_member_is_small() {
    let (in_table, in_ids) = (size_of::<Option<(u32, Box<SealedMember>)>>(), 2 * 13);
    let state = size_of::<SealedMember>();
    assert!(state <= 304, "{state}");
    assert!(state + in_table + in_ids <= 350, "{in_table} in the table");
}

#[test]
fn e6_idle_members_hold_no_keys() {
    let mut server = Server::new();
    let mut client = server.seal_at_home(1);
    server.message(1, "hello");
    assert_eq!(server.holders(), 1);
    server.wait(KEY_LIFE);
    let datagram = client.datagram("busy");
    server.open(HOME, &datagram).expect("genuine");
    server.wait(KEY_LIFE);
    assert_eq!(server.holders(), 1, "they were used");
    assert_eq!(server.seals.next_deadline(), Some(server.now + KEY_LIFE));
    server.wait(KEY_LIFE);
    assert_eq!((server.holders(), server.seals.next_deadline()), (0, None));
    let datagram = client.datagram("again");
    assert_eq!(server.open(HOME, &datagram), Ok(client.taken("again", Some(HOME), false)));
    let datagram = server.message(1, "back");
    assert_eq!(client.open(&datagram).expect("genuine"), "back");
}

#[test]
fn e6_keys_have_a_limit() {
    let mut server = Server::new();
    let count = MAX_HOLDERS as u32 + 100;
    let mut first = server.seal(0, HOME);
    for slot in 1..count {
        server.seal(slot, HOME);
    }
    for slot in 0..count {
        server.message(slot, "hello");
        server.message(0, "busy");
    }
    assert_eq!(server.holders(), MAX_HOLDERS);
    let datagram = server.message(0, "last");
    assert_eq!(first.open(&datagram).expect("genuine"), "last");
}

#[test]
fn e6_forgeries_leave_no_more_keys() {
    let mut server = Server::new();
    let count = MAX_HOLDERS as u32 + 100;
    for slot in 0..count {
        let mut client = server.seal(slot, HOME);
        let mut forged = client.datagram("forged");
        forged[HEADER] ^= 1;
        assert_eq!(server.open(AWAY, &forged), Err(Rejected::Forged));
    }
    assert_eq!(server.holders(), MAX_HOLDERS);
}

#[test]
fn e6_removed_holders_are_forgotten() {
    let mut server = Server::new();
    for slot in 0..100 {
        server.seal_at_home(slot);
        server.seals.remove(member(slot));
    }
    server.wait(KEY_LIFE);
    assert_eq!((server.holders(), server.seals.ids.len()), (0, 0));
}
