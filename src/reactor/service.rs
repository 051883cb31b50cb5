//! The state of the server, for its service manager: READY, STATUS, RELOADING, STOPPING and WATCHDOG of
//! sd_notify(3).

use std::time::{Duration, Instant};

use crate::service::{Notifier, State};
use crate::sys;

/// The shortest interval between two lines of status, and the pause before a state is sent again that the
/// manager did not take.
const INTERVAL: Duration = Duration::from_secs(1);

/// The shortest interval between two signs of life. A watchdog that wants more would keep the loop busy.
const SHORTEST_ALIVE: Duration = Duration::from_millis(10);

/// The service manager, and the states that it is to get.
pub(super) struct Service {
    notifier: Option<Notifier>,
    /// Half of the manager's time, as sd_watchdog_enabled(3) recommends.
    alive_interval: Option<Duration>,
    alive_at: Option<Instant>,
    /// The rooms and the members of the last status.
    shown: Option<(usize, usize)>,
    /// Time of the next status at the earliest.
    status_at: Instant,
    is_stale: bool,
    retry_at: Option<Instant>,
}

impl Service {
    pub(super) fn new(
        notifier: Option<Notifier>,
        watchdog: Option<Duration>,
        now: Instant,
    ) -> Self {
        let watchdog = watchdog.filter(|_| notifier.is_some());
        let alive_interval = watchdog.map(|limit| SHORTEST_ALIVE.max(limit / 2));
        Self {
            notifier,
            alive_interval,
            alive_at: alive_interval.map(|interval| now + interval),
            shown: None,
            status_at: now,
            is_stale: false,
            retry_at: None,
        }
    }

    /// Tells that the server listens, or has finished a reload.
    pub(super) fn ready(&mut self) {
        self.send(State::Ready);
    }

    /// Tells that the server reads its files again.
    pub(super) fn reloading(&mut self) {
        self.send(State::Reloading(sys::monotonic_time()));
    }

    /// Tells that the server ends.
    pub(super) fn stopping(&mut self) {
        self.send(State::Stopping);
    }

    /// Sends what is due. Only a loop that turns calls this, so a stuck one is restarted by the manager's
    /// watchdog.
    pub(super) fn update(&mut self, rooms: usize, members: usize, now: Instant) {
        if self.alive_at.is_some_and(|at| at <= now) {
            self.alive_at = self.alive_interval.map(|interval| now + interval);
            self.send(State::Alive);
        }
        self.is_stale = self.shown != Some((rooms, members));
        if self.is_stale && self.status_at <= now {
            (self.shown, self.is_stale) = (Some((rooms, members)), false);
            self.status_at = now + INTERVAL;
            self.send(State::Status(format!("rooms {rooms}, members {members}")));
        }
        self.retry(now);
    }

    /// Returns the time of the next [`Service::update`].
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.notifier.as_ref()?;
        let status_at = self.is_stale.then_some(self.status_at);
        [self.alive_at, status_at, self.retry_at].into_iter().flatten().min()
    }

    fn send(&mut self, state: State) {
        if let Some(notifier) = &mut self.notifier {
            notifier.send(state);
        }
    }

    fn retry(&mut self, now: Instant) {
        let Some(notifier) = &mut self.notifier else { return };
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            notifier.flush();
        }
        self.retry_at = notifier.has_waiting().then(|| self.retry_at.unwrap_or(now + INTERVAL));
    }
}
