//! One sealed member: its seal, perhaps a second one since a resume, and its address.

use std::time::Instant;

use super::address::{Finding, MemberAddress};
use crate::address::{Origin, PeerAddr};
use crate::datagram::rejections::Rejected;
use crate::protocol::SealTerms;
use crate::seal::{Control, OpenError, Opened, Sealer, ServerOpener};

/// Both directions of one seal.
pub(super) struct Seal {
    opener: ServerOpener,
    pub(super) sealer: Sealer,
    /// The peer that got the terms inside TLS. It is at this IP.
    peer: PeerAddr,
}

impl Seal {
    pub(super) fn new(terms: &SealTerms, peer: PeerAddr, epoch_bits: u8) -> Self {
        let SealTerms { id, cipher, up, down } = *terms;
        let opener = ServerOpener::new(id, cipher, up).with_epoch_bits(epoch_bits);
        let sealer = Sealer::new(id, cipher, down).with_epoch_bits(epoch_bits);
        Self { opener, sealer, peer }
    }

    pub(super) fn id(&self) -> u32 {
        self.sealer.id()
    }
}

/// One sealed member.
pub(super) struct SealedMember {
    pub(super) current: Seal,
    /// The seal of a resume, until its first datagram opens.
    pub(super) renewed: Option<Box<Seal>>,
    pub(super) address: MemberAddress,
    /// True if it is among the members that hold keys.
    pub(super) is_holder: bool,
    /// True if it has used its keys since it was last looked at.
    pub(super) has_used_keys: bool,
}

/// The outcome of a datagram that was opened.
pub(super) struct Arrived {
    /// True for a control datagram.
    pub(super) is_control: bool,
    pub(super) finding: Finding,
    /// The id of the former seal, if the datagram has completed a resume.
    pub(super) replaced: Option<u32>,
}

impl SealedMember {
    pub(super) fn new(seal: Seal, now: Instant) -> Self {
        let (renewed, address) = (None, MemberAddress::new(now));
        Self { current: seal, renewed, address, is_holder: false, has_used_keys: false }
    }

    /// Returns the ids of its seals.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        [Some(self.current.id()), self.renewed.as_ref().map(|seal| seal.id())].into_iter().flatten()
    }

    /// Opens a datagram with the id of one of its seals, and puts its content into `out`.
    pub(super) fn open(
        &mut self,
        (id, datagram): (u32, &[u8]),
        origin: &Origin,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Arrived, Rejected> {
        let renewed = self.renewed.as_mut().filter(|seal| seal.id() == id);
        let is_renewed = renewed.is_some();
        let seal = renewed.map_or(&mut self.current, |renewed| &mut **renewed);
        let opened = seal.opener.open(datagram, out).map_err(rejected)?;
        let replaced = self.complete_resume(is_renewed);
        let finding = self.find(&opened, (datagram.len(), &*out), origin, replaced.is_some(), now);
        Ok(Arrived { is_control: opened.is_control(), finding, replaced })
    }

    /// Makes the seal of a resume the current one. Returns the id of the former one.
    fn complete_resume(&mut self, is_renewed: bool) -> Option<u32> {
        let renewed = self.renewed.take_if(|_| is_renewed)?;
        Some(std::mem::replace(&mut self.current, *renewed).id())
    }

    /// Returns the meaning of a datagram of `size` bytes for the address.
    fn find(
        &mut self,
        opened: &Opened,
        (size, content): (usize, &[u8]),
        origin: &Origin,
        is_first: bool,
        now: Instant,
    ) -> Finding {
        // Only the server sends challenges. A member knows the server's address from TLS, so a
        // challenge from a member has no effect.
        if opened.is_control()
            && let Some(Control::Answer(value)) = Control::parse(content)
            && self.address.note_answer(origin.remote, value)
        {
            return Finding::Moved;
        }
        if !opened.is_newest {
            return Finding::Unproved;
        }
        let is_vouched = is_first || !self.address.is_proved();
        let vouched = is_vouched.then_some(self.current.peer);
        self.address.note_newest(origin, size, vouched, now)
    }

    /// Returns true if it holds keys.
    pub(super) fn holds_keys(&self) -> bool {
        let holds = |seal: &Seal| seal.opener.holds_keys() || seal.sealer.holds_keys();
        holds(&self.current) || self.renewed.as_deref().is_some_and(holds)
    }

    pub(super) fn drop_keys(&mut self) {
        let seals = std::iter::once(&mut self.current).chain(self.renewed.as_deref_mut());
        for seal in seals {
            seal.opener.drop_keys();
            seal.sealer.drop_keys();
        }
    }
}

fn rejected(error: OpenError) -> Rejected {
    match error {
        OpenError::Malformed => Rejected::Malformed,
        OpenError::Replayed => Rejected::Replayed,
        OpenError::UnknownEpoch => Rejected::UnknownEpoch,
        OpenError::Forged => Rejected::Forged,
    }
}
