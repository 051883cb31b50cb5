//! The table of TCP connections: who is served next, who has to flush, who runs out of time.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::Context;
use super::idle_order::IdleOrder;
use super::session::{BufferLimits, Served, Session};
use super::source::Source;
use crate::address::Origin;
use crate::alert::Alert;
use crate::config::{Budgets, ConnectionConfig};
use crate::ids::ConnId;
use crate::metrics::{Counter, Metrics};
use crate::protocol::Status;
use crate::slots::Slots;
use crate::subnet::Subnet;
use crate::timers::Timers;

/// What one read takes at most. One buffer for all connections: those that are idle need none.
const SCRATCH: usize = 16 * 1024;

/// When a deadline is looked at again that came up before its connection was served: a few turns on.
const RECONSIDER: Duration = Duration::from_millis(10);

/// A session and where it stands in the queues.
struct ConnectionSlot {
    session: Session,
    /// Its entry in `deadlines`.
    deadline: Option<Instant>,
    /// Its entry in `idle_order`.
    silent_since: Option<Instant>,
    /// Its part of `buffered`.
    buffered: usize,
    is_ready: bool,
    /// The deadline that came up last, before the socket was read once more.
    reconsidered: Option<Instant>,
    is_unflushed: bool,
    is_doomed: bool,
}

/// All TCP connections.
pub(super) struct Connections {
    slots: Slots<ConnId, ConnectionSlot>,
    /// Connections that have something to do, each once, in turns.
    ready: VecDeque<ConnId>,
    /// Connections that may have something to write, each once.
    unflushed: VecDeque<ConnId>,
    /// Connections to be freed at the end of a turn.
    doomed: Vec<ConnId>,
    deadlines: Timers<ConnId>,
    /// By when they were last heard, to find the one that gives way.
    idle_order: IdleOrder,
    /// Bytes of memory for requests and replies under way.
    buffered: usize,
    scratch: Box<[u8]>,
    config: ConnectionConfig,
    budgets: Budgets,
}

impl Connections {
    pub(super) fn new(config: ConnectionConfig, budgets: Budgets) -> Self {
        Self {
            slots: Slots::new(),
            ready: VecDeque::new(),
            unflushed: VecDeque::new(),
            doomed: Vec::new(),
            deadlines: Timers::new(),
            idle_order: IdleOrder::new(),
            buffered: 0,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            config,
            budgets,
        }
    }

    /// Takes a stream that was just accepted.
    pub(super) fn admit(
        &mut self,
        stream: TcpStream,
        origin: Origin,
        registry: &Registry,
        context: &mut Context,
    ) {
        self.make_place(origin.remote.ip(), context);
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("{}: {error}", origin.remote);
        }
        let id = self.slots.insert(ConnectionSlot {
            session: Session::new(stream, origin, context.now),
            deadline: None,
            silent_since: None,
            buffered: 0,
            is_ready: false,
            reconsidered: None,
            is_unflushed: false,
            is_doomed: false,
        });
        self.register(id, registry, &mut context.metrics);
        self.reschedule(id);
        self.mark_ready(id);
    }

    /// When a peer has as many as it may, or there are as many as may be, the one of those that has
    /// been silent longest gives way.
    fn make_place(&mut self, ip: IpAddr, context: &mut Context) {
        let own =
            self.idle_order.first_of_peer_if_full(Subnet::of(ip), self.config.max_connections_ip);
        if let Some(silent) = own {
            context.alert(Alert::ConnectionsIp, ip);
            self.evict(silent, Status::RateLimited, context);
        } else if let Some(silent) = self.idle_order.first_if_full(self.config.max_connections) {
            context.alert(Alert::Connections, ip);
            self.evict(silent, Status::ServerFull, context);
        }
    }

    /// Ends a connection whose slot is needed now. It is told, if its socket takes it at once.
    fn evict(&mut self, id: ConnId, why: Status, context: &mut Context) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.session.give_way(why, context);
            // It is freed in this turn, whatever comes of the flush.
            let _ = slot.session.flush(&BufferLimits::plenty(&self.config), context.now);
            context.metrics.count(Counter::Evicted);
            self.doom(id);
        }
    }

    /// Notes what an event says of a connection. The id may be that of one that is gone.
    pub(super) fn note_event(&mut self, id: ConnId, event: &Event) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        // A call finds out what an error is: both ways, since either may be waited for.
        let failed = event.is_error();
        if event.is_readable() || event.is_read_closed() || failed {
            slot.session.connection.note_readable();
            self.mark_ready(id);
        }
        if event.is_writable() || event.is_write_closed() || failed {
            self.note_writable(id);
        }
    }

    /// Serves a portion of the ready connections, each as far as its budget goes; one that has more
    /// to do goes to the back of the queue. The replies of all have a budget too: a list of rooms
    /// costs far more to make than to ask for.
    pub(super) fn serve(&mut self, context: &mut Context) {
        let mut reply_bytes = 0;
        for _ in 0..self.ready.len().min(self.budgets.connections) {
            if reply_bytes >= self.budgets.reply_bytes {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            let limits = self.limits();
            let Some(slot) = self.slots.get_mut(id) else { continue };
            slot.is_ready = false;
            if slot.is_doomed {
                continue;
            }
            let scratch = &mut self.scratch[..limits.read.min(SCRATCH)];
            let served = slot.session.serve(context, scratch, &limits, &self.budgets);
            reply_bytes += slot.session.connection.unsent();
            self.settle(id, served, &mut context.metrics);
        }
    }

    /// Acts on a portion of the deadlines that have come up. Each connection is read once more
    /// before: its late bytes may be here already, and their event still in the kernel.
    pub(super) fn expire(&mut self, context: &mut Context) {
        for _ in 0..self.budgets.timers {
            let Some((_, id)) = self.deadlines.pop_due(context.now) else { return };
            let Some(slot) = self.slots.get_mut(id) else { continue };
            let deadline = slot.session.deadline(&self.config);
            let is_read = slot.reconsidered == deadline;
            if slot.is_ready || !is_read {
                slot.reconsidered = deadline;
                slot.session.connection.note_readable();
                slot.deadline = Some(context.now + RECONSIDER);
                self.deadlines.change(id, None, slot.deadline);
                self.mark_ready(id);
                continue;
            }
            slot.deadline = None;
            let served = slot.session.expire(context);
            self.settle(id, served, &mut context.metrics);
        }
    }

    /// Writes a portion of what was queued, and of what a writable event has freed.
    pub(super) fn flush(&mut self, metrics: &mut Metrics, now: Instant) {
        let limits = self.limits();
        for _ in 0..self.unflushed.len().min(self.budgets.connections) {
            let Some(id) = self.unflushed.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(id) else { continue };
            slot.is_unflushed = false;
            match slot.session.flush(&limits, now) {
                Served::Failed => self.fail(id, metrics),
                Served::More => self.mark_ready(id),
                Served::Over => self.doom(id),
                Served::Done => {}
            }
            self.reschedule(id);
            self.doom_if_over(id);
        }
    }

    /// Begins the end of every connection. Those that wait for nothing are done at once.
    pub(super) fn finish_all(&mut self, now: Instant) {
        let all: Vec<ConnId> = self.slots.iter().map(|(id, _)| id).collect();
        for id in all {
            let Some(slot) = self.slots.get_mut(id) else { continue };
            let is_idle = slot.session.connection.unsent() == 0 && !slot.is_ready;
            slot.session.finish(now);
            self.mark_unflushed(id);
            self.reschedule(id);
            if is_idle {
                self.doom(id);
            }
        }
    }

    /// Frees a portion of the connections that have ended, and returns how many. Closing its
    /// descriptor takes a stream out of the poll (epoll(7)): nobody else holds it.
    pub(super) fn reap(&mut self, context: &mut Context) -> usize {
        let count = self.doomed.len().min(self.budgets.connections);
        for id in self.doomed.drain(..count) {
            if let Some(mut slot) = self.slots.remove(id) {
                self.buffered -= slot.buffered;
                slot.session.release_member(context);
            }
        }
        count
    }

    pub(super) fn has_work(&self) -> bool {
        self.has_ready() || self.has_unflushed() || self.has_doomed()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn has_unflushed(&self) -> bool {
        !self.unflushed.is_empty()
    }

    pub(super) fn has_doomed(&self) -> bool {
        !self.doomed.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    fn is_memory_scarce(&self) -> bool {
        self.config.buffer_memory.is_some_and(|limit| self.buffered >= limit)
    }

    fn limits(&self) -> BufferLimits {
        match self.is_memory_scarce() {
            true => BufferLimits::scarce(&self.config),
            false => BufferLimits::plenty(&self.config),
        }
    }

    fn register(&mut self, id: ConnId, registry: &Registry, metrics: &mut Metrics) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let stream = slot.session.connection.transport_mut();
        if let Err(error) = registry.register(stream, Source::Connection(id).into(), interest) {
            log::debug!("registering a connection: {error}");
            self.fail(id, metrics);
        }
    }

    /// Puts a session where it belongs after it was served.
    fn settle(&mut self, id: ConnId, served: Served, metrics: &mut Metrics) {
        match served {
            Served::Failed => self.fail(id, metrics),
            Served::More => self.mark_ready(id),
            Served::Over => self.doom(id),
            Served::Done => {}
        }
        self.mark_unflushed(id);
        self.reschedule(id);
        self.doom_if_over(id);
    }

    fn note_writable(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && slot.session.connection.note_writable()
        {
            self.mark_unflushed(id);
        }
    }

    fn mark_ready(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && !slot.is_ready
            && !slot.is_doomed
        {
            slot.is_ready = true;
            self.ready.push_back(id);
        }
    }

    fn mark_unflushed(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && !slot.is_unflushed
            && !slot.is_doomed
        {
            slot.is_unflushed = true;
            self.unflushed.push_back(id);
        }
    }

    /// Brings the session's deadline and its slot among the silent up to date.
    fn reschedule(&mut self, id: ConnId) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (deadline, heard_at) = match slot.is_doomed {
            true => (None, None),
            false => (slot.session.deadline(&self.config), Some(slot.session.heard_at)),
        };
        self.deadlines.change(id, slot.deadline, deadline);
        let peer = Subnet::of(slot.session.peer());
        self.idle_order.change((peer, id), slot.silent_since, heard_at);
        slot.deadline = deadline;
        slot.silent_since = heard_at;
        let buffered = slot.session.connection.held_bytes();
        self.buffered = self.buffered - slot.buffered + buffered;
        slot.buffered = buffered;
    }

    fn fail(&mut self, id: ConnId, metrics: &mut Metrics) {
        metrics.count(Counter::ConnectionErrors);
        self.doom(id);
    }

    fn doom_if_over(&mut self, id: ConnId) {
        if self.slots.get(id).is_some_and(|slot| slot.session.connection.is_over()) {
            self.doom(id);
        }
    }

    /// Marks a connection to be freed at the end of the turn.
    fn doom(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && !slot.is_doomed
        {
            slot.is_doomed = true;
            self.doomed.push(id);
            self.reschedule(id);
        }
    }
}
