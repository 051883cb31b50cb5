//! Tests of a sealer and an opener together.

use proptest::prelude::*;

use super::*;
use crate::protocol::{Cipher, Secret};

const ID: u32 = 0x0102_0304;
const CIPHERS: [Cipher; 2] = [Cipher::Aes128Gcm, Cipher::Chacha20Poly1305];
const SECRET: Secret = Secret::from_bits([0x5e; 32]);

/// Returns both ends, with epochs of 4 numbers.
fn ends(cipher: Cipher) -> (Sealer, ServerOpener) {
    let sealer = Sealer::new(ID, cipher, SECRET).with_epoch_bits(2);
    (sealer, ServerOpener::new(ID, cipher, SECRET).with_epoch_bits(2))
}

fn seal(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    sealer.seal(0, plaintext, &mut datagram).unwrap();
    datagram
}

/// Returns `count` datagrams, whose plaintexts are their numbers.
fn sealed(cipher: Cipher, count: u8) -> Vec<Vec<u8>> {
    let mut sealer = ends(cipher).0;
    (0..count).map(|number| seal(&mut sealer, &[number])).collect()
}

fn open(opener: &mut ServerOpener, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut plaintext = b"leftover".to_vec();
    let opened = opener.open(datagram, &mut plaintext);
    assert!(opened.is_ok() || plaintext.is_empty(), "bytes without a good tag");
    opened.map(|_| plaintext)
}

#[test]
fn e6_layout() {
    for cipher in CIPHERS {
        let (mut sealer, mut opener) = ends(cipher);
        seal(&mut sealer, b"");
        let mut datagram = b"before".to_vec();
        sealer.seal(CONTROL, b"plain", &mut datagram).unwrap();
        assert_eq!(&datagram[..6], b"before");
        let datagram = &datagram[6..];
        assert_eq!(datagram[..HEADER], [0, 0x80, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(datagram.len(), "plain".len() + OVERHEAD);
        let mut plaintext = Vec::new();
        let opened = opener.open(datagram, &mut plaintext).unwrap();
        assert_eq!(opened, Opened { flags: CONTROL, number: 1, is_newest: true });
        assert!(opened.is_control() && plaintext == b"plain");
    }
}

#[test]
fn e6_pieces_are_one_plaintext() {
    let mut whole = Vec::new();
    ends(CIPHERS[0]).0.seal(0, b"one two", &mut whole).unwrap();
    let (mut pieces, parts) = (Vec::new(), [&b"one"[..], b"", b" two"]);
    ends(CIPHERS[0]).0.seal_pieces(0, parts, &mut pieces).unwrap();
    assert_eq!(pieces, whole);
}

#[test]
fn e6_epochs_follow_one_another() {
    for cipher in CIPHERS {
        let mut opener = ends(cipher).1;
        for (number, datagram) in sealed(cipher, 200).iter().enumerate() {
            assert_eq!(open(&mut opener, datagram), Ok(vec![number as u8]));
        }
    }
}

#[test]
fn e6_each_epoch_has_other_keys() {
    let keep_keys = |bits| Sealer::new(ID, CIPHERS[0], SECRET).with_epoch_bits(bits);
    let (mut short, mut long) = (keep_keys(2), keep_keys(22));
    let is_equal = |_| seal(&mut short, b"text") == seal(&mut long, b"text");
    assert!((0..12).map(is_equal).eq((0..12).map(|number| number < 4)));
}

#[test]
fn e6_last_epoch_opens_late() {
    let datagrams = sealed(CIPHERS[0], 12);
    let mut opener = ends(CIPHERS[0]).1;
    for number in [4, 0, 8, 5, 7, 9, 4 + 2] {
        assert!(open(&mut opener, &datagrams[number]).is_ok(), "{number}");
    }
    assert_eq!(open(&mut opener, &datagrams[1]), Err(OpenError::UnknownEpoch));
}

#[test]
fn e6_only_one_epoch_ahead() {
    let datagrams = sealed(CIPHERS[0], 16);
    let mut opener = ends(CIPHERS[0]).1;
    assert_eq!(open(&mut opener, &datagrams[8]), Err(OpenError::UnknownEpoch));
    assert!(!opener.holds_keys(), "a number alone derives nothing");
    assert!(open(&mut opener, &datagrams[7]).is_ok());
    assert_eq!(open(&mut opener, &datagrams[12]), Err(OpenError::UnknownEpoch));
    assert!(open(&mut opener, &datagrams[8]).is_ok());
}

#[test]
fn e6_forged_epoch_moves_nothing() {
    let mut datagrams = sealed(CIPHERS[0], 12);
    let mut opener = ends(CIPHERS[0]).1;
    open(&mut opener, &datagrams[4]).unwrap();
    datagrams[8][HEADER] ^= 1;
    assert_eq!(open(&mut opener, &datagrams[8]), Err(OpenError::Forged));
    assert!(open(&mut opener, &datagrams[0]).is_ok(), "the last epoch is still there");
}

#[test]
fn e6_undefined_flags_are_dropped() {
    let mut opener = ends(CIPHERS[0]).1;
    let mut datagram = sealed(CIPHERS[0], 1).remove(0);
    for flags in (0..=u8::MAX).filter(|flags| *flags != 0 && *flags != CONTROL) {
        datagram[1] = flags;
        assert_eq!(open(&mut opener, &datagram), Err(OpenError::Malformed));
    }
}

#[test]
fn e6_state_without_keys_is_small() {
    let mut sealer = ends(CIPHERS[0]).0;
    // Debug builds remember the last number in an Option.
    let ledger = if cfg!(debug_assertions) { 16 } else { 0 };
    assert_eq!(size_of::<Sealer>() - ledger, 56);
    assert_eq!(size_of::<ServerOpener>(), 80);
    seal(&mut sealer, b"");
    assert!(sealer.holds_keys());
    sealer.drop_keys();
    assert!(!sealer.holds_keys());
}

#[test]
fn e7_largest_datagrams() {
    assert_eq!([MAX_PLAINTEXT_UP, MAX_PLAINTEXT_DOWN].map(|size| size + OVERHEAD), [4126, 4124]);
    let (mut sealer, mut opener) = ends(CIPHERS[1]);
    let datagram = seal(&mut sealer, &[7; MAX_PLAINTEXT_UP]);
    assert_eq!(open(&mut opener, &datagram), Ok(vec![7; MAX_PLAINTEXT_UP]));
}

#[test]
fn e8_replayed_datagram_is_refused() {
    for cipher in CIPHERS {
        let (datagrams, mut opener) = (sealed(cipher, 6), ends(cipher).1);
        for number in [0, 3, 1, 5] {
            let mut plaintext = Vec::new();
            let opened = opener.open(&datagrams[number], &mut plaintext).unwrap();
            assert_eq!(opened.is_newest, number != 1);
            assert_eq!(open(&mut opener, &datagrams[number]), Err(OpenError::Replayed));
        }
    }
}

#[test]
fn e8_every_flipped_bit_is_refused() {
    for cipher in CIPHERS {
        let (datagram, mut opener) = (sealed(cipher, 6).remove(5), ends(cipher).1);
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut opener, &flipped).is_err(), "bit {bit}");
        }
        assert_eq!(open(&mut opener, &datagram), Ok(vec![5]), "no flip has changed anything");
    }
}

#[test]
fn e8_every_cut_is_refused() {
    for cipher in CIPHERS {
        let (mut sealer, mut opener) = ends(cipher);
        let datagram = seal(&mut sealer, b"text");
        for size in 0..datagram.len() {
            let is_cut = open(&mut opener, &datagram[..size]);
            let error = if size < OVERHEAD { OpenError::Malformed } else { OpenError::Forged };
            assert_eq!(is_cut, Err(error), "{size}");
        }
        let longer = [&datagram[..], &[0]].concat();
        assert_eq!(open(&mut opener, &longer), Err(OpenError::Forged));
        assert!(open(&mut opener, &datagram).is_ok());
    }
}

#[test]
fn e8_foreign_datagrams_are_refused() {
    let datagram = sealed(CIPHERS[0], 1).remove(0);
    let mut other_id = ServerOpener::new(ID + 1, CIPHERS[0], SECRET);
    assert_eq!(open(&mut other_id, &datagram), Err(OpenError::Malformed));
    let mut other_secret = ServerOpener::new(ID, CIPHERS[0], Secret::from_bits([0; 32]));
    assert_eq!(open(&mut other_secret, &datagram), Err(OpenError::Forged));
    let mut other_cipher = ServerOpener::new(ID, CIPHERS[1], SECRET);
    assert_eq!(open(&mut other_cipher, &datagram), Err(OpenError::Forged));
}

/// A step of a network that loses, repeats and reorders, between ends that drop their keys.
#[derive(Clone, Copy, Debug)]
enum Step {
    Seal,
    /// Delivers the datagram so many places before the newest.
    Deliver(usize),
    DropKeys,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Seal),
        3 => (0..6_usize).prop_map(Step::Deliver),
        1 => Just(Step::DropKeys),
    ];
    prop::collection::vec(step, 0..200)
}

fn play(cipher: Cipher, steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut sealer, mut opener) = ends(cipher);
    let (mut sent, mut opened) = (Vec::new(), [false; 200]);
    for step in steps {
        match *step {
            Step::Seal => sent.push(seal(&mut sealer, &[sent.len() as u8])),
            Step::Deliver(back) if back < sent.len() => {
                let number = sent.len() - 1 - back;
                let newest = opened.iter().rposition(|opened| *opened).unwrap_or(0);
                let is_known = (number / 4).abs_diff(newest / 4) <= 1;
                let expected = if opened[number] {
                    Err(OpenError::Replayed)
                } else if !is_known {
                    Err(OpenError::UnknownEpoch)
                } else {
                    Ok(vec![number as u8])
                };
                opened[number] |= expected.is_ok();
                prop_assert_eq!(open(&mut opener, &sent[number]), expected);
            }
            Step::Deliver(_) => {}
            Step::DropKeys => {
                sealer.drop_keys();
                opener.drop_keys();
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn e6_e8_each_datagram_opens_once(steps in steps()) {
        for cipher in CIPHERS {
            play(cipher, &steps)?;
        }
    }
}
