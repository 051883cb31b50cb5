//! The seals of members: opens and seals their datagrams, and decides on their addresses (E6 to E11).
//!
//! This machine has no sockets and no clock. The caller passes the time and random bits, so that a test
//! can drive it through any history.
//!
//! A resume gives a member another seal. The reply may be lost, so the former seal stays in use in both
//! directions until the first datagram under the new one opens.
//!
//! An idle member keeps secrets, numbers and a replay window: some 300 bytes. Keys take much more, and
//! `seals/keys.rs` says which members hold them.

mod address;
mod keys;
mod member;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Instant;

use super::rejections::Rejected;
use crate::address::{Endpoint, Origin, PeerAddr};
use crate::ids::MemberId;
use crate::protocol::{Ciphers, SealTerms, Secret};
use crate::seal::{
    CONTROL, Control, EPOCH_BITS, Header, MAX_PLAINTEXT_UP, OVERHEAD, choose_cipher,
};
use crate::slots::SecondaryMap;

use address::Finding;
use keys::{Glance, KeyHolders};
use member::{Seal, SealedMember};

/// Difference between the sizes of a sealed datagram and its content, in bytes.
pub(super) const SEAL_SIZE: usize = OVERHEAD;

/// The longest datagram from a sealed member, in bytes (E7).
const MAX_DATAGRAM: usize = MAX_PLAINTEXT_UP + OVERHEAD;

/// Limit for the ids that are drawn for one seal. With 100,000 sealed members, one in 40,000 ids is in
/// use.
const MAX_DRAWS: usize = 8;

/// Limit for the addresses that wait for a challenge. An address beyond it waits for the next datagram
/// that comes from there.
const MAX_DUE: usize = 64;

/// All sealed members.
pub struct Seals {
    members: SecondaryMap<MemberId, Box<SealedMember>>,
    /// The ids of all seals: two for a member whose resume is not complete.
    ids: HashMap<u32, MemberId>,
    holders: KeyHolders,
    /// Members whose address has to be challenged.
    due: Vec<MemberId>,
    /// The content of the last datagram.
    content: Vec<u8>,
    /// The latest time that was passed in.
    now: Instant,
    epoch_bits: u8,
}

/// A datagram that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The member that has sealed it.
    pub member: MemberId,
    /// Its content. That of a control datagram is empty, as in a keep-alive.
    pub content: &'a [u8],
    /// The address that it came from, if the member's datagrams go there from now on. An older datagram
    /// than others that were opened proves no address.
    pub at: Option<Endpoint>,
    /// True if they went elsewhere before.
    pub has_moved: bool,
}

impl Seals {
    /// Creates the machine without members.
    pub fn new(now: Instant) -> Self {
        Self {
            members: SecondaryMap::new(),
            ids: HashMap::new(),
            holders: KeyHolders::default(),
            due: Vec::new(),
            content: Vec::new(),
            now,
            epoch_bits: EPOCH_BITS,
        }
    }

    /// Sets the numbers of an epoch to 2^`bits`, for members that are sealed later. Tests use this to see
    /// many epochs: the other end must have the same bits.
    #[doc(hidden)]
    pub fn with_epoch_bits(mut self, bits: u8) -> Self {
        self.epoch_bits = bits;
        self
    }

    /// Makes terms for a member: with an id that is not in use, and the best of these ciphers. `draw`
    /// returns random bits. Returns `None` if it fails, if no id was found, or if there is no cipher.
    pub fn make_terms(
        &self,
        ciphers: Ciphers,
        mut draw: impl FnMut() -> Option<[u8; 16]>,
    ) -> Option<SealTerms> {
        let cipher = choose_cipher(ciphers)?;
        let mut draws = (0..MAX_DRAWS).map_while(|_| draw().map(first_bits));
        let id = draws.find(|id| !self.ids.contains_key(id))?;
        let (up, down) = (draw_secret(&mut draw)?, draw_secret(&mut draw)?);
        Some(SealTerms { id, cipher, up, down })
    }

    /// Seals a member's datagrams with these terms from now on. `peer` has got them inside TLS. A member
    /// that is sealed already keeps its seal and its address, until the first datagram under the new
    /// terms opens.
    pub fn seal_member(
        &mut self,
        member: MemberId,
        terms: &SealTerms,
        peer: PeerAddr,
        now: Instant,
    ) {
        let seal = Seal::new(terms, peer, self.epoch_bits);
        self.ids.insert(terms.id, member);
        match self.members.get_mut(member) {
            None => self.members.insert(member, SealedMember::new(seal, now).into()),
            Some(known) => {
                if let Some(unused) = known.renewed.replace(seal.into()) {
                    self.ids.remove(&unused.id());
                }
            }
        }
    }

    /// Removes a member. Its ids may be used again.
    pub fn remove(&mut self, member: MemberId) {
        if let Some(removed) = self.members.remove(member) {
            removed.ids().for_each(|id| {
                self.ids.remove(&id);
            });
        }
    }

    /// Returns true if the member's datagrams are sealed.
    pub fn contains(&self, member: MemberId) -> bool {
        self.members.get(member).is_some()
    }

    /// Opens a datagram that came from `origin` (E8).
    ///
    /// # Errors
    /// If it is not a new one of a sealed member. It has changed nothing then.
    pub fn open(
        &mut self,
        origin: &Origin,
        datagram: &[u8],
        now: Instant,
    ) -> Result<Opened<'_>, Rejected> {
        self.now = now;
        let header = Header::parse(datagram).filter(|_| datagram.len() <= MAX_DATAGRAM);
        let id = header.ok_or(Rejected::Malformed)?.id;
        let member = *self.ids.get(&id).ok_or(Rejected::UnknownId)?;
        let known = self.members.get_mut(member).ok_or(Rejected::UnknownId)?;
        let arrived = known.open((id, datagram), origin, now, &mut self.content);
        known.has_used_keys = true;
        if !known.is_holder {
            // A forged datagram leaves keys too.
            self.note_holder(member);
        }
        let arrived = arrived?;
        if let Some(replaced) = arrived.replaced {
            self.ids.remove(&replaced);
        }
        if arrived.finding == Finding::ChallengeDue && self.due.len() < MAX_DUE {
            self.due.push(member);
        }
        let has_moved = arrived.finding == Finding::Moved;
        let is_proved = has_moved || arrived.finding == Finding::Proved;
        let content = if arrived.is_control { &[][..] } else { &self.content };
        Ok(Opened { member, content, at: is_proved.then_some(origin.remote), has_moved })
    }

    /// Seals a datagram to a member and appends it to `out`. Its content lies in two pieces. Returns false
    /// if the member is not sealed, or has used up its numbers.
    pub fn seal(&mut self, member: MemberId, content: [&[u8]; 2], out: &mut Vec<u8>) -> bool {
        let Some(known) = self.members.get_mut(member) else { return false };
        let is_sealed = known.current.sealer.seal_pieces(0, content, out).is_ok();
        known.has_used_keys = true;
        if !known.is_holder {
            self.note_holder(member);
        }
        is_sealed
    }

    /// Puts a challenge that is due into `out`, and returns where it must go: to the address of a
    /// member that came from there with a newest number, and is not proved. `random` makes its value.
    pub fn poll_challenge(
        &mut self,
        mut random: impl FnMut() -> Option<[u8; 8]>,
        out: &mut Vec<u8>,
    ) -> Option<Origin> {
        while let Some(member) = self.due.pop() {
            let Some(known) = self.members.get_mut(member) else { continue };
            // The member may have moved since.
            let Some((origin, value)) = known.address.challenge(random()?, self.now) else {
                continue;
            };
            out.clear();
            let challenge = Control::Challenge(value).encode();
            known.current.sealer.seal(CONTROL, &challenge, out).ok()?;
            self.note_holder(member);
            return Some(origin);
        }
        None
    }

    /// Frees the keys of members that are idle.
    pub fn drop_idle_keys(&mut self, now: Instant) {
        self.now = now;
        let Self { members, holders, .. } = self;
        holders.sweep(now, |member| glance(members, member));
    }

    /// Returns the time of the next [`Seals::drop_idle_keys`]. There is none while nobody holds keys.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.holders.next_deadline()
    }

    /// Notes that a member holds keys, if it does.
    fn note_holder(&mut self, member: MemberId) {
        let Self { members, holders, now, .. } = self;
        let Some(known) = members.get_mut(member) else { return };
        if !known.is_holder && known.holds_keys() {
            known.is_holder = true;
            holders.add(member, *now, |member| glance(members, member));
        }
    }
}

/// Looks at a member, and drops its keys if it has not used them since the last time.
fn glance(members: &mut SecondaryMap<MemberId, Box<SealedMember>>, member: MemberId) -> Glance {
    let Some(known) = members.get_mut(member) else { return Glance::Dropped };
    if std::mem::take(&mut known.has_used_keys) {
        return Glance::Used;
    }
    known.is_holder = false;
    known.drop_keys();
    Glance::Dropped
}

fn first_bits(bits: [u8; 16]) -> u32 {
    let [a, b, c, d, ..] = bits;
    u32::from_be_bytes([a, b, c, d])
}

fn draw_secret(draw: &mut impl FnMut() -> Option<[u8; 16]>) -> Option<Secret> {
    let mut bits = [0; Secret::SIZE];
    for half in bits.chunks_exact_mut(16) {
        half.copy_from_slice(&draw()?);
    }
    Some(Secret::from_bits(bits))
}
