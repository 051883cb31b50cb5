//! Decides when to send `have` (S8), which confirms entries and keeps the path open. Its answers show
//! that the server lives and measure the round trip.

use std::time::{Duration, Instant};

use super::rtt::{Rtt, doubled};

/// The bounds of the time between two signs of life, whatever a server says (S1).
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time from a datagram without entries to the `have` that answers it. In a room that goes on, the
/// next entry arrives by then and makes the answer unnecessary.
const ANSWER_DELAY: Duration = Duration::from_millis(25);
/// The shortest time between a `have` and its repetition.
const SHORTEST_REPEAT: Duration = Duration::from_secs(1);

/// The timer of one receiver's `have`s.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Duration,
    /// A `have` is to be sent, once none is in flight.
    is_requested: bool,
    /// The requested `have` does not wait for the one in flight.
    is_urgent: bool,
    /// The time at which one is sent in any case.
    due: Instant,
    /// The time at which a datagram without entries is answered.
    answer_at: Option<Instant>,
    last_sent: Option<Instant>,
    last_heard: Instant,
    /// `have`s sent since the last datagram from the server.
    unanswered: u32,
    /// `have`s sent and not answered one by one. By Karn's rule, the answer to one of several does
    /// not measure the round trip.
    in_flight: u32,
    rtt: Rtt,
}

impl KeepAlive {
    /// Creates a timer whose first `have` is due at once: it proves the port (S7).
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval: interval.clamp(SHORTEST_KEEP_ALIVE, LONGEST_KEEP_ALIVE),
            is_requested: true,
            is_urgent: false,
            due: now,
            answer_at: None,
            last_sent: None,
            last_heard: now,
            unanswered: 0,
            in_flight: 0,
            rtt: Rtt::default(),
        }
    }

    /// Notes a datagram from the server, whatever it contains.
    pub(super) fn note_datagram(&mut self, now: Instant) {
        self.last_heard = now;
        if self.unanswered > 0 {
            self.unanswered = 0;
            self.due = self.last_sent.unwrap_or(now) + self.interval;
        }
    }

    /// Notes the answer to a `have`.
    pub(super) fn note_answer(&mut self, now: Instant) {
        if self.in_flight == 1
            && let Some(sent) = self.last_sent
        {
            self.rtt.sample(now.saturating_duration_since(sent));
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Requests a `have`, because there is something to confirm.
    pub(super) fn request_have(&mut self) {
        self.is_requested = true;
    }

    /// Requests a `have` at once, because the server sends nothing more before it.
    pub(super) fn request_have_at_once(&mut self) {
        (self.is_requested, self.is_urgent) = (true, true);
    }

    /// Starts again on another path: what was sent on the last one is lost, and a `have` is due at
    /// once.
    pub(super) fn restart(&mut self) {
        (self.unanswered, self.in_flight) = (0, 0);
        self.request_have_at_once();
    }

    /// Returns true if the last `have` was sent at least `answer_timeout` ago.
    pub(super) fn is_lost(&self, answer_timeout: Duration, now: Instant) -> bool {
        self.last_sent.is_none_or(|sent| sent + answer_timeout <= now)
    }

    /// Schedules the answer to a datagram without entries: the server waits for the confirmation of
    /// the last entry.
    pub(super) fn schedule_answer(&mut self, now: Instant) {
        self.answer_at.get_or_insert(now + ANSWER_DELAY);
    }

    /// Cancels the scheduled answer, because an entry came: a later `have` confirms both.
    pub(super) fn cancel_answer(&mut self) {
        self.answer_at = None;
    }

    /// Requests a `have`, unless one was sent a moment ago, because the server may be gone.
    pub(super) fn doubt(&mut self, now: Instant) {
        let last = self.last_sent;
        self.is_requested |= last.is_none_or(|sent| sent + SHORTEST_REPEAT <= now);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.is_requested |= self.due <= now || self.answer_at.is_some_and(|at| at <= now);
    }

    /// Returns the time of the next call of [`Self::handle_timeout`]. A `have` that is not answered
    /// within `answer_timeout` is lost.
    pub(super) fn timeout(&self, answer_timeout: Duration) -> Instant {
        match self.is_requested {
            true if self.is_urgent => self.last_heard,
            true => self.free_at(answer_timeout).unwrap_or(self.last_heard),
            false => self.answer_at.map_or(self.due, |at| at.min(self.due)),
        }
    }

    /// Returns true if a `have` is to be sent now. Unless it is urgent, only one is in flight at a
    /// time, so that each can be measured.
    pub(super) fn is_ready(&self, answer_timeout: Duration, now: Instant) -> bool {
        let is_free = || self.free_at(answer_timeout).is_none_or(|free| free <= now);
        self.is_requested && (self.is_urgent || is_free())
    }

    /// Returns the time at which the `have` in flight counts as lost.
    fn free_at(&self, answer_timeout: Duration) -> Option<Instant> {
        self.last_sent.filter(|_| self.in_flight > 0).map(|sent| sent + answer_timeout)
    }

    /// Notes that a `have` was sent.
    pub(super) fn note_sent(&mut self, now: Instant) {
        // If the server is silent, the earlier ones may still be answered. Otherwise they are lost.
        let is_another = self.unanswered > 0 || self.is_urgent;
        self.in_flight = if is_another { self.in_flight.saturating_add(1) } else { 1 };
        self.is_urgent = false;
        self.unanswered = self.unanswered.saturating_add(1);
        self.is_requested = false;
        self.answer_at = None;
        self.last_sent = Some(now);
        self.due = now + self.repeat_after();
    }

    fn repeat_after(&self) -> Duration {
        let first = SHORTEST_REPEAT.max(self.rtt.timeout());
        doubled(first, self.unanswered - 1, self.interval)
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
