//! Turns of entries: one train of datagrams for all members at one cursor.

use super::cursor::{OrderedCursor, Place};
use super::{OrderedStream, UNTAGGED, note_earlier};
use crate::delivery::lane::{Lane, Outcome, Workspace};
use crate::fanout::{Job, Share};

/// Limit for the datagrams that a member gets before members at other cursors have their turn: as
/// many as the kernel cuts one message into.
pub(in crate::delivery) const MAX_TRAIN: usize = 64;

/// Limit for a member that catches up: some 40 KB.
const MAX_LATE_TRAIN: usize = 32;

/// The order in which members get their turns. Those that keep up and those that catch up take
/// turns, so that neither wait for the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    is_of_late: bool,
    /// Number of the cursor to begin with, among those that keep up.
    current: u32,
    /// Number of the cursor to begin with, among those that catch up.
    late: u32,
}

impl Turns {
    fn first(&self) -> u32 {
        if self.is_of_late { self.late } else { self.current }
    }

    fn first_mut(&mut self) -> &mut u32 {
        if self.is_of_late { &mut self.late } else { &mut self.current }
    }
}

impl OrderedStream {
    /// Returns cursors in turn, all in this state among them. Those that catch up are few among many.
    fn candidates(&self, place: Place) -> impl Iterator<Item = (usize, &OrderedCursor)> {
        let (first, is_late) = (self.turns.first(), place == Place::Behind);
        let late = is_late.then(|| self.cursors.behind_in_turn(first));
        let all = (!is_late).then(|| self.cursors.all().in_turn(first));
        late.into_iter().flatten().chain(all.into_iter().flatten())
    }

    /// Collects the cursors in one state that a train serves, up to the same `limit`.
    fn collect_group(&self, work: &mut Workspace, (place, limit): (Place, u64), max: usize) {
        let Workspace { train, shares, .. } = work;
        let (until, end) = (train.len(), self.ring.end());
        // A train that is cut at its length has little for cursors in its second half. They get a
        // train of their own.
        let is_served = |next: u64| {
            let index = train.index(next)?;
            (index <= until / 2 || train.number(until) == limit).then_some(index)
        };
        let range = train.number(0)..train.number(until);
        let mut expected = match place {
            Place::Current(_) => {
                self.cursors.positions().count(range, |next| is_served(next).is_some())
            }
            _ => usize::MAX,
        };
        let mut left = max;
        for (index, cursor) in self.candidates(place) {
            if expected == 0 {
                return;
            }
            let until = until - u32::from(cursor.is_carried && train.asks());
            if cursor.place().is_like(place)
                && cursor.limit(end) == limit
                && let Some(next) = is_served(cursor.next)
                && (place != Place::Behind || train.size(next, until) <= cursor.budget())
            {
                let datagrams = (until - next) as usize;
                if datagrams > left && !shares.is_empty() {
                    return;
                }
                shares.push(cursor.share(index, next, until));
                left = left.saturating_sub(datagrams);
                expected -= 1;
            }
        }
    }
}

impl Lane for OrderedStream {
    /// Packs the entries that wait at one cursor, and collects the members whose cursor is where one
    /// of the datagrams begins, until they get `max` datagrams together.
    ///
    /// The lowest cursor goes first among the members that keep up: so they stay together, one train
    /// serves all of them, and nobody keeps entries in the ring.
    fn share_out(&mut self, work: &mut Workspace, max: usize) -> bool {
        work.shares.clear();
        let end = self.ring.end();
        let has_current = self.unsent() < end;
        let has_late = self.cursors.positions().has_behind();
        self.turns.is_of_late = has_late && !(self.turns.is_of_late && has_current);
        let place = match (self.turns.is_of_late, self.cursors.positions().lowest()) {
            (true, _) => Place::Behind,
            (false, Some(lowest)) if has_current => Place::Current(lowest),
            (false, _) => return false,
        };
        let mut in_turn = self.candidates(place).map(|(_, cursor)| cursor);
        let Some(leader) = in_turn.find(|cursor| cursor.place() == place) else { return false };
        let (entries, bytes) = ((leader.next, leader.limit(end)), leader.budget());
        match place {
            Place::Behind => {
                work.train.pack_late(&self.ring, UNTAGGED, entries, (MAX_LATE_TRAIN, bytes));
            }
            _ => work.train.pack(&self.ring, UNTAGGED, entries, MAX_TRAIN),
        }
        self.collect_group(work, (place, entries.1), max);
        true
    }

    fn job<'a>(&'a self, work: &'a mut Workspace) -> Job<'a> {
        work.train.job(&mut work.shares)
    }

    fn take_back(&mut self, work: &mut Workspace, outcome: Outcome) {
        let Workspace { train, shares, history, .. } = work;
        let Self { ring, cursors, turns, wake_at, .. } = self;
        let first = turns.first_mut();
        for Share { cursor: index, next, until, .. } in shares.iter() {
            cursors.change_at(*index as usize, ring.end(), |cursor| {
                let sent = train.index(cursor.next).map_or(0, |index| train.size(index, *next));
                let is_done = next == until;
                let bytes = cursor.advance(train.number(*next), sent, is_done, outcome.now);
                if bytes > 0 {
                    history.push((cursor.member, bytes));
                }
                if is_done {
                    // After the highest number the turn goes back to the lowest.
                    *first = cursor.number.wrapping_add(1);
                } else {
                    cursor.is_blocked = outcome.is_blocked;
                }
                note_earlier(wake_at, cursor.wake_at);
            });
        }
    }
}
