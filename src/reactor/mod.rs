//! The loop: one thread, one poll, every socket in it.
//!
//! Start at `Reactor::turn`. Each step is a method, and most of them are in the file that owns the
//! objects of the step:
//!
//! | file | what it owns |
//! | --- | --- |
//! | `source.rs` | the meaning of a `mio::Token` |
//! | `acceptor.rs` | the listeners |
//! | `connections.rs` | the table of connections, their queues and deadlines |
//! | `connections/` | the queue of hellos; who gives way to a new connection; which connection carries whom; who watches the figures |
//! | `handshakes.rs` | handshakes in progress |
//! | `session.rs`, `session/`, `connection_state.rs` | the life of one connection, and its state |
//! | `tcrp.rs` | the protocol of requests on a connection |
//! | `grant.rs` | the execution of a request, and what it gets |
//! | `http.rs`, `no_http.rs` | HTTP on a connection, and its stand-in in a build without it |
//! | `web.rs`, `no_web.rs` | the pages for it, and their stand-in |
//! | `websocket.rs`, `no_websocket.rs` | requests on a WebSocket, and their stand-in |
//! | `carried.rs` | the protocol on a connection that carries a member |
//! | `framing.rs`, `taken.rs` | the form of its messages: units, or messages of a WebSocket |
//! | `member_socket.rs`, `no_member_socket.rs` | the WebSocket of a member, and its stand-in |
//! | `quic.rs`, `no_quic.rs` | QUIC in a turn, and its stand-in in a build without it |
//! | `quic_sessions.rs`, `no_quic_sessions.rs` | the members on QUIC, and their stand-in |
//! | `buffer_limits.rs` | limits for the buffers of a connection |
//! | `idle_order.rs` | the order in which connections are evicted |
//! | `context.rs` | the chat and the UDP sockets, and what comes in |
//! | `egress.rs` | what goes out, split by the paths of the members |
//! | `waiting.rs` | the wait for the next event or deadline |
//! | `slice.rs` | the time slice of a step |
//! | `steps.rs` | the steps; their CPU time, in a build with the feature `step-times` |
//! | `figures/`, `viewing.rs`, `no_figures.rs` | the figures of `/loop` and `/metrics`, and their stand-in |
//! | `random.rs` | random bits |
//! | `alert_log.rs` | warnings about peers, at most one a minute of each kind and subnet |
//! | `signals.rs` | SIGINT, SIGTERM, SIGHUP and SIGUSR1 |
//! | `report.rs` | the log of the counters |
//! | `service.rs` | the state of the server, for its service manager |
//! | `outputs.rs` | stdout and stderr |
//! | `bind.rs`, `bind_error.rs` | opening the sockets at the start |
//! | `sockets.rs`, `passed.rs` | the sockets of a server, its own or those of its service manager |
//! | `check.rs` | the check before a start, which changes nothing |
//! | `unix_socket.rs`, `socket_file.rs` | listeners on Unix sockets, and their files |
//! | `memory_estimate.rs` | an upper bound for the memory, for the log |

mod acceptor;
mod alert_log;
mod bind;
mod bind_error;
mod buffer_limits;
mod carried;
mod check;
mod connection_state;
mod connections;
mod context;
mod egress;
#[cfg_attr(not(feature = "web"), path = "no_figures.rs")]
mod figures;
mod framing;
mod grant;
#[cfg(all(test, feature = "tls"))]
mod handshake_tests;
mod handshakes;
#[cfg_attr(not(feature = "web"), path = "no_http.rs")]
mod http;
mod idle_order;
#[cfg_attr(not(feature = "web"), path = "no_member_socket.rs")]
mod member_socket;
mod memory_estimate;
mod outputs;
mod passed;
#[cfg_attr(not(feature = "webtransport"), path = "no_quic.rs")]
mod quic;
#[cfg_attr(not(feature = "webtransport"), path = "no_quic_sessions.rs")]
mod quic_sessions;
mod random;
mod report;
mod service;
mod session;
mod signals;
mod slice;
mod socket_file;
mod sockets;
mod source;
mod steps;
mod taken;
mod tcrp;
mod unix_socket;
#[cfg(feature = "web")]
mod viewing;
mod waiting;
#[cfg_attr(not(feature = "web"), path = "no_web.rs")]
mod web;
#[cfg_attr(not(feature = "web"), path = "no_websocket.rs")]
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::{Events, Poll};

use crate::config::Config;
use crate::metrics::{Counter, Metrics};
use crate::output::Output;
use crate::service::ServiceManager;
use crate::unix_addr::UnixAddr;

use acceptor::{AcceptOutcome, Acceptor};
use connections::Connections;
use context::Context;
use outputs::Outputs;
use service::Service;
use signals::Signals;
use source::Source;
use steps::Step;

pub use bind_error::BindError;
pub use check::{Findings, check};

/// Events taken from the kernel at once. More stay there, in order, for the next turn.
const EVENTS: usize = 1024;

/// The reason why the loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A signal came, and everyone was told, as far as the time [`DRAIN`](crate::config::DRAIN) allowed.
    Drained,
    /// This second signal came and ended the server at once.
    Forced(i32),
}

/// The server.
pub struct Reactor {
    poll: Poll,
    events: Events,
    acceptor: Acceptor,
    connections: Connections,
    signals: Signals,
    outputs: Outputs,
    service: Service,
    context: Context,
    reported: Metrics,
    report_at: Instant,
    config: Config,
    /// Time of the end at the latest; set by the first signal.
    leave_by: Option<Instant>,
    /// Set by the second signal.
    forced: Option<i32>,
}

impl Reactor {
    /// Opens every socket, or takes those that the service manager has passed, and registers it. The manager
    /// learns the server's state.
    ///
    /// # Errors
    /// If it cannot listen on an address.
    pub fn bind(config: Config, manager: ServiceManager) -> Result<Self, BindError> {
        bind::bind(config, manager)
    }

    /// Returns the TCP and the UDP address of each `--bind`, with their real ports.
    ///
    /// # Errors
    /// If getsockname(2) fails.
    pub fn addresses(&self) -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
        let udp = self.context.datagrams.local_addrs();
        self.acceptor.tcp_addrs().zip(udp).map(|(tcp, udp)| Ok((tcp?, udp))).collect()
    }

    /// Returns the scheme of the URLs of the pages, unless HTTP is off.
    pub fn scheme(&self) -> Option<&'static str> {
        let scheme = if self.context.tls.is_required() { "https" } else { "http" };
        (!self.context.web.is_off()).then_some(scheme)
    }

    /// Returns the addresses of the Unix sockets.
    pub fn unix_addresses(&self) -> impl Iterator<Item = &UnixAddr> {
        self.acceptor.unix_addrs()
    }

    /// Returns the fingerprint of the public key, unless TLS is off.
    pub fn fingerprint(&self) -> Option<String> {
        self.context.tls.fingerprint()
    }

    /// Watches an output, so that lines which it did not take are written once it is writable.
    ///
    /// # Errors
    /// If epoll_ctl(2) fails.
    pub fn watch(&mut self, output: Output) -> io::Result<()> {
        self.outputs.watch(output, self.poll.registry())
    }

    /// Runs turns until a signal ends the server.
    ///
    /// # Errors
    /// Only if the poll itself fails. An error on a socket ends that socket's peer at most.
    pub fn run(&mut self) -> io::Result<Exit> {
        self.service.ready();
        loop {
            self.turn()?;
            if let Some(exit) = self.exit() {
                log::info!("{}", self.context.metrics);
                return Ok(exit);
            }
        }
    }

    /// One turn. The order matters: input comes before deadlines, so that a message which is already
    /// here counts before its member is called idle, and datagrams before requests, so
    /// that it counts before somebody takes its member's name; output comes after everything that
    /// makes it, so that an answer leaves in the turn of its question; and freeing comes last, so
    /// that no step meets an id whose thing is gone.
    fn turn(&mut self) -> io::Result<()> {
        self.step(Step::Wait, Self::wait)?;
        self.step(Step::NoteReadiness, Self::note_readiness);
        self.step(Step::HandleSignals, Self::handle_signals);
        self.step(Step::Accept, Self::accept);
        self.step(Step::ReadDatagrams, Self::read_datagrams);
        self.step(Step::ReadConnections, Self::read_connections);
        self.step(Step::ExpireTimers, Self::expire_timers);
        self.step(Step::Deliver, Self::deliver);
        self.step(Step::Flush, Self::flush);
        self.step(Step::Reap, Self::reap);
        Ok(())
    }

    /// Sets a bit for each event. Nothing is done yet: an event is permission, not work, and its source
    /// may be gone.
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

    /// Accepts new connections.
    fn accept(&mut self) {
        for index in 0..self.acceptor.len() {
            for _ in 0..self.config.budgets.accepts {
                match self.acceptor.accept(index, self.context.now) {
                    AcceptOutcome::Accepted(stream, peer) => {
                        self.context.metrics.count(Counter::Accepted);
                        let registry = self.poll.registry();
                        self.connections.admit(stream, peer, registry, &mut self.context);
                    }
                    AcceptOutcome::Retry => self.context.metrics.count(Counter::AcceptErrors),
                    AcceptOutcome::Pause => {
                        self.context.metrics.count(Counter::AcceptErrors);
                        break;
                    }
                    AcceptOutcome::Empty => break,
                }
            }
        }
    }

    /// Reads requests and executes them; their replies wait for the flush. A hello takes its turn with a
    /// portion of everyone else.
    fn read_connections(&mut self) {
        let Self { connections, context, config, .. } = self;
        slice::fill(config.budgets.slice, Instant::now, || {
            connections.serve(context);
            quic::serve(context, connections);
            let has_more = connections.has_ready() || context.quic.has_events();
            connections.answer_hello(context) || has_more
        });
    }

    /// Hands each datagram to the chat, which relays it, executes it or drops it. From then on its sender's
    /// datagrams go back the same way.
    fn read_datagrams(&mut self) {
        let context = &mut self.context;
        let budgets = &self.config.budgets;
        slice::fill(budgets.slice, Instant::now, || {
            for index in 0..context.datagrams.socket_count() {
                context.read_socket(index, budgets.datagrams);
            }
            context.datagrams.has_input()
        });
        context.chat.note_read(context.datagrams.read_until(context.now));
    }

    /// Acts on deadlines: idle members, merged notices, late connections, the log of the counters.
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
        let Self { connections, context, config, .. } = self;
        slice::fill(config.budgets.slice, Instant::now, || {
            quic::expire(context, connections, config.budgets.timers);
            is_due(context.quic.next_deadline(), context.now)
        });
        self.context.tls.expire(self.context.now);
        self.log_alerts();
        self.report_if_due();
        self.tick_figures();
    }

    /// Takes the alerts of this turn from the chat, and writes the lines that are due.
    fn log_alerts(&mut self) {
        let Context { chat, alerts, now, .. } = &mut self.context;
        while let Some((alert, peer, count)) = chat.poll_alert() {
            alerts.note(alert, peer, count, *now);
        }
        alerts.expire(*now);
    }

    /// Sends what the chat has for its members, as far as the sockets take it.
    fn deliver(&mut self) {
        let Context { chat, datagrams, quic, now, .. } = &mut self.context;
        datagrams.handle_timeout(*now);
        let is_unblocked = datagrams.take_unblocked();
        if is_unblocked {
            quic.resume();
        }
        if is_unblocked | quic.take_space() {
            chat.resume_stalled(*now);
        }
        let Self { connections, context, config, .. } = self;
        let budgets = &config.budgets;
        slice::fill(budgets.slice, Instant::now, || {
            egress::deliver(context, connections, budgets.deliveries);
            context.chat.has_output()
        });
        connections.finish_paths(context);
    }

    /// Writes the replies and the units of this turn, log lines that had to wait, and the server's state.
    fn flush(&mut self) {
        self.outputs.flush();
        self.update_service();
        let Self { connections, context, config, .. } = self;
        slice::fill(config.budgets.slice, Instant::now, || {
            connections.flush(context);
            let has_packets = quic::flush(context);
            connections.has_unflushed() || has_packets
        });
    }

    /// The only place where anything is freed.
    fn reap(&mut self) {
        let slice = self.config.budgets.slice;
        let Context { chat, datagrams, .. } = &mut self.context;
        slice::fill(slice, Instant::now, || {
            chat.reap(|member| datagrams.remove(member));
            chat.has_garbage()
        });
        let Self { connections, context, acceptor, .. } = self;
        connections.finish_paths(context);
        slice::fill(slice, Instant::now, || {
            if connections.reap(context) > 0 {
                acceptor.resume();
            }
            connections.has_doomed()
        });
        connections.end_turn(context);
        context.quic.end_turn(&mut context.metrics);
    }

    fn exit(&self) -> Option<Exit> {
        if let Some(signal) = self.forced {
            return Some(Exit::Forced(signal));
        }
        let late = self.leave_by.is_some_and(|deadline| self.context.now >= deadline);
        let is_over = self.connections.is_empty() && self.context.quic.is_over();
        let done = !self.context.chat.has_last_words() && is_over;
        (late || (self.leave_by.is_some() && done)).then_some(Exit::Drained)
    }
}

#[cfg(test)]
mod tests;
