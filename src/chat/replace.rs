//! Replacement of a silent member by a join with its name, because programs crash and return.
//!
//! The replaced member gets a farewell, in case its program still runs. The farewell must not go to
//! the address of the new member, so it waits for the new member's first datagram. An announced port
//! does not suffice: behind a NAT the datagrams come from another port.
//!
//! A carried member gets its farewell at once, on its own connection. A detached one has no program
//! that could be told, and is replaced without a wait (C2).

use std::time::Instant;

use super::Chat;
use super::member::Member;
use super::tombstones::EndReason;
use crate::address::PeerAddr;
use crate::ids::MemberId;
use crate::protocol::Notice;

impl Chat {
    /// Returns true if a join with the member's name may replace it: it has the same IP, and is
    /// detached or has been silent for a while.
    pub(super) fn is_replaceable(&self, id: MemberId, peer: PeerAddr, now: Instant) -> bool {
        let (Some(limit), Some(member)) =
            (self.config.replace_silent, self.directory.members.get(id))
        else {
            return false;
        };
        let is_gone = member.detached_at.is_some()
            || member.is_silent(limit, self.read_clock.silence_at(now));
        member.peer == peer && is_gone
    }

    /// Ends a silent member that is replaced. Returns the member that gets a farewell once the
    /// address of the new one is known: this one, or the one that it had replaced if this one had no
    /// address. A member replaced by one with an announced port gets a farewell only on request.
    pub(super) fn replace(&mut self, silent: MemberId, now: Instant) -> Option<MemberId> {
        let member = self.directory.members.get_mut(silent)?;
        let is_known = member.port.number().is_some();
        let before = member.replaced.take();
        if member.is_attached() {
            self.notify_end(silent, Notice::RemovedForSilence);
        }
        self.end_member(silent, EndReason::Replaced, now);
        if !is_known {
            return before;
        }
        if let Some(before) = before {
            self.release_tombstone(before, false, now);
        }
        Some(silent)
    }

    /// Notes that a member's datagram has proved its address, or that it needs no proof because it is
    /// carried. The member that it has replaced gets its farewell, unless both have the same address
    /// or the old one has lost its address.
    pub(super) fn settle_replaced(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        let (address, replaced) = (member.address(), member.replaced.take());
        let Some(replaced) = replaced else { return };
        let old = self.directory.members.get(replaced).and_then(Member::address);
        let is_elsewhere = old.is_some() && old != address;
        self.release_tombstone(replaced, is_elsewhere, now);
    }

    /// Notes the end of a member. If its address was never known, no live member can be at the
    /// address of the member that it has replaced.
    pub(super) fn release_replaced(&mut self, id: MemberId, now: Instant) {
        let replaced = self.directory.members.get_mut(id).and_then(|member| member.replaced.take());
        if let Some(replaced) = replaced {
            let old = self.directory.members.get(replaced);
            let is_known = old.is_some_and(|old| old.port.number().is_some());
            self.release_tombstone(replaced, is_known, now);
        }
    }
}
