//! When to say `have` (S8), and what its answers tell: that the server lives, and how far it is.

use std::time::{Duration, Instant};

use super::rtt::{Rtt, doubled};

/// The time from one sign of life to the next is within these, whatever a server says (S1).
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time from a datagram without entries to the `have` that answers it. The next entry of a room
/// that still speaks makes that answer needless.
const ANSWER_DELAY: Duration = Duration::from_millis(25);
/// A `have` is not repeated sooner.
const SHORTEST_REPEAT: Duration = Duration::from_secs(1);

/// The `have`s of one receiver.
#[derive(Debug)]
pub(super) struct KeepAlive {
    keep_alive: Duration,
    /// There is a reason to send one.
    wanted: bool,
    /// True if it is to be sent although another one is on the way.
    is_urgent: bool,
    /// When there is one in any case.
    due: Instant,
    /// When a datagram without entries is to be answered.
    owed: Option<Instant>,
    last_sent: Option<Instant>,
    last_heard: Instant,
    /// Sent since the server was heard last.
    unanswered: u32,
    /// Sent and not answered one by one; by Karn's rule the answer to one of several tells nothing.
    on_the_way: u32,
    rtt: Rtt,
}

impl KeepAlive {
    /// The first one is sent at once: it proves the port (S7).
    pub(super) fn new(keep_alive: Duration, now: Instant) -> Self {
        Self {
            keep_alive: keep_alive.clamp(SHORTEST_KEEP_ALIVE, LONGEST_KEEP_ALIVE),
            wanted: true,
            is_urgent: false,
            due: now,
            owed: None,
            last_sent: None,
            last_heard: now,
            unanswered: 0,
            on_the_way: 0,
            rtt: Rtt::default(),
        }
    }

    /// A datagram of the server came, whatever is in it.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        if self.unanswered > 0 {
            self.unanswered = 0;
            self.due = self.last_sent.unwrap_or(now) + self.keep_alive;
        }
    }

    /// A `have` was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        if self.on_the_way == 1
            && let Some(sent) = self.last_sent
        {
            self.rtt.sample(now.saturating_duration_since(sent));
        }
        self.on_the_way = self.on_the_way.saturating_sub(1);
    }

    /// There is something to confirm.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// Requests one at once, because the server sends nothing more before it.
    pub(super) fn demand(&mut self) {
        (self.wanted, self.is_urgent) = (true, true);
    }

    /// Returns true if the last one was sent at least `answer_timeout` ago.
    pub(super) fn is_lost(&self, answer_timeout: Duration, now: Instant) -> bool {
        self.last_sent.is_none_or(|sent| sent + answer_timeout <= now)
    }

    /// Notes a datagram without entries: the server waits for the confirmation of the last entry.
    pub(super) fn owe(&mut self, now: Instant) {
        self.owed.get_or_insert(now + ANSWER_DELAY);
    }

    /// Notes an entry: a later `have` will confirm the last one.
    pub(super) fn forget_owed(&mut self) {
        self.owed = None;
    }

    /// There is a reason to doubt that the server is there.
    pub(super) fn doubt(&mut self, now: Instant) {
        let last = self.last_sent;
        self.wanted |= last.is_none_or(|sent| sent + SHORTEST_REPEAT <= now);
    }

    /// Looks at the time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.wanted |= self.due <= now || self.owed.is_some_and(|owed| owed <= now);
    }

    /// When to look at the time again; `answer_timeout` is how long an answer may take.
    pub(super) fn timeout(&self, answer_timeout: Duration) -> Instant {
        match self.wanted {
            true if self.is_urgent => self.last_heard,
            true => self.free_at(answer_timeout).unwrap_or(self.last_heard),
            false => self.owed.map_or(self.due, |owed| owed.min(self.due)),
        }
    }

    /// Returns true if one is to be sent now. Unless it is urgent, there is one at a time on the
    /// way, so that each can be measured; after `answer_timeout` it counts as lost.
    pub(super) fn is_ready(&self, answer_timeout: Duration, now: Instant) -> bool {
        self.wanted
            && (self.is_urgent || self.free_at(answer_timeout).is_none_or(|free| free <= now))
    }

    /// When the one on the way counts as lost.
    fn free_at(&self, answer_timeout: Duration) -> Option<Instant> {
        self.last_sent.filter(|_| self.on_the_way > 0).map(|sent| sent + answer_timeout)
    }

    /// One is sent.
    pub(super) fn sent(&mut self, now: Instant) {
        // Without a sign of life, answers to both may come. With one, the other is lost.
        let is_another = self.unanswered > 0 || self.is_urgent;
        self.on_the_way = if is_another { self.on_the_way.saturating_add(1) } else { 1 };
        self.is_urgent = false;
        self.unanswered = self.unanswered.saturating_add(1);
        self.wanted = false;
        self.owed = None;
        self.last_sent = Some(now);
        self.due = now + self.repeat_after();
    }

    fn repeat_after(&self) -> Duration {
        let first = SHORTEST_REPEAT.max(self.rtt.timeout());
        doubled(first, self.unanswered - 1, self.keep_alive)
    }

    pub(super) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    pub(super) fn unanswered(&self) -> u32 {
        self.unanswered
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }
}
