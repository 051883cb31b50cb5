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
//! | `idle_order.rs` | who has been silent longest, and gives way |
//! | `slice.rs` | time slice of a step |
//! | `steps.rs` | CPU time of the steps, in a build with the feature `step-times` |
//! | `alert_log.rs` | warnings about peers, one a minute of each kind and subnet |
//! | `signals.rs` | SIGINT, SIGTERM and SIGHUP |
//! | `outputs.rs` | stdout and stderr |
//! | `bind.rs` | opening the sockets at the start |
//! | `memory_estimate.rs` | upper bound for the memory, for the log |

mod acceptor;
mod alert_log;
mod bind;
mod connections;
mod idle_order;
mod memory_estimate;
mod outputs;
mod session;
mod signals;
mod slice;
mod source;
mod steps;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::alert::Alert;
use crate::chat::Chat;
use crate::config::{Config, DRAIN, METRICS_INTERVAL};
use crate::datagram::{Datagrams, Disposition};
use crate::metrics::{Counter, Metrics};
use crate::output::Output;

use acceptor::{AcceptOutcome, Acceptor};
use alert_log::AlertLog;
use connections::Connections;
use outputs::Outputs;
use signals::Signals;
use source::Source;
use steps::step;

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

/// What a request or a datagram is answered with; one value, so that the steps of a turn can be
/// handed all of it beside the table that they walk.
struct Context {
    chat: Chat,
    datagrams: Datagrams,
    metrics: Metrics,
    alerts: AlertLog,
    /// The one clock reading of the turn.
    now: Instant,
}

impl Context {
    /// Notes an alert about a peer, for the log.
    fn alert(&mut self, alert: Alert, peer: IpAddr) {
        self.alerts.note(alert, peer, 1, self.now);
    }

    /// Hands at most `budget` datagrams of one socket to the chat.
    fn read_socket(&mut self, index: usize, budget: usize) {
        let Self { chat, datagrams, metrics, now, .. } = self;
        let report = datagrams.receive(index, budget, |origin, bytes| {
            let heard = chat.handle_datagram(origin.remote.socket_addr(), bytes, *now);
            metrics.count(heard.counter());
            Disposition { member: heard.member(), was_rejected: heard.is_in_vain() }
        });
        metrics.add(Counter::Datagrams, report.received as u64);
        metrics.add(Counter::Skipped, report.skipped as u64);
        metrics.add(Counter::ReceiveErrors, report.errors as u64);
        metrics.add(Counter::KernelDropped, u64::from(report.overflow));
        forget_withdrawn(chat, datagrams);
    }
}

/// The server.
pub struct Reactor {
    poll: Poll,
    events: Events,
    acceptor: Acceptor,
    connections: Connections,
    signals: Signals,
    outputs: Outputs,
    context: Context,
    reported: Metrics,
    report_at: Instant,
    config: Config,
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
        let udp = self.context.datagrams.local_addrs();
        udp.enumerate().map(|(index, udp)| Ok((self.acceptor.local_addr(index)?, udp))).collect()
    }

    /// Lets lines that this output did not take leave when it does.
    ///
    /// # Errors
    /// If epoll_ctl(2) fails.
    pub fn watch(&mut self, output: Output) -> io::Result<()> {
        self.outputs.watch(output, self.poll.registry())
    }

    /// Turns until a signal ends it.
    ///
    /// # Errors
    /// Only if the poll itself fails. What goes wrong on a socket ends that socket's peer at most.
    pub fn run(&mut self) -> io::Result<Exit> {
        loop {
            self.turn()?;
            if let Some(exit) = self.exit() {
                log::info!("{}", self.context.metrics);
                return Ok(exit);
            }
        }
    }

    /// One turn. The order matters: input comes before deadlines, so that a message which is already
    /// here counts as heard before its member is called idle, and datagrams before requests, so
    /// that it counts before somebody takes its member's name; output comes after everything that
    /// makes it, so that an answer leaves in the turn of its question; and freeing comes last, so
    /// that no step meets an id whose thing is gone.
    fn turn(&mut self) -> io::Result<()> {
        self.wait()?;
        step("note readiness", || self.note_readiness());
        step("handle signals", || self.handle_signals());
        step("accept", || self.accept());
        step("read datagrams", || self.read_datagrams());
        step("read connections", || self.read_connections());
        step("expire timers", || self.expire_timers());
        step("deliver", || self.deliver());
        step("flush", || self.flush());
        step("reap", || self.reap());
        Ok(())
    }

    /// Waits for an event or the next deadline; not at all while work is left over.
    fn wait(&mut self) -> io::Result<()> {
        let mut timeout = match self.has_work() {
            true => Duration::ZERO,
            false => time_until(self.next_deadline(), Instant::now()),
        };
        while let Err(error) = self.poll.poll(&mut self.events, Some(timeout)) {
            // A signal handler ran, or we were stopped and continued (signal(7)). However late it is
            // now, what has come meanwhile is looked at before any deadline.
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            timeout = Duration::ZERO;
        }
        self.context.now = Instant::now();
        Ok(())
    }

    /// Sets a bit for each event. Nothing is done yet: an event says what may be done, not what
    /// must, and the thing that it is about may be gone.
    fn note_readiness(&mut self) {
        // The events of other sockets may still be in the kernel.
        if self.events.iter().count() == EVENTS {
            self.context.datagrams.note_all_readable();
        }
        for event in &self.events {
            match Source::from(event.token()) {
                Source::Listener(index) => self.acceptor.note_readable(index),
                Source::Connection(id) => self.connections.note_event(id, event),
                Source::Signals => self.signals.note_readable(),
                Source::Output(index) => self.outputs.note_writable(index),
                Source::Datagrams(index) => {
                    if event.is_readable() || event.is_error() {
                        self.context.datagrams.note_readable(index);
                    }
                    if event.is_writable() {
                        self.context.datagrams.note_writable(index);
                    }
                }
            }
        }
    }

    /// The first signal begins the end, the second makes it short.
    fn handle_signals(&mut self) {
        for signal in self.signals.take() {
            if self.leave_by.is_none() {
                log::info!("signal {signal}: closing the rooms");
                self.drain();
            } else if signals::forces(signal) {
                self.forced = Some(signal);
            }
        }
    }

    /// Tells everyone that it is over, and takes nothing new.
    fn drain(&mut self) {
        self.leave_by = Some(self.context.now + DRAIN);
        self.acceptor.close(self.poll.registry());
        self.context
            .metrics
            .add(Counter::Abandoned, self.context.chat.close_all(self.context.now) as u64);
        self.connections.finish_all(self.context.now);
    }

    /// Takes new connections in.
    fn accept(&mut self) {
        for index in 0..self.acceptor.len() {
            for _ in 0..self.config.budgets.accepts {
                match self.acceptor.accept(index, self.context.now) {
                    AcceptOutcome::Accepted(stream, origin) => {
                        self.context.metrics.count(Counter::Accepted);
                        let registry = self.poll.registry();
                        self.connections.admit(stream, origin, registry, &mut self.context);
                    }
                    AcceptOutcome::Retry => self.context.metrics.count(Counter::AcceptErrors),
                    AcceptOutcome::Pause => {
                        self.context.metrics.count(Counter::AcceptErrors);
                        break;
                    }
                    AcceptOutcome::Drained => break,
                }
            }
        }
    }

    /// Reads requests and carries them out; their replies wait for the flush.
    fn read_connections(&mut self) {
        let Self { connections, context, config, .. } = self;
        slice::fill(config.budgets.slice, Instant::now, || {
            connections.serve(context);
            connections.has_ready()
        });
    }

    /// Hands each datagram to the chat, which relays it, obeys it or drops it; whoever it is from is
    /// answered the way it came.
    fn read_datagrams(&mut self) {
        let context = &mut self.context;
        let budgets = &self.config.budgets;
        slice::fill(budgets.slice, Instant::now, || {
            for index in 0..context.datagrams.len() {
                context.read_socket(index, budgets.datagrams);
            }
            context.datagrams.has_input()
        });
        context.chat.note_read(context.datagrams.read_until(context.now));
    }

    /// Acts on deadlines: idle members, merged notices, late connections, the report of the counters.
    fn expire_timers(&mut self) {
        let Self { connections, context, config, .. } = self;
        let is_due = |deadline: Option<Instant>, now| deadline.is_some_and(|due| due <= now);
        slice::fill(config.budgets.slice, Instant::now, || {
            context.chat.handle_timeout(context.now, config.budgets.timers);
            is_due(context.chat.poll_timeout(), context.now)
        });
        slice::fill(config.budgets.slice, Instant::now, || {
            connections.expire(context);
            is_due(connections.next_deadline(), context.now)
        });
        self.log_alerts();
        if self.context.now >= self.report_at {
            self.report();
        }
    }

    /// Takes the alerts of this turn from the chat, and writes the lines that are due.
    fn log_alerts(&mut self) {
        let Context { chat, alerts, now, .. } = &mut self.context;
        while let Some((alert, peer, count)) = chat.poll_alert() {
            alerts.note(alert, peer, count, *now);
        }
        alerts.expire(*now);
    }

    /// Sends what the chat has for members: it says which bytes and to whom, the datagram layer knows
    /// where they are, and the receipt says how far it came.
    fn deliver(&mut self) {
        let Context { chat, datagrams, metrics, now, .. } = &mut self.context;
        datagrams.poll_send_buffers(*now);
        if datagrams.take_unblocked() {
            chat.resume_stalled(*now);
        }
        let budgets = &self.config.budgets;
        slice::fill(budgets.slice, Instant::now, || {
            let receipt =
                chat.deliver(budgets.deliveries, *now, |job, budget| datagrams.send(job, budget));
            metrics.add(Counter::Sent, receipt.sent as u64);
            metrics.add(Counter::SendErrors, receipt.dropped as u64);
            metrics.add(Counter::Withheld, receipt.withheld as u64);
            metrics.add(Counter::Blocked, u64::from(receipt.blocked));
            chat.has_output()
        });
    }

    /// Writes the replies that this turn made, and log lines that had to wait.
    fn flush(&mut self) {
        self.outputs.flush();
        let Self { connections, context, config, .. } = self;
        slice::fill(config.budgets.slice, Instant::now, || {
            connections.flush(&mut context.metrics, context.now);
            connections.has_unflushed()
        });
    }

    /// The only place where anything is freed.
    fn reap(&mut self) {
        let slice = self.config.budgets.slice;
        let Context { chat, datagrams, .. } = &mut self.context;
        slice::fill(slice, Instant::now, || {
            chat.reap(|member| datagrams.forget(member));
            chat.has_garbage()
        });
        let Self { connections, context, acceptor, .. } = self;
        slice::fill(slice, Instant::now, || {
            if connections.reap(context) > 0 {
                acceptor.resume();
            }
            connections.has_doomed()
        });
    }

    /// Whether something can be done without an event.
    fn has_work(&self) -> bool {
        self.acceptor.has_input()
            || self.connections.has_work()
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
            self.leave_by,
        ];
        deadlines.into_iter().flatten().fold(self.report_at, Instant::min)
    }

    fn exit(&self) -> Option<Exit> {
        if let Some(signal) = self.forced {
            return Some(Exit::Forced(signal));
        }
        let late = self.leave_by.is_some_and(|deadline| self.context.now >= deadline);
        let done = !self.context.chat.has_last_words() && self.connections.is_empty();
        (late || (self.leave_by.is_some() && done)).then_some(Exit::Drained)
    }

    fn report(&mut self) {
        self.report_at = self.context.now + METRICS_INTERVAL;
        if self.context.metrics != self.reported {
            let census = self.context.chat.census();
            log::info!(
                "rooms {}, members {}, {}",
                census.open,
                census.tokens,
                self.context.metrics
            );
            self.reported = self.context.metrics.clone();
        }
    }
}

/// Stops sending to members whose address another member has proved. This must happen before
/// anything is sent.
fn forget_withdrawn(chat: &mut Chat, datagrams: &mut Datagrams) {
    while let Some(member) = chat.poll_withdrawn() {
        datagrams.forget(member);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    use crate::config::{Bind, Budgets, ChatConfig, ConnectionConfig, DatagramPath};

    /// Starts a server with this time slice.
    fn start(slice: Duration) -> Reactor {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        Reactor::bind(Config {
            bind: vec![Bind { name: "loopback".into(), addresses: vec![loopback] }],
            tcp_port: 0,
            udp_port: 0,
            chat: ChatConfig::default(),
            connections: ConnectionConfig::default(),
            budgets: Budgets { slice, ..Budgets::default() },
            datagram_path: DatagramPath::default(),
        })
        .expect("free ports")
    }

    #[test]
    fn a4_a_turn_reads_datagrams_until_its_slice_ends() {
        const COUNT: usize = 300;
        let portion = Budgets::default().datagrams;
        for (slice, expected) in [(LONGEST_WAIT, COUNT), (Duration::ZERO, portion)] {
            let mut reactor = start(slice);
            let (_, server) = reactor.addresses().expect("addresses")[0];
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            for _ in 0..COUNT {
                socket.send_to(b"junk", server).expect("sent");
            }
            reactor.turn().expect("a turn");
            assert_eq!(reactor.context.metrics.get(Counter::Datagrams), expected as u64);
            assert_eq!(reactor.has_work(), expected < COUNT, "the rest is for the next turn");
        }
    }

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
