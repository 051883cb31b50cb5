//! The wait for the next event or deadline: none while work is left over.

use std::io;
use std::time::{Duration, Instant};

use super::Reactor;

/// No wait is longer: a far deadline must not overflow the kernel's milliseconds (epoll_wait(2) takes
/// an int), and one needless turn a minute costs nothing.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Reactor {
    /// Waits for an event or the next deadline; not at all while work is left over.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        let mut timeout = match self.has_work() {
            true => Duration::ZERO,
            false => time_until(self.next_deadline(), Instant::now()),
        };
        while let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
            // A signal handler ran, or we were stopped and continued (signal(7)). It may be late now, but
            // input that came meanwhile is read before any deadline is checked.
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            timeout = Duration::ZERO;
        }
        self.context.now = Instant::now();
        self.context.figures.begin_turn(self.context.now);
        Ok(())
    }

    /// Returns true if there is work without an event.
    pub(super) fn has_work(&self) -> bool {
        self.acceptor.has_input()
            || self.connections.has_work()
            || self.context.quic.has_work()
            || self.context.datagrams.has_input()
            || self.context.chat.has_output()
            || self.context.chat.has_garbage()
    }

    fn next_deadline(&self) -> Instant {
        let deadlines = [
            self.context.chat.poll_timeout(),
            self.connections.next_deadline(),
            self.acceptor.next_deadline(),
            self.context.alerts.next_deadline(),
            self.context.datagrams.next_deadline(),
            self.context.tls.next_deadline(),
            self.context.quic.next_deadline(),
            self.service.next_deadline(),
            self.context.figures.next_deadline(),
            self.leave_by,
        ];
        deadlines.into_iter().flatten().fold(self.report_at, Instant::min)
    }
}

/// Returns the wait until `deadline`, rounded up to milliseconds: the kernel would round a shorter wait
/// down, and the loop would wake up too early, again and again.
pub(super) fn time_until(deadline: Instant, now: Instant) -> Duration {
    let wait = deadline.saturating_duration_since(now).min(LONGEST_WAIT);
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    // It is at most LONGEST_WAIT, so it fits.
    Duration::from_millis(milliseconds as u64)
}
