//! The loop: one thread, one poll, every socket in it.
//!
//! Start at `Reactor::turn`. Each step is a method, most of them in the file that owns what the
//! step works on:
//!
//! | file | what it owns |
//! | --- | --- |
//! | `source.rs` | what a `mio::Token` means |
//! | `acceptor.rs` | the TCP listeners |
//! | `connections.rs` | the table of connections, their queues and deadlines |
//! | `session.rs` | one connection that speaks TCRP |
//! | `signals.rs` | SIGINT and SIGTERM |
//! | `bind.rs` | opening the sockets at the start |

mod acceptor;
mod bind;
mod connections;
mod session;
mod signals;
mod source;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::chat::{Chat, Dropped, Fate, Heard};
use crate::config::{Config, DRAIN, METRICS_INTERVAL};
use crate::datagram::Datagrams;
use crate::ids::MemberId;
use crate::metrics::Metrics;

use acceptor::{AcceptOutcome, Acceptor};
use connections::Connections;
use signals::Signals;
use source::Source;

pub use bind::BindError;

/// Events taken from the kernel at once. More stay there, in order, for the next turn.
const EVENTS: usize = 1024;

/// No wait is longer: a far deadline must not overflow the kernel's milliseconds (epoll_wait(2) takes
/// an int), and one needless turn a minute costs nothing.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How the loop came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// After a signal, everyone has been told, as far as [`DRAIN`] sufficed.
    Drained,
    /// A second signal, this one, asked to leave at once.
    Forced(i32),
}

/// The server.
pub struct Reactor {
    poll: Poll,
    events: Events,
    acceptor: Acceptor,
    connections: Connections,
    datagrams: Datagrams,
    chat: Chat,
    signals: Signals,
    metrics: Metrics,
    reported: Metrics,
    report_at: Instant,
    config: Config,
    /// The one clock reading of the turn.
    now: Instant,
    /// Set by the first signal: when to leave at the latest.
    leave_by: Option<Instant>,
    /// Set by the second signal.
    forced: Option<i32>,
}

impl Reactor {
    /// Opens every socket and registers it.
    ///
    /// # Errors
    /// Which address can't be listened on, and why.
    pub fn bind(config: Config) -> Result<Self, BindError> {
        bind::bind(config)
    }

    /// The addresses that are listened on, with their real ports: TCP and UDP of each `--bind`.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn addresses(&self) -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
        (0..self.datagrams.len())
            .map(|index| Ok((self.acceptor.local_addr(index)?, self.datagrams.local_addr(index)?)))
            .collect()
    }

    /// Turns until a signal ends it.
    ///
    /// # Errors
    /// Only if the poll itself fails. What goes wrong on a socket ends that socket's peer at most.
    pub fn run(&mut self) -> io::Result<Exit> {
        loop {
            self.turn()?;
            if let Some(exit) = self.exit() {
                log::info!("{}", self.metrics);
                return Ok(exit);
            }
        }
    }

    /// One turn. The order matters: input comes before deadlines, so that a message which is already
    /// here counts as heard before its member is called idle; output comes after everything that
    /// makes it, so that an answer leaves in the turn of its question; and freeing comes last, so
    /// that no step meets an id whose thing is gone.
    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        self.note_readiness();
        self.heed_signals();
        self.accept();
        self.read_connections();
        self.read_datagrams();
        self.expire_timers();
        self.deliver();
        self.flush();
        self.reap();
        Ok(())
    }

    /// Waits for an event or the next deadline; not at all while work is left over.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.has_work() {
            true => Some(Duration::ZERO),
            false => Some(time_until(self.next_deadline(), Instant::now())),
        };
        match self.poll.poll(&mut self.events, timeout) {
            // A signal handler ran (signal(7)); its pipe will tell in the next wait.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            outcome => outcome?,
        }
        self.now = Instant::now();
        Ok(())
    }

    /// Sets a bit for each event. Nothing is done yet: an event says what may be done, not what
    /// must, and the thing that it is about may be gone.
    fn note_readiness(&mut self) {
        for event in &self.events {
            match Source::from(event.token()) {
                Source::Listener(index) => self.acceptor.note_readable(index),
                Source::Connection(id) => self.connections.note_event(id, event),
                Source::Signals => self.signals.note_readable(),
                Source::Datagrams(index) => {
                    if event.is_readable() || event.is_error() {
                        self.datagrams.note_readable(index);
                    }
                    if event.is_writable() && self.datagrams.note_writable(index) {
                        self.chat.resume_stalled();
                    }
                }
            }
        }
    }

    /// The first signal begins the end, the second makes it short.
    fn heed_signals(&mut self) {
        for signal in self.signals.take() {
            if self.leave_by.is_some() {
                self.forced = Some(signal);
            } else {
                log::info!("signal {signal}: closing the rooms");
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        self.leave_by = Some(self.now + DRAIN);
        self.acceptor.close(self.poll.registry());
        self.chat.close_all();
        self.connections.finish_all(self.now);
    }

    fn accept(&mut self) {
        for index in 0..self.acceptor.len() {
            for _ in 0..self.config.budgets.accepts {
                match self.acceptor.accept(index, self.now) {
                    AcceptOutcome::Accepted(stream, origin) => {
                        self.metrics.accepted += 1;
                        let registry = self.poll.registry();
                        self.connections.admit(
                            stream,
                            origin,
                            registry,
                            &mut self.metrics,
                            self.now,
                        );
                    }
                    AcceptOutcome::Retry => self.metrics.accept_errors += 1,
                    AcceptOutcome::Pause => {
                        self.metrics.accept_errors += 1;
                        break;
                    }
                    AcceptOutcome::Drained => break,
                }
            }
        }
    }

    fn read_connections(&mut self) {
        let mut desk = session::Desk {
            chat: &mut self.chat,
            datagrams: &mut self.datagrams,
            metrics: &mut self.metrics,
            now: self.now,
        };
        self.connections.serve(&mut desk);
    }

    fn read_datagrams(&mut self) {
        for index in 0..self.datagrams.len() {
            let (chat, metrics, now) = (&mut self.chat, &mut self.metrics, self.now);
            let budget = self.config.budgets.datagrams;
            let intake = self.datagrams.receive(index, budget, |origin, bytes| {
                let heard = chat.handle_datagram(origin.remote, bytes, now);
                count_heard(metrics, heard)
            });
            self.metrics.datagrams += intake.received as u64;
            self.metrics.receive_errors += intake.errors as u64;
            self.metrics.kernel_dropped += u64::from(intake.overflow);
        }
    }

    fn expire_timers(&mut self) {
        self.chat.handle_timeout(self.now, self.config.budgets.timers);
        let mut desk = session::Desk {
            chat: &mut self.chat,
            datagrams: &mut self.datagrams,
            metrics: &mut self.metrics,
            now: self.now,
        };
        self.connections.expire(&mut desk);
        if self.now >= self.report_at {
            self.report();
        }
    }

    fn deliver(&mut self) {
        let datagrams = &mut self.datagrams;
        let budget = self.config.budgets.deliveries;
        let receipt = self.chat.deliver(budget, |job, budget| datagrams.send(job, budget));
        self.metrics.sent += receipt.sent as u64;
        self.metrics.send_errors += receipt.dropped as u64;
    }

    fn flush(&mut self) {
        self.connections.flush(&mut self.metrics, self.now);
    }

    /// The only place where anything is freed.
    fn reap(&mut self) {
        let datagrams = &mut self.datagrams;
        self.chat.reap(|member| datagrams.forget(member));
        if self.connections.reap() > 0 {
            self.acceptor.resume();
        }
    }

    /// Whether something can be done without an event.
    fn has_work(&self) -> bool {
        self.acceptor.has_input()
            || self.connections.has_work()
            || self.datagrams.has_input()
            || self.chat.has_output()
    }

    fn next_deadline(&self) -> Instant {
        let deadlines = [
            self.chat.poll_timeout(),
            self.connections.next_deadline(),
            self.acceptor.next_deadline(),
            self.leave_by,
        ];
        deadlines.into_iter().flatten().fold(self.report_at, Instant::min)
    }

    fn exit(&self) -> Option<Exit> {
        if let Some(signal) = self.forced {
            return Some(Exit::Forced(signal));
        }
        let late = self.leave_by.is_some_and(|deadline| self.now >= deadline);
        let done = self.chat.census().rooms == 0 && self.connections.is_empty();
        (late || (self.leave_by.is_some() && done)).then_some(Exit::Drained)
    }

    fn report(&mut self) {
        self.report_at = self.now + METRICS_INTERVAL;
        if self.metrics != self.reported {
            let census = self.chat.census();
            log::info!("rooms {}, members {}, {}", census.rooms, census.tokens, self.metrics);
            self.reported = self.metrics.clone();
        }
    }
}

/// How long to wait for `deadline`: rounded up to milliseconds, since a shorter wait would be rounded
/// down by the kernel and come back too early, again and again.
fn time_until(deadline: Instant, now: Instant) -> Duration {
    let wait = deadline.saturating_duration_since(now).min(LONGEST_WAIT);
    let milliseconds = wait.as_nanos().div_ceil(1_000_000);
    // At most LONGEST_WAIT: it fits.
    Duration::from_millis(milliseconds as u64)
}

/// Counts what became of a datagram and gives its member, if it is somebody's.
fn count_heard(metrics: &mut Metrics, heard: Heard) -> Option<MemberId> {
    let (counter, member) = match heard {
        Heard::Dropped(Dropped::TooLong) => (&mut metrics.too_long, None),
        Heard::Dropped(Dropped::Malformed) => (&mut metrics.malformed, None),
        Heard::Dropped(Dropped::UnknownToken) => (&mut metrics.unknown_token, None),
        Heard::Dropped(Dropped::WrongRoom | Dropped::WrongAddress) => {
            (&mut metrics.misplaced_token, None)
        }
        Heard::Accepted(member, fate) => {
            let counter = match fate {
                Fate::KeptAlive => &mut metrics.kept_alive,
                Fate::Relayed => &mut metrics.messages,
                Fate::Command => &mut metrics.commands,
                Fate::Refused => &mut metrics.refused,
                Fate::RateLimited => &mut metrics.rate_limited,
                Fate::RoomBusy => &mut metrics.room_busy,
            };
            (counter, Some(member))
        }
    };
    *counter += 1;
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l16_a_wait_is_never_rounded_down_and_never_overflows() {
        let now = Instant::now();
        let wait = |ahead| time_until(now + ahead, now);
        assert_eq!(wait(Duration::ZERO), Duration::ZERO);
        assert_eq!(wait(Duration::from_nanos(1)), Duration::from_millis(1));
        assert_eq!(wait(Duration::from_micros(1_001)), Duration::from_millis(2));
        assert_eq!(wait(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(wait(Duration::from_secs(60 * 60 * 24 * 365 * 50)), LONGEST_WAIT);
        assert_eq!(time_until(now, now + Duration::from_secs(1)), Duration::ZERO);
    }
}
