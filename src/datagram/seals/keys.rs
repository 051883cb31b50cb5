//! The sealed members that hold keys. Keys are large, so idle members drop theirs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ids::MemberId;

/// Limit for the members that hold keys. Together they take some 10 MB: 600 bytes for the keys of each
/// direction, as long as an epoch lasts.
pub(super) const MAX_HOLDERS: usize = 8_192;

/// Time without use after which a member's keys are dropped. To derive them again costs as much as to
/// receive two datagrams.
pub(super) const KEY_LIFE: Duration = Duration::from_secs(10);

/// Limit for the members that one call looks at.
const SWEEP: usize = 256;

/// The members that hold keys, in the order in which they were last looked at. A member that has used its
/// keys since then keeps them. This needs one bit for each member. The strict order of their uses would
/// need a list that every datagram changes.
#[derive(Debug, Default)]
pub(super) struct KeyHolders {
    members: VecDeque<(MemberId, Instant)>,
}

/// The outcome of looking at a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glance {
    /// It has used its keys, and keeps them.
    Used,
    /// It has not used its keys, or has ended. Its keys are dropped.
    Dropped,
}

impl KeyHolders {
    /// Adds a member that holds keys now. If there are too many, the keys of another one are dropped.
    pub(super) fn add(
        &mut self,
        member: MemberId,
        now: Instant,
        mut glance: impl FnMut(MemberId) -> Glance,
    ) {
        self.members.push_back((member, now));
        while self.members.len() > MAX_HOLDERS {
            self.look_at_first(now, &mut glance);
        }
    }

    /// Drops the keys of members that have not used them for [`KEY_LIFE`] to twice that time.
    pub(super) fn sweep(&mut self, now: Instant, mut glance: impl FnMut(MemberId) -> Glance) {
        for _ in 0..SWEEP {
            if self.next_deadline().is_none_or(|due| now < due) {
                return;
            }
            self.look_at_first(now, &mut glance);
        }
    }

    /// Returns the time of the next [`KeyHolders::sweep`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.members.front().map(|(_, looked_at)| *looked_at + KEY_LIFE)
    }

    fn look_at_first(&mut self, now: Instant, glance: &mut impl FnMut(MemberId) -> Glance) {
        let Some((member, _)) = self.members.pop_front() else { return };
        match glance(member) {
            Glance::Used => self.members.push_back((member, now)),
            Glance::Dropped => {}
        }
    }
}
