//! The connections that carry members: which one carries whom, and what goes out on them.

use super::Connections;
use crate::chat::PathEnd;
use crate::fanout::{Job, Receipt};
use crate::ids::{ConnId, MemberId};
use crate::reactor::Context;
use crate::reactor::session::Session;
use crate::slots::SecondaryMap;

impl Connections {
    /// Appends what carried members get of a job to the output of their connections, at most `budget`
    /// units. A member whose connection is full waits, or loses units: see `Carried::append`. Shares
    /// of members without any path are skipped: nothing waits for a path.
    pub(in crate::reactor) fn carry(
        &mut self,
        job: Job<'_>,
        budget: usize,
        has_route: impl Fn(MemberId) -> bool,
    ) -> Receipt {
        let limit = self.limits().units;
        let (job, shares) = job.split();
        let mut total = Receipt::default();
        for share in shares.iter_mut().filter(|share| share.next < share.until) {
            let Some(id) = self.paths.get(share.member).copied() else {
                if !has_route(share.member) {
                    share.skip();
                }
                continue;
            };
            if total.sent >= budget {
                break;
            }
            let Self { slots, pool, .. } = self;
            let slot = slots.get_mut(id).filter(|slot| !slot.is_doomed);
            let left = budget - total.sent;
            let appended =
                slot.and_then(|slot| slot.session.append(pool, (&job, &mut *share), (left, limit)));
            let Some(receipt) = appended else {
                share.skip();
                continue;
            };
            if receipt.sent > 0 {
                self.mark_unflushed(id);
            }
            total.add(receipt);
        }
        total
    }

    /// Makes a connection the path of a member, in place of an earlier connection.
    pub(super) fn open_path(&mut self, id: ConnId, member: MemberId, context: &mut Context) {
        self.lose_path(member, context);
        self.paths.insert(member, id);
        // Units may be here already.
        self.mark_ready(id);
    }

    /// Finishes the connections of members that do not need them any more.
    pub(in crate::reactor) fn finish_paths(&mut self, context: &mut Context) {
        while let Some(end) = context.chat.poll_path_end() {
            self.end_path(end, context);
        }
    }

    /// Finishes the earlier connection of a member that has another one now.
    pub(in crate::reactor) fn lose_path(&mut self, member: MemberId, context: &mut Context) {
        // These are ends of earlier paths, perhaps of this member.
        self.finish_paths(context);
        self.end_path(PathEnd { member, code: None }, context);
    }

    fn end_path(&mut self, PathEnd { member, code }: PathEnd, context: &mut Context) {
        context.quic.end(member, code, context.now);
        let Some(id) = self.paths.remove(member) else { return };
        if let Some(slot) = self.slots.get_mut(id) {
            slot.session.leave_path(code, context.now);
            self.mark_unflushed(id);
            self.reschedule(id);
        }
    }
}

/// Forgets the path of a member whose connection is freed, unless another one carries it since.
pub(super) fn forget_path(
    paths: &mut SecondaryMap<MemberId, ConnId>,
    id: ConnId,
    session: &Session,
) {
    if let Some(member) = session.carried_member()
        && paths.get(member) == Some(&id)
    {
        paths.remove(member);
    }
}
