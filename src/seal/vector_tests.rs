//! Replays the test vector of the protocol page, so that the page and the code say one thing.

use super::schedule::next_secret;
use super::*;
use crate::protocol::{Cipher, Secret};

const PAGE: &str = include_str!("../protocol/PROTOCOL.md");

/// A vector of the page: a name and a value on each line.
struct Vector(Vec<(&'static str, &'static str)>);

impl Vector {
    fn all() -> Vec<Self> {
        let blocks = PAGE.split("```vector\n").skip(1).map(|rest| rest.split("```").next());
        let lines = |block: &'static str| block.lines().map(|line| line.split_at(22));
        let trim = |(name, value): (&'static str, &'static str)| (name.trim(), value.trim());
        blocks.flatten().map(|block| Self(lines(block).map(trim).collect())).collect()
    }

    fn text(&self, name: &str) -> &'static str {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.unwrap_or_else(|| panic!("no {name} on the page")).1
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let digits: Vec<u8> = self.text(name).bytes().filter(|byte| *byte != b' ').collect();
        let value = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(value).collect()
    }

    fn cipher(&self) -> Cipher {
        Cipher::from_name(self.text("cipher")).unwrap()
    }

    fn id(&self) -> u32 {
        u32::from_be_bytes(self.bytes("id").try_into().unwrap())
    }

    fn secret(&self, name: &str) -> Secret {
        Secret::from_bits(self.bytes(name).try_into().unwrap())
    }

    /// Returns the number, the plaintext and the datagram of each datagram in a direction.
    fn datagrams(&self, direction: &str) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
        let prefix = format!("{direction} datagram ");
        let numbers = self.0.iter().filter_map(|(name, _)| name.strip_prefix(&prefix));
        let datagrams = numbers.map(|number| {
            let plaintext = self.bytes(&format!("{direction} plaintext {number}"));
            let datagram = self.bytes(&format!("{direction} datagram {number}"));
            (number.parse().unwrap(), plaintext, datagram)
        });
        datagrams.collect()
    }
}

#[test]
fn e5_vector_has_both_ciphers() {
    let ciphers: Vec<Cipher> = Vector::all().iter().map(Vector::cipher).collect();
    assert_eq!(ciphers, [Cipher::Aes128Gcm, Cipher::Chacha20Poly1305]);
}

#[test]
fn e6_vector_keys() {
    for vector in Vector::all() {
        let next = next_secret(&vector.secret("up secret 0"));
        assert!(next == vector.secret("up secret 1"), "the secret of epoch 1");
        for name in ["up X 0", "up X 1", "down X 0"] {
            let name = |kind| name.replace('X', kind);
            let secret = vector.secret(&name("secret"));
            let (key, iv) = schedule::key_and_iv(vector.cipher(), &secret);
            assert_eq!(key, vector.bytes(&name("key")));
            assert_eq!(iv.to_vec(), vector.bytes(&name("iv")));
        }
    }
}

#[test]
fn e6_vector_opens() {
    for (vector, direction) in
        Vector::all().iter().flat_map(|vector| [(vector, "up"), (vector, "down")])
    {
        let secret = vector.secret(&format!("{direction} secret 0"));
        let mut opener = ClientOpener::new(vector.id(), vector.cipher(), secret);
        for (number, expected, datagram) in vector.datagrams(direction) {
            let mut plaintext = Vec::new();
            let opened = opener.open(&datagram, &mut plaintext).unwrap();
            assert_eq!((opened.number, &plaintext), (number, &expected));
            let is_control = Control::parse(&plaintext).is_some();
            assert_eq!(opened.is_control(), is_control, "{direction} {number}");
        }
    }
}

#[test]
fn e6_vector_is_sealed() {
    for (vector, direction) in
        Vector::all().iter().flat_map(|vector| [(vector, "up"), (vector, "down")])
    {
        let secret = vector.secret(&format!("{direction} secret 0"));
        let mut sealer = Sealer::new(vector.id(), vector.cipher(), secret);
        for (number, plaintext, expected) in vector.datagrams(direction) {
            sealer.skip_to(number);
            let flags = if Control::parse(&plaintext).is_some() { CONTROL } else { 0 };
            let mut datagram = Vec::new();
            sealer.seal(flags, &plaintext, &mut datagram).unwrap();
            assert_eq!(datagram, expected, "{direction} {number}");
        }
    }
}

#[test]
fn e10_vector_has_a_challenge() {
    for vector in Vector::all() {
        let control = |name| Control::parse(&vector.bytes(name));
        let value = [0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        assert_eq!(control("down plaintext 1"), Some(Control::Challenge(value)));
        assert_eq!(control("up plaintext 4194304"), Some(Control::Answer(value)));
    }
}
