//! The table of connections, with their queues, deadlines and shared memory limit.

mod eviction;
mod hellos;
mod paths;
#[cfg(feature = "web")]
mod viewers;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Interest, Registry};

use super::Context;
use super::buffer_limits::BufferLimits;
use super::connection_state::Kind;
use super::figures::Tally;
use super::handshakes::Handshakes;
use super::idle_order::{IdleOrder, Place};
use super::session::{Served, Session};
use super::source::Source;
use crate::address::Peer;
use crate::config::{Budgets, ConnectionConfig};
use crate::connection::{BufferPool, Stream};
use crate::ids::{ConnId, MemberId};
use crate::metrics::{Counter, Metrics};
use crate::slots::{SecondaryMap, Slots};
use crate::subnet::Subnet;
use crate::timers::{Deadline, Timers};
use paths::forget_path;

/// Limit for one read. All connections share one buffer, so idle ones need none.
const SCRATCH: usize = 16 * 1024;

/// Delay after which a deadline is checked again that came up before its connection was read once
/// more: a few turns.
const RECONSIDER: Duration = Duration::from_millis(10);

/// A session and its state in the queues.
struct ConnectionSlot {
    session: Session,
    deadline: Deadline,
    /// Its place in `idle_order`.
    place: Place,
    /// Its part of `buffered`.
    buffered: usize,
    is_ready: bool,
    /// The session's deadline when it last came up, before the socket was read once more.
    reconsidered: Option<Instant>,
    is_unflushed: bool,
    /// True if it is counted in `handshakes`.
    is_handshaking: bool,
    is_doomed: bool,
    /// Its part of `tally`.
    kind: Option<Kind>,
}

/// All connections.
pub(super) struct Connections {
    slots: Slots<ConnId, ConnectionSlot>,
    /// Connections that have something to do, each once. They take turns.
    ready: VecDeque<ConnId>,
    /// Connections whose hellos are to be answered, each once. They count as ready. In the other queue, a
    /// storm of them would delay everyone else.
    hellos: VecDeque<ConnId>,
    /// Connections that may have something to write, each once.
    unflushed: VecDeque<ConnId>,
    /// Connections to be freed at the end of a turn.
    doomed: Vec<ConnId>,
    deadlines: Timers<ConnId>,
    idle_order: IdleOrder,
    tally: Tally,
    handshakes: Handshakes,
    /// The connection that carries each carried member.
    paths: SecondaryMap<MemberId, ConnId>,
    /// Memory for units that are to be written.
    pool: BufferPool,
    /// Bytes of memory in the buffers of all connections.
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
            hellos: VecDeque::new(),
            unflushed: VecDeque::new(),
            doomed: Vec::new(),
            deadlines: Timers::new(),
            idle_order: IdleOrder::new(),
            tally: Tally::default(),
            handshakes: Handshakes::new(budgets.handshakes),
            paths: SecondaryMap::new(),
            pool: BufferPool::default(),
            buffered: 0,
            scratch: vec![0; SCRATCH].into_boxed_slice(),
            config,
            budgets,
        }
    }

    /// Adds an accepted stream.
    pub(super) fn admit(
        &mut self,
        stream: Stream,
        peer: Peer,
        registry: &Registry,
        context: &mut Context,
    ) {
        let refusal = self.make_room(peer.addr(), context);
        let wire = context.tls.wire(stream);
        let id = self.slots.insert(ConnectionSlot {
            session: Session::new(wire, peer, context.now),
            deadline: Deadline::default(),
            place: Place::None,
            buffered: 0,
            is_ready: false,
            reconsidered: None,
            is_unflushed: false,
            is_handshaking: false,
            is_doomed: false,
            kind: None,
        });
        self.register(id, registry, &mut context.metrics);
        if let Some(why) = refusal {
            self.refuse(id, why, context);
        }
        self.reschedule(id);
        self.mark_ready(id);
    }

    /// Notes an event. Its connection may be gone.
    pub(super) fn note_event(&mut self, id: ConnId, event: &Event) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        // Only a call tells what the error is, and either direction may be waited for.
        let failed = event.is_error();
        if event.is_readable() || event.is_read_closed() || failed {
            slot.session.connection.note_readable();
            self.mark_ready(id);
        }
        if event.is_writable() || event.is_write_closed() || failed {
            self.note_writable(id);
        }
    }

    /// Serves a portion of the ready connections, each within its budget. One that has more to do goes
    /// to the back of the queue. The replies of all share a budget too: a list of rooms costs far more
    /// to make than to request.
    pub(super) fn serve(&mut self, context: &mut Context) {
        let mut reply_bytes = 0;
        for _ in 0..self.ready.len().min(self.budgets.connections) {
            if reply_bytes >= self.budgets.reply_bytes {
                return;
            }
            let Some(id) = self.ready.pop_front() else { return };
            match self.has_hello(id) {
                true => self.hellos.push_back(id),
                false => reply_bytes += self.serve_one(id, context),
            }
        }
    }

    /// Serves a connection, and returns the number of bytes that it has to write then.
    fn serve_one(&mut self, id: ConnId, context: &mut Context) -> usize {
        let limits = self.limits();
        let Some(slot) = self.slots.get_mut(id) else { return 0 };
        slot.is_ready = false;
        if slot.is_doomed {
            return 0;
        }
        let scratch = &mut self.scratch[..limits.read.min(SCRATCH)];
        let served = slot.session.serve(context, scratch, &limits, &self.budgets);
        let unsent = slot.session.connection.unsent();
        self.settle(id, served, context);
        unsent
    }

    /// Acts on a portion of the deadlines that have come up. Each connection is read once more before:
    /// late bytes may be here already, with their event still in the kernel.
    pub(super) fn expire(&mut self, context: &mut Context) {
        for _ in 0..self.budgets.timers {
            let Some((_, id)) = self.deadlines.pop_due(context.now) else { return };
            let Some(slot) = self.slots.get_mut(id) else { continue };
            let deadline = slot.session.deadline(&self.config);
            let is_read = slot.reconsidered == deadline;
            if slot.is_ready || !is_read {
                slot.reconsidered = deadline;
                slot.session.connection.note_readable();
                self.deadlines.set(id, &mut slot.deadline, Some(context.now + RECONSIDER));
                self.mark_ready(id);
                continue;
            }
            let served = slot.session.expire(context);
            self.settle(id, served, context);
        }
    }

    /// Flushes a portion of the connections that were served or have become writable.
    pub(super) fn flush(&mut self, context: &mut Context) {
        let limits = self.limits();
        for _ in 0..self.unflushed.len().min(self.budgets.connections) {
            let Some(id) = self.unflushed.pop_front() else { return };
            let Some(slot) = self.slots.get_mut(id) else { continue };
            slot.is_unflushed = false;
            let served = slot.session.flush(context, &limits);
            slot.session.connection.release(&mut self.pool);
            self.apply(id, served, context);
        }
    }

    /// Begins the end of every connection. Those that wait for nothing are freed in this turn. One that
    /// carries a member ends with its member, who is to be told first.
    pub(super) fn finish_all(&mut self, now: Instant) {
        let all: Vec<ConnId> = self.slots.iter().map(|(id, _)| id).collect();
        for id in all {
            let slot = self.slots.get_mut(id).filter(|slot| !slot.session.is_path());
            let Some(slot) = slot else { continue };
            let is_idle = slot.session.connection.unsent() == 0 && !slot.is_ready;
            slot.session.finish(now);
            self.mark_unflushed(id);
            self.reschedule(id);
            if is_idle {
                self.doom(id);
            }
        }
    }

    /// Frees a portion of the connections that have ended, and returns their number. Closing its only
    /// descriptor takes a stream out of the poll (epoll(7)).
    pub(super) fn reap(&mut self, context: &mut Context) -> usize {
        let count = self.doomed.len().min(self.budgets.connections);
        for id in self.doomed.drain(..count) {
            if let Some(mut slot) = self.slots.remove(id) {
                self.buffered -= slot.buffered;
                slot.session.release_member(context);
                forget_path(&mut self.paths, id, &slot.session);
            }
        }
        count
    }

    /// Ends a turn: its budgets are whole again.
    pub(super) fn end_turn(&mut self, context: &mut Context) {
        self.handshakes.end_turn(&mut context.metrics);
        let queues = [self.ready.len(), self.hellos.len(), self.unflushed.len()];
        context.figures.note_connections(&self.tally, queues, self.buffered);
    }

    pub(super) fn has_work(&self) -> bool {
        self.has_ready() || self.has_hellos() || self.has_unflushed() || self.has_doomed()
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

    fn limits(&self) -> BufferLimits {
        match self.config.buffer_memory.is_some_and(|limit| self.buffered >= limit) {
            true => BufferLimits::scarce(&self.config),
            false => BufferLimits::normal(&self.config),
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

    /// Updates the queues and deadlines after a session was served.
    fn settle(&mut self, id: ConnId, served: Served, context: &mut Context) {
        self.apply(id, served, context);
        self.mark_unflushed(id);
    }

    fn apply(&mut self, id: ConnId, served: Served, context: &mut Context) {
        match served {
            Served::Failed => self.fail(id, &mut context.metrics),
            Served::More => self.mark_ready(id),
            Served::Carries(member) => self.open_path(id, member, context),
            Served::Over => self.doom(id),
            Served::Done => {}
        }
        self.note_handshake(id);
        self.reschedule(id);
        if self.slots.get(id).is_some_and(|slot| slot.session.connection.is_over()) {
            self.doom(id);
        }
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

    /// Updates what the table knows of a session: its deadline, its place in the order, its memory.
    fn reschedule(&mut self, id: ConnId) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (deadline, place) = match slot.is_doomed {
            true => (None, Place::None),
            false => (slot.session.deadline(&self.config), slot.session.place()),
        };
        let kind = (!slot.is_doomed).then(|| slot.session.kind());
        self.tally.change(std::mem::replace(&mut slot.kind, kind), kind);
        self.deadlines.set(id, &mut slot.deadline, deadline);
        let peer = Subnet::of(slot.session.peer());
        self.idle_order.change((peer, id), slot.place, place);
        slot.place = place;
        let buffered = slot.session.held_bytes();
        self.buffered = self.buffered - slot.buffered + buffered;
        slot.buffered = buffered;
    }

    /// Counts a loss once: a read and the next write may both fail.
    fn fail(&mut self, id: ConnId, metrics: &mut Metrics) {
        if self.slots.get(id).is_some_and(|slot| !slot.is_doomed) {
            metrics.count(Counter::ConnectionErrors);
        }
        self.doom(id);
    }

    /// Marks a connection to be freed at the end of the turn.
    fn doom(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id)
            && !std::mem::replace(&mut slot.is_doomed, true)
        {
            self.doomed.push(id);
            self.note_handshake(id);
            self.reschedule(id);
        }
    }
}
