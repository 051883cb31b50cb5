//! Tracks which datagrams have left the send buffer of a socket.
//!
//! The kernel reports how many bytes the buffer holds (`SIOCOUTQ`), but not for which hosts. So sends are
//! counted in rounds: a round lasts from one sample of the buffer to the next. Once the buffer is as
//! empty as before a round, the datagrams of that round have left it. A round for which that does not
//! happen within [`DRAIN`] is stuck.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A send buffer that is filled to at most one part in `EMPTY` counts as empty.
const EMPTY: usize = 8;

/// Time in which a datagram leaves the send buffer, unless the kernel cannot send it on.
const DRAIN: Duration = Duration::from_millis(50);

/// Interval between samples of a send buffer while members wait.
pub(super) const SAMPLE: Duration = Duration::from_millis(1);

/// Limit for pending rounds. It is exceeded only if samples are taken too often; then the oldest round
/// counts as stuck.
const MAX_PENDING: usize = 256;

/// A round whose outcome is not known yet.
#[derive(Debug)]
struct Round {
    number: u64,
    /// Bytes in the send buffer when the round began, and the fewest seen since it ended.
    before: usize,
    least: usize,
    ended: Instant,
}

/// Known state of a socket's send buffer.
#[derive(Debug)]
pub(super) struct SendBuffer {
    pub(super) size: usize,
    /// Bytes in it at the last sample.
    pub(super) queued: usize,
    /// Bytes sent in this round.
    pub(super) sent: usize,
    /// Number of this round.
    pub(super) round: u64,
    pending: VecDeque<Round>,
    stuck: VecDeque<u64>,
    /// Round with a test datagram to a suspect.
    pub(super) trial: Option<u64>,
    pub(super) sampled_at: Instant,
    /// True if members wait because their host has used up its share.
    pub(super) has_waiting: bool,
}

impl SendBuffer {
    pub(super) fn new(size: usize, now: Instant) -> Self {
        Self {
            size,
            queued: 0,
            sent: 0,
            round: 1,
            pending: VecDeque::new(),
            stuck: VecDeque::new(),
            trial: None,
            sampled_at: now,
            has_waiting: false,
        }
    }

    /// Returns true if a sample is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_in_use = self.sent > 0 || self.has_waiting || !self.pending.is_empty();
        is_in_use && now >= self.sampled_at + SAMPLE
    }

    /// Takes in a sample, which ends the round.
    pub(super) fn note_sample(&mut self, queued: usize, now: Instant) {
        if self.sent > 0 {
            let (number, before) = (self.round, self.queued);
            self.pending.push_back(Round { number, before, least: queued, ended: now });
        }
        (self.queued, self.sent, self.sampled_at) = (queued, 0, now);
        self.round += 1;
        if queued <= self.size / EMPTY {
            self.pending.clear();
            self.stuck.clear();
            self.trial = None;
            return;
        }
        self.judge_pending(now);
        if self.trial.is_some_and(|round| self.has_left(round).is_some()) {
            self.trial = None;
        }
    }

    /// Removes rounds whose outcome the last sample has shown from those that are pending.
    fn judge_pending(&mut self, now: Instant) {
        let Self { pending, stuck, queued, .. } = self;
        let is_full = pending.len() > MAX_PENDING;
        pending.retain_mut(|round| {
            round.least = round.least.min(*queued);
            let has_left = round.least <= round.before;
            let is_stuck = !has_left && (round.ended + DRAIN <= now || is_full);
            if is_stuck {
                stuck.push_back(round.number);
            }
            !has_left && !is_stuck
        });
        if stuck.len() > MAX_PENDING {
            stuck.pop_front();
        }
    }

    /// Returns true if the datagrams of a round have left the buffer, false if they are stuck in it, and
    /// `None` while that is not known.
    pub(super) fn has_left(&self, round: u64) -> Option<bool> {
        let is_pending = self.pending.iter().any(|pending| pending.number == round);
        let is_known = round < self.round && !is_pending;
        is_known.then(|| !self.stuck.contains(&round))
    }
}
