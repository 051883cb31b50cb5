//! Stream members that catch up: wakes them, and charges history to limits.
//!
//! A message counts against the limit of its sender. History has no sender any more: without a
//! limit, a peer that joins again and again would draw a flood.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::alerts::Alerts;
use super::member::Member;
use super::subnet_buckets::Debts;
use super::{Alarm, Chat};
use crate::alert::Alert;
use crate::config::ChatConfig;
use crate::ids::{MemberId, RoomId};
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
struct Limits<'a> {
    members: &'a mut Slots<MemberId, Member>,
    debts: &'a mut Debts,
    alerts: &'a mut Alerts,
    config: &'a ChatConfig,
    now: Instant,
}

impl Limits<'_> {
    /// Charges bytes of history to a member's subnet. Returns false if that limit or the member's
    /// own is reached.
    fn pay(&mut self, id: MemberId, bytes: usize) -> bool {
        let Some(member) = self.members.get(id) else { return false };
        let (subnet, cost) = (Subnet::of(member.ip), cost_of(bytes));
        let has_left = self.debts.has(subnet, cost, DEPTH, self.now);
        if !has_left {
            self.alerts.note(Alert::HistoryIp, member.ip);
        }
        let is_paid = has_left && member.message_budget.has_for_history(self.config, self.now);
        if is_paid {
            self.debts.take(subnet, cost, self.now);
        }
        is_paid
    }
}

fn cost_of(bytes: usize) -> Duration {
    time_for(bytes as u64, u64::from(RATE))
}

impl Chat {
    /// Returns how many earlier entries a newcomer gets of those that it wants: none if its subnet
    /// has reached its limit. Live messages come behind the history, so somebody who shares the
    /// address of a flood would otherwise wait for them.
    pub(super) fn grant_history(&mut self, peer: IpAddr, wish: u32, now: Instant) -> u32 {
        let cost = cost_of(MAX_PACKED);
        if wish == 0 || self.history_debts.has(Subnet::of(peer), cost, DEPTH, now) {
            return wish;
        }
        self.alerts.note(Alert::HistoryIp, peer);
        0
    }

    /// Wakes a member that has proved its port or confirmed something.
    pub(super) fn wake_member(&mut self, id: MemberId, now: Instant) {
        let Self { members, rooms, history_debts: debts, alerts, config, .. } = self;
        let Some(member) = members.get(id) else { return };
        let (room_id, number) = (member.room, member.number);
        let stream = rooms.get_mut(room_id).and_then(|room| room.stream.as_mut());
        let Some(stream) = stream else { return };
        let mut limits = Limits { members, debts, alerts, config, now };
        stream.wake(number, now, |member, bytes| limits.pay(member, bytes));
        self.set_rest_alarm(room_id);
        self.queue(room_id);
    }

    /// Wakes the members of a room whose pause is over, and asks those without credit for a
    /// confirmation.
    pub(super) fn wake_room(&mut self, room_id: RoomId, now: Instant) {
        let Self { members, rooms, history_debts: debts, alerts, config, pool, .. } = self;
        let Some(room) = rooms.get_mut(room_id) else { return };
        let may_ask = room.has_space_for_aside();
        let Some(stream) = &mut room.stream else { return };
        // The timers have removed the alarm that has come up.
        stream.rest_alarm = None;
        let mut limits = Limits { members, debts, alerts, config, now };
        let asides = &mut room.asides;
        stream.wake_all(
            now,
            |member, bytes| limits.pay(member, bytes),
            |member, header| {
                if may_ask {
                    asides.push(member, pool, |out| header.encode(out));
                }
            },
        );
        self.set_rest_alarm(room_id);
        self.queue(room_id);
    }

    pub(super) fn set_rest_alarm(&mut self, room_id: RoomId) {
        let room = self.rooms.get_mut(room_id);
        let Some(stream) = room.and_then(|room| room.stream.as_mut()) else { return };
        if let Some(due) = stream.rest_due() {
            self.timers.change(Alarm::Rest(room_id), stream.rest_alarm, Some(due));
            stream.rest_alarm = Some(due);
        }
    }
}
