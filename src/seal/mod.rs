//! Sealed datagrams for both ends: layout, key schedule, replay window (E6 to E8). No I/O and no clock.
//!
//! A completion brings [`SealTerms`](crate::protocol::SealTerms): an id, a cipher, and a secret for each
//! direction. A [`Sealer`] writes the datagrams of one direction, and an [`Opener`] reads them:
//!
//! ```
//! use reactor_chat::protocol::{Cipher, Secret};
//! use reactor_chat::seal::{OpenError, Sealer, ServerOpener};
//!
//! let (id, cipher, secret) = (7, Cipher::Aes128Gcm, Secret::from_bits([1; 32]));
//! let mut sealer = Sealer::new(id, cipher, secret);
//! let mut opener = ServerOpener::new(id, cipher, secret);
//!
//! let (mut datagram, mut plaintext) = (Vec::new(), Vec::new());
//! sealer.seal(0, b"hello", &mut datagram)?;
//! let opened = opener.open(&datagram, &mut plaintext)?;
//! assert_eq!(plaintext, b"hello");
//! assert!(opened.is_newest && !opened.is_control());
//!
//! assert_eq!(opener.open(&datagram, &mut plaintext), Err(OpenError::Replayed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Memory
//!
//! A key that is ready for use takes some 600 bytes. [`Sealer`] and [`Opener`] therefore hold their keys
//! in a box of their own, and derive them from the secret when they need them. `drop_keys` frees them for
//! as long as a member is idle. Without keys, a sealer takes 56 bytes, and a server's opener 80.
//!
//! # Forgeries
//!
//! A datagram is checked in the order of its costs: layout, replay window, epoch, tag. A forged one makes
//! an opener derive the keys of an epoch at most once, and changes nothing else.

mod cipher;
mod control;
mod header;
mod opener;
mod schedule;
mod sealer;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;
mod window;

pub use cipher::choose_cipher;
pub use control::Control;
pub use header::{CONTROL, HEADER, Header, OVERHEAD, TAG};
pub use opener::{ClientOpener, OpenError, Opened, Opener, ServerOpener};
pub use sealer::{Exhausted, Sealer};
pub use window::ReplayWindow;

/// The largest plaintext from client to server, in bytes (E7).
pub const MAX_PLAINTEXT_UP: usize = crate::protocol::datagram::MAX_UPSTREAM;

/// The largest plaintext from server to client, in bytes (E7).
pub const MAX_PLAINTEXT_DOWN: usize = crate::protocol::datagram::MAX_DOWNSTREAM;

/// An epoch has 2^22 numbers (E6). RFC 8446, section 5.5, allows 2^24.5 records with one key of AES-GCM.
pub const EPOCH_BITS: u8 = 22;
