//! Opens the datagrams of one direction.

use std::fmt;

use super::EPOCH_BITS;
use super::header::{CONTROL, HEADER, Header, OVERHEAD};
use super::schedule::{Keys, next_secret};
use super::window::ReplayWindow;
use crate::protocol::{Cipher, Secret};

/// The opener of a server, with a window of 128 numbers (E8).
pub type ServerOpener = Opener<3>;

/// The opener of a client, with a window of 1,024 numbers (E8).
pub type ClientOpener = Opener<17>;

/// A datagram that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// [`CONTROL`] or 0.
    pub flags: u8,
    /// The number of the datagram.
    pub number: u64,
    /// True if no datagram with a higher number was opened before.
    pub is_newest: bool,
}

impl Opened {
    /// Returns true for a control datagram: see [`Control`](super::Control).
    pub const fn is_control(self) -> bool {
        self.flags == CONTROL
    }
}

/// The reason why a datagram was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It is cut or not sealed at all, has undefined flags, or the id of another membership.
    Malformed,
    /// Its number was received before, or is behind the replay window.
    Replayed,
    /// Its number is in an epoch that is neither the last, the current nor the next one.
    UnknownEpoch,
    /// Its tag is wrong.
    Forged,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the datagram is not one of this seal",
            Self::Replayed => "the datagram was received before or is too old",
            Self::UnknownEpoch => "the datagram is from an epoch without keys",
            Self::Forged => "the tag of the datagram is wrong",
        })
    }
}

impl std::error::Error for OpenError {}

/// Opens the datagrams of one direction of a membership, each at most once. `BLOCKS` is that of its
/// [`ReplayWindow`].
pub struct Opener<const BLOCKS: usize> {
    id: u32,
    cipher: Cipher,
    epoch_bits: u8,
    /// The secret of the last epoch, from which those of the current and the next one are derived. In
    /// epoch 0 it is the secret of that epoch.
    secret: Secret,
    /// Its newest number says which epoch is the current one.
    window: ReplayWindow<BLOCKS>,
    keys: Option<Box<KeyRing>>,
}

/// The keys of the last, the current and the next epoch, each with the number of its epoch. The index of
/// an epoch is its number modulo 3. Nearly always only one epoch has keys, so each has a box of its own.
type KeyRing = [Option<Box<(u64, Keys)>>; 3];

impl<const BLOCKS: usize> Opener<BLOCKS> {
    /// Creates an opener that has received nothing.
    pub fn new(id: u32, cipher: Cipher, secret: Secret) -> Self {
        let (epoch_bits, window) = (EPOCH_BITS, ReplayWindow::new());
        Self { id, cipher, epoch_bits, secret, window, keys: None }
    }

    /// Sets the numbers of an epoch to 2^`bits`. Tests use this to see many epochs: the sealer must have
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

    /// Opens a datagram, and puts its plaintext into `out`, in place of what is there. If it fails, `out`
    /// is empty. Only a datagram that opens changes anything: the window, and the epoch.
    ///
    /// # Errors
    /// Returns the first reason in the order of [`OpenError`].
    pub fn open(&mut self, datagram: &[u8], out: &mut Vec<u8>) -> Result<Opened, OpenError> {
        let opened = self.open_into(datagram, out);
        if opened.is_err() {
            // After a wrong tag, `out` holds forged bytes.
            out.clear();
        }
        opened
    }

    fn open_into(&mut self, datagram: &[u8], out: &mut Vec<u8>) -> Result<Opened, OpenError> {
        let header = Header::parse(datagram).filter(|header| self.is_mine(*header));
        let Header { flags, number, .. } = header.ok_or(OpenError::Malformed)?;
        if !self.window.is_fresh(number) {
            return Err(OpenError::Replayed);
        }
        let keys = self.keys_of(number >> self.epoch_bits).ok_or(OpenError::UnknownEpoch)?;
        let (header, sealed) = datagram.split_at(HEADER);
        out.resize(datagram.len() - OVERHEAD, 0);
        if !keys.open(number, header, sealed, out) {
            return Err(OpenError::Forged);
        }
        Ok(Opened { flags, number, is_newest: self.record(number) })
    }

    fn is_mine(&self, header: Header) -> bool {
        header.id == self.id && header.is_defined()
    }

    /// Returns the keys of an epoch, derives them if they are missing, and keeps them. Returns `None` for
    /// an epoch that is too far away: otherwise a forged number could cause any number of derivations.
    fn keys_of(&mut self, epoch: u64) -> Option<&Keys> {
        let current = self.current_epoch();
        if epoch.abs_diff(current) > 1 {
            return None;
        }
        let ring = self.keys.get_or_insert_default();
        let place = &mut ring[place(epoch)];
        if place.as_ref().is_none_or(|held| held.0 != epoch) {
            let mut secret = self.secret;
            for _ in held_epoch(current)..epoch {
                secret = next_secret(&secret);
            }
            *place = Some((epoch, Keys::derive(self.cipher, &secret)).into());
        }
        place.as_deref().map(|(_, keys)| keys)
    }

    /// Records a number whose datagram is genuine, and moves on to its epoch if that is the next one.
    /// Returns true if it is the newest number.
    fn record(&mut self, number: u64) -> bool {
        let before = self.current_epoch();
        let is_newest = self.window.record(number);
        let current = self.current_epoch();
        for _ in held_epoch(before)..held_epoch(current) {
            self.secret = next_secret(&self.secret);
        }
        if current != before
            && let Some(ring) = &mut self.keys
        {
            // The epoch before the last one has the index of the next one.
            ring[place(current + 1)] = None;
        }
        is_newest
    }

    fn current_epoch(&self) -> u64 {
        self.window.newest().unwrap_or(0) >> self.epoch_bits
    }

    /// Returns true if it holds keys: some 600 bytes for an epoch, and at most three epochs.
    pub fn holds_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Frees its keys. The next datagram derives them again.
    pub fn drop_keys(&mut self) {
        self.keys = None;
    }
}

/// Returns the epoch of the secret that an opener holds in a current epoch.
fn held_epoch(current: u64) -> u64 {
    current.saturating_sub(1)
}

fn place(epoch: u64) -> usize {
    (epoch % 3) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Sealer;

    /// Without its secret, an opener has only the keys that it holds.
    #[test]
    fn e8_forgeries_derive_keys_once() {
        let (cipher, secret) = (Cipher::Aes128Gcm, Secret::from_bits([1; 32]));
        let mut opener = ServerOpener::new(1, cipher, secret).with_epoch_bits(2);
        let mut sealer = Sealer::new(1, cipher, secret).with_epoch_bits(2);
        let (mut datagram, mut plaintext) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            datagram.clear();
            sealer.seal(0, b"text", &mut datagram).unwrap();
        }
        let mut forged = datagram.clone();
        forged[HEADER] ^= 1;
        assert_eq!(opener.open(&forged, &mut plaintext), Err(OpenError::Forged));
        opener.secret = Secret::from_bits([0; 32]);
        assert!(opener.open(&datagram, &mut plaintext).is_ok());
    }

    #[test]
    fn e6_older_keys_are_dropped() {
        let (cipher, secret) = (Cipher::Aes128Gcm, Secret::from_bits([1; 32]));
        let mut opener = ServerOpener::new(1, cipher, secret).with_epoch_bits(2);
        let mut sealer = Sealer::new(1, cipher, secret).with_epoch_bits(2);
        for number in 0..40 {
            let (mut datagram, mut plaintext) = (Vec::new(), Vec::new());
            sealer.seal(0, b"", &mut datagram).unwrap();
            opener.open(&datagram, &mut plaintext).unwrap();
            let held = opener.keys.iter().flat_map(|ring| ring.iter().flatten());
            let epoch = number >> 2;
            assert!(held.map(|held| held.0).all(|of| of == epoch || of + 1 == epoch), "{number}");
        }
    }
}
