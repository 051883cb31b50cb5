//! A silent member gives way to a join under its name: programs vanish without a word and come
//! back.
//!
//! The replaced member is told, in case its program lives on. The notice must not go to an address
//! that the new member has now, so it waits for the new member's first datagram. An announced port
//! is not enough: behind a NAT the datagrams come from another one.

use std::net::IpAddr;
use std::time::Instant;

use super::Chat;
use super::tombstones::EndReason;
use crate::ids::MemberId;

impl Chat {
    /// Returns true if a member gives way to a join under its name: it has the same IP, and was not
    /// heard for a while.
    pub(super) fn gives_way(&self, id: MemberId, peer: IpAddr, now: Instant) -> bool {
        let (Some(limit), Some(member)) = (self.config.replace_silent, self.members.get(id)) else {
            return false;
        };
        member.ip == peer && member.is_silent(limit, self.read_clock.silence_at(now))
    }

    /// Ends a silent member whose place somebody takes. Returns the member that has to be told when
    /// the address of the new one is known: this one, or the one before it if this one had no
    /// address. One before a member with an announced port is told only when it asks.
    pub(super) fn replace(&mut self, silent: MemberId, now: Instant) -> Option<MemberId> {
        let member = self.members.get_mut(silent)?;
        let is_known = member.port.number().is_some();
        let before = member.replaced.take();
        self.end_member(silent, EndReason::Replaced, now);
        if !is_known {
            return before;
        }
        if let Some(before) = before {
            self.release_tombstone(before, false, now);
        }
        Some(silent)
    }

    /// Notes that a member's datagram has proved its address. The member that it has replaced gets
    /// its farewell, unless both have the same address or the old one has lost its own.
    pub(super) fn settle_replaced(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.members.get_mut(id) else { return };
        let (address, replaced) = ((member.ip, member.port.number()), member.replaced.take());
        let Some(replaced) = replaced else { return };
        let old = self.members.get(replaced);
        let is_elsewhere = old.is_some_and(|old| {
            old.port.number().is_some() && (old.ip, old.port.number()) != address
        });
        self.release_tombstone(replaced, is_elsewhere, now);
    }

    /// Notes the end of a member. If its address never was known, only the member that it has
    /// replaced can be at that one's address.
    pub(super) fn release_replaced(&mut self, id: MemberId, now: Instant) {
        let replaced = self.members.get_mut(id).and_then(|member| member.replaced.take());
        if let Some(replaced) = replaced {
            let old = self.members.get(replaced);
            let is_known = old.is_some_and(|old| old.port.number().is_some());
            self.release_tombstone(replaced, is_known, now);
        }
    }
}
