//! Limits for the history that members are sent.
//!
//! A message counts against the limit of its sender. History has no sender any more: without a
//! limit, a peer that joins again and again would draw a flood.

use std::time::{Duration, Instant};

use super::Chat;
use super::alerts::Alerts;
use super::member::Member;
use super::peers::Peers;
use super::subnet_buckets::SubnetBuckets;
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::config::ChatConfig;
use crate::delivery::Feeds;
use crate::ids::MemberId;
use crate::protocol::stream::MAX_PACKED;
use crate::slots::Slots;
use crate::subnet::Subnet;
use crate::token_bucket::time_for;

/// Limit for the history of a subnet: bytes a second, and the time that fills the bucket, which
/// then holds 8 MiB. A school of 1,000 that joins at once takes half of that, with 20 lines of 200
/// bytes for each.
const RATE: u32 = 512 * 1024;
const DEPTH: Duration = Duration::from_secs(16);

/// Limits that history counts against.
pub(super) struct HistoryLimits<'a> {
    members: &'a mut Slots<MemberId, Member>,
    debts: &'a mut SubnetBuckets,
    alerts: &'a mut Alerts,
    config: &'a ChatConfig,
    now: Instant,
}

impl HistoryLimits<'_> {
    /// Charges bytes of history to a member's subnet. Returns false if that limit or the member's
    /// own is reached.
    pub(super) fn pay(&mut self, id: MemberId, bytes: usize) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        let (subnet, cost) = (Subnet::of(member.peer), cost_of(bytes));
        let has_left = self.debts.has(subnet, cost, DEPTH, self.now);
        if !has_left {
            self.alerts.note(Alert::HistoryIp, member.peer);
        }
        let is_paid = has_left && member.message_budget.has_for_history(self.config, self.now);
        if is_paid {
            self.debts.take(subnet, cost, self.now);
        }
        is_paid
    }

    /// Charges bytes of history that a member was sent to its own limit.
    pub(super) fn charge(&mut self, id: MemberId, bytes: usize) {
        if let Some(member) = self.members.get_mut(id) {
            member.message_budget.take_history(bytes, self.config, self.now);
        }
    }
}

fn cost_of(bytes: usize) -> Duration {
    time_for(bytes as u64, u64::from(RATE))
}

impl Chat {
    /// Returns how many earlier entries a newcomer gets of those that it wants: none if its subnet
    /// has reached its limit. Live messages come behind the history, so somebody who shares the
    /// address of a flood would otherwise wait for them.
    pub(super) fn grant_history(&mut self, peer: PeerAddr, wish: u32, now: Instant) -> u32 {
        let cost = cost_of(MAX_PACKED);
        if wish == 0 || self.peers.history_debts.has(Subnet::of(peer), cost, DEPTH, now) {
            return wish;
        }
        self.peers.alerts.note(Alert::HistoryIp, peer);
        0
    }

    /// Returns the feeds, and the limits that they are to charge history to.
    pub(super) fn feeds_with_limits(&mut self, now: Instant) -> (&mut Feeds, HistoryLimits<'_>) {
        let Self { feeds, directory, peers, config, .. } = self;
        let Peers { history_debts: debts, alerts, .. } = peers;
        let members = &mut directory.members;
        (feeds, HistoryLimits { members, debts, alerts, config, now })
    }
}
