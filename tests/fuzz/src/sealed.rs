//! Sealed datagrams into an opener: genuine ones in any order, changed ones, and any bytes. Only genuine
//! ones open, each once.

use reactor_chat::protocol::{Cipher, Secret};
use reactor_chat::seal::{HEADER, OpenError, Sealer, ServerOpener};

use super::input::Input;

const ID: u32 = 7;

/// An epoch has 2 to the power of one of these numbers.
const EPOCH_BITS: [u8; 4] = [1, 3, 6, 22];

/// The most datagrams that are sealed, so that a long input does not search for long.
const MAX_SENT: usize = 300;

/// Numbers of a server's replay window (E8).
const WINDOW: usize = 128;

/// Both ends, and what was sent. The number of a datagram is its index.
struct Ends {
    sealer: Sealer,
    opener: ServerOpener,
    epoch_bits: u8,
    sent: Vec<Sent>,
    newest: Option<usize>,
}

struct Sent {
    datagram: Vec<u8>,
    plaintext: Vec<u8>,
    is_opened: bool,
}

/// The input selects the cipher and the size of the epochs, then steps.
pub fn sealed(data: &[u8]) {
    let mut input = Input(data);
    let mut ends = Ends::new(&mut input);
    while !input.is_empty() {
        ends.step(&mut input);
    }
}

impl Ends {
    fn new(input: &mut Input<'_>) -> Self {
        let cipher = [Cipher::Aes128Gcm, Cipher::Chacha20Poly1305][input.pick(2)];
        let (epoch_bits, secret) = (EPOCH_BITS[input.pick(4)], Secret::from_bits([3; 32]));
        Self {
            sealer: Sealer::new(ID, cipher, secret).with_epoch_bits(epoch_bits),
            opener: ServerOpener::new(ID, cipher, secret).with_epoch_bits(epoch_bits),
            epoch_bits,
            sent: Vec::new(),
            newest: None,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.pick(8) {
            0 => self.receive(&input.bytes()),
            1 => self.seal(&input.bytes()),
            2 => (0..input.byte()).for_each(|number| self.seal(&[number])),
            3 => self.receive(&self.pick(input)),
            4 => self.receive(&flipped(self.pick(input), input)),
            5 => self.receive(&cut(self.pick(input), input)),
            6 => self.receive(&renumbered(self.pick(input), input)),
            _ => {
                self.sealer.drop_keys();
                self.opener.drop_keys();
            }
        }
    }

    fn seal(&mut self, plaintext: &[u8]) {
        if self.sent.len() < MAX_SENT {
            let mut datagram = Vec::new();
            self.sealer.seal(0, plaintext, &mut datagram).expect("numbers are left");
            self.sent.push(Sent { datagram, plaintext: plaintext.into(), is_opened: false });
        }
    }

    /// Returns a sent datagram, counted from the newest, or nothing if there is none.
    fn pick(&self, input: &mut Input<'_>) -> Vec<u8> {
        let place = self.sent.len().checked_sub(input.pick(256) + 1);
        place.map(|place| self.sent[place].datagram.clone()).unwrap_or_default()
    }

    fn receive(&mut self, datagram: &[u8]) {
        let sent = self.sent.iter().position(|sent| sent.datagram == datagram);
        let mut plaintext = b"leftover".to_vec();
        match (self.opener.open(datagram, &mut plaintext), sent) {
            (Ok(_), None) => panic!("opened {datagram:?}, which nobody sealed"),
            (Ok(opened), Some(number)) => {
                let sent = &mut self.sent[number];
                assert!(!sent.is_opened, "{number} opened twice");
                sent.is_opened = true;
                assert_eq!((opened.number, &plaintext), (number as u64, &sent.plaintext));
                assert_eq!(opened.is_newest, self.newest.is_none_or(|newest| number > newest));
                self.newest = self.newest.max(Some(number));
            }
            (Err(error), sent) => {
                assert!(plaintext.is_empty(), "bytes that nobody vouches for");
                sent.into_iter().for_each(|number| self.check_refusal(number, error));
            }
        }
    }

    /// A genuine datagram is refused only for its number.
    fn check_refusal(&self, number: usize, error: OpenError) {
        let newest = self.newest.unwrap_or(0);
        let is_old = self.sent[number].is_opened || number + WINDOW <= newest;
        let epochs = [number, newest].map(|number| number >> self.epoch_bits);
        let is_unknown = epochs[0].abs_diff(epochs[1]) > 1;
        assert!(is_old || is_unknown, "{number} after {newest}: {error}");
        assert_eq!(error, if is_old { OpenError::Replayed } else { OpenError::UnknownEpoch });
    }
}

/// Flips up to 8 bits of a byte.
fn flipped(mut datagram: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let (place, bits) = (usize::from(input.number()), input.byte());
    let size = datagram.len().max(1);
    datagram.iter_mut().skip(place % size).take(1).for_each(|byte| *byte ^= bits);
    datagram
}

/// Removes bytes at the end, or appends some.
fn cut(mut datagram: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    datagram.truncate(datagram.len().saturating_sub(input.pick(64)));
    datagram.extend(input.bytes());
    datagram
}

/// Puts another number into the header.
fn renumbered(mut datagram: Vec<u8>, input: &mut Input<'_>) -> Vec<u8> {
    let number = u64::from(input.number()) << input.pick(49);
    if let Some(field) = datagram.get_mut(HEADER - size_of_val(&number)..HEADER) {
        field.copy_from_slice(&number.to_be_bytes());
    }
    datagram
}
