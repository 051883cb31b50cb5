//! Seals the datagrams of one direction.

use std::fmt;

use super::EPOCH_BITS;
use super::header::{HEADER, Header, TAG};
use super::schedule::{Keys, next_secret};
use crate::protocol::{Cipher, Secret};

/// Every number of the direction was used. The highest number of 64 bits is not used, so that the count
/// of numbers fits 64 bits too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the datagram numbers of this seal are used up")
    }
}

impl std::error::Error for Exhausted {}

/// Seals the datagrams of one direction of a membership. It cannot be cloned: two copies would use a
/// number twice, and a second use of a number breaks both ciphers.
pub struct Sealer {
    id: u32,
    cipher: Cipher,
    epoch_bits: u8,
    /// The secret of the epoch of `next`.
    secret: Secret,
    /// The number of the next datagram.
    next: u64,
    /// The keys of the epoch of `next`, if they were not dropped.
    keys: Option<Box<Keys>>,
    ledger: Ledger,
}

impl Sealer {
    /// Creates a sealer at number 0. A secret is for one sealer only.
    pub fn new(id: u32, cipher: Cipher, secret: Secret) -> Self {
        let epoch_bits = EPOCH_BITS;
        Self { id, cipher, epoch_bits, secret, next: 0, keys: None, ledger: Ledger::default() }
    }

    /// Sets the numbers of an epoch to 2^`bits`. Tests use this to see many epochs: the opener must have
    /// the same bits.
    #[doc(hidden)]
    pub fn with_epoch_bits(mut self, bits: u8) -> Self {
        self.epoch_bits = bits;
        self
    }

    /// Returns the number in the header of its datagrams that identifies the membership.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Seals a plaintext, and appends the datagram to `out`. `flags` is 0 or
    /// [`CONTROL`](super::CONTROL). A datagram has [`OVERHEAD`](super::OVERHEAD) bytes more than its
    /// plaintext, and uses one number.
    ///
    /// # Errors
    /// Returns [`Exhausted`] after 2^64 - 1 datagrams, and leaves `out` as it is.
    pub fn seal(
        &mut self,
        flags: u8,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        self.seal_pieces(flags, [plaintext], out)
    }

    /// Seals a plaintext that lies in pieces, as [`Self::seal`] does.
    ///
    /// # Errors
    /// Returns [`Exhausted`] after 2^64 - 1 datagrams, and leaves `out` as it is.
    pub fn seal_pieces<'a>(
        &mut self,
        flags: u8,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        if self.next == u64::MAX {
            return Err(Exhausted);
        }
        let header = Header { flags, id: self.id, number: self.next };
        debug_assert!(header.is_defined());
        let start = out.len();
        out.extend_from_slice(&header.encode());
        pieces.into_iter().for_each(|piece| out.extend_from_slice(piece));
        out.reserve(TAG);
        let tag = self.encrypt(&mut out[start..]);
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Encrypts what follows the header, with the next number.
    fn encrypt(&mut self, datagram: &mut [u8]) -> impl AsRef<[u8]> + use<> {
        let number = self.next;
        self.ledger.record(number);
        let keys = self.keys.get_or_insert_with(|| Keys::derive(self.cipher, &self.secret).into());
        let (header, in_out) = datagram.split_at_mut(HEADER);
        let tag = keys.seal(number, header, in_out);
        self.advance();
        tag
    }

    fn advance(&mut self) {
        let epoch = self.next >> self.epoch_bits;
        self.next += 1;
        if self.next >> self.epoch_bits != epoch {
            self.secret = next_secret(&self.secret);
            self.keys = None;
        }
    }

    /// Goes on with a higher number, as if those before were used.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, number: u64) {
        while self.next < number {
            let epoch_end = self.next | ((1 << self.epoch_bits) - 1);
            self.next = epoch_end.min(number - 1);
            self.advance();
        }
    }

    /// Returns true if it holds keys: some 600 bytes.
    pub fn holds_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Frees its keys. The next datagram derives them again.
    pub fn drop_keys(&mut self) {
        self.keys = None;
    }
}

/// Asserts in builds with debug assertions that a sealer uses no number twice. All numbers of a sealer
/// count, so dropped keys and epochs make no difference.
#[derive(Default)]
struct Ledger {
    #[cfg(debug_assertions)]
    last: Option<u64>,
}

impl Ledger {
    #[cfg(debug_assertions)]
    fn record(&mut self, number: u64) {
        assert!(self.last.is_none_or(|last| number > last), "number {number} is used twice");
        self.last = Some(number);
    }

    #[cfg(not(debug_assertions))]
    fn record(&mut self, _number: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer_at(number: u64) -> Sealer {
        let mut sealer = Sealer::new(1, Cipher::Aes128Gcm, Secret::from_bits([1; 32]));
        // The secret of the epoch makes no difference here.
        sealer.next = number;
        sealer
    }

    #[test]
    fn e6_numbers_end() {
        let (mut sealer, mut out) = (sealer_at(u64::MAX - 1), Vec::new());
        assert_eq!(sealer.seal(0, b"", &mut out), Ok(()));
        let size = out.len();
        assert_eq!(sealer.seal(0, b"", &mut out), Err(Exhausted));
        assert_eq!(out.len(), size);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "number 5 is used twice")]
    fn e6_reused_number_is_asserted() {
        let (mut sealer, mut out) = (sealer_at(5), Vec::new());
        sealer.seal(0, b"", &mut out).unwrap();
        sealer.next = 5;
        sealer.drop_keys();
        sealer.seal(0, b"", &mut out).unwrap();
    }
}
