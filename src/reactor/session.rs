//! The life of one connection: its budgets, its deadlines, its eviction and its end. The protocol on
//! it is in `tcrp.rs`, or in `http.rs` and then `websocket.rs`, and in `carried.rs` once the connection
//! carries a member.

mod waiting;

use std::time::Instant;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::carried::Carried;
use super::connection_state::{Kind, ProtocolKind, Waiting};
use super::framing::Framing;
use super::http::Http;
use super::idle_order::Place;
use super::tcrp::{Next, Tcrp};
use super::websocket::WebSocketRequests;
use crate::address::{Peer, PeerAddr};
use crate::config::Budgets;
use crate::connection::{BufferPool, Connection, Protection, ReadOutcome, WriteOutcome};
use crate::fanout::{Job, Receipt, Share};
use crate::ids::MemberId;
use crate::metrics::Counter;
use crate::protocol::Status;
use crate::protocol::stream::Code;
use crate::tls::ServerWire;

/// Bytes that always suffice to decide between TCRP and HTTP.
const FIRST_BYTES: usize = 4;

/// Outcome of serving a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Nothing more can be done before an event or a deadline.
    Done,
    /// The budget is used up; there is more to do.
    More,
    /// The connection carries this member from now on.
    Carries(MemberId),
    /// The connection is lost.
    Failed,
    /// Its time is over, and nothing more is to be done.
    Over,
}

/// The protocol on a connection.
enum Protocol {
    /// TCRP, or none yet: a connection without a request counts as one of TCRP.
    Tcrp(Tcrp),
    /// HTTP.
    Http(Http),
    /// Requests on a WebSocket.
    WebSocket(WebSocketRequests),
    /// The messages of a member.
    Carried(Carried),
}

/// A connection with its deadlines, and the protocol on it.
pub(super) struct Session {
    pub(super) connection: Connection<ServerWire>,
    peer: Peer,
    protocol: Protocol,
    /// True once the first bytes have decided between TCRP and HTTP (H2). This is never checked again.
    is_decided: bool,
    /// Time of the last input.
    heard_at: Instant,
    waiting: Waiting,
    since: Instant,
}

impl Session {
    pub(super) fn new(wire: ServerWire, peer: Peer, now: Instant) -> Self {
        Self {
            connection: Connection::new(wire),
            peer,
            protocol: Protocol::Tcrp(Tcrp::new(peer, now)),
            is_decided: false,
            heard_at: now,
            waiting: Waiting::Request,
            since: now,
        }
    }

    /// Returns the address of the peer.
    pub(super) fn peer(&self) -> PeerAddr {
        self.peer.addr()
    }

    /// Returns true if everything on the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.connection.is_encrypted()
    }

    /// Returns true if a handshake has begun and is not done.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self.connection.protection(), Protection::Hello | Protection::Handshake)
    }

    /// Returns true if a handshake has begun whose key exchange is still to be done.
    pub(super) fn awaits_answer(&self) -> bool {
        self.connection.protection() == Protection::Hello && self.connection.is_open()
    }

    /// Reads and answers as far as the budgets go.
    pub(super) fn serve(
        &mut self,
        context: &mut Context,
        scratch: &mut [u8],
        limits: &BufferLimits,
        budgets: &Budgets,
    ) -> Served {
        let served = self.read_and_answer(context, scratch, limits, budgets);
        self.note_waiting(context.now);
        served
    }

    fn read_and_answer(
        &mut self,
        context: &mut Context,
        scratch: &mut [u8],
        limits: &BufferLimits,
        budgets: &Budgets,
    ) -> Served {
        let (mut bytes, mut requests) = (budgets.connection_bytes, budgets.requests);
        loop {
            match self.advance(&mut requests, context, limits) {
                Next::Carry(member) => {
                    self.carry(member, context.now);
                    return Served::Carries(member);
                }
                Next::Wait => return Served::Done,
                Next::Yield => return Served::More,
                Next::Read if bytes == 0 => return Served::More,
                Next::Read => match self.connection.fill(scratch) {
                    ReadOutcome::Filled(size) => {
                        bytes = bytes.saturating_sub(size);
                        self.heard_at = context.now;
                    }
                    ReadOutcome::Partial => {
                        self.heard_at = context.now;
                        return Served::More;
                    }
                    ReadOutcome::Empty => {}
                    ReadOutcome::Ended => self.handle_end(context),
                    ReadOutcome::Failed(_) => {
                        self.handle_loss(context);
                        return Served::Failed;
                    }
                },
            }
        }
    }

    fn advance(
        &mut self,
        requests: &mut usize,
        context: &mut Context,
        limits: &BufferLimits,
    ) -> Next {
        self.decide(context);
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.advance(&mut self.connection, requests, context, limits),
            Protocol::Http(http) => {
                let next = http.advance(&mut self.connection, requests, context, limits);
                let Some(websocket) = http.upgrade(context.now) else { return next };
                self.protocol = Protocol::WebSocket(websocket);
                self.advance(requests, context, limits)
            }
            Protocol::WebSocket(socket) => {
                socket.advance(&mut self.connection, requests, context, limits)
            }
            Protocol::Carried(carried) => {
                carried.advance(&mut self.connection, requests, context, limits)
            }
        }
    }

    /// Makes the connection the path of a member.
    fn carry(&mut self, member: MemberId, now: Instant) {
        let framing = match &mut self.protocol {
            Protocol::WebSocket(requests) => requests.take_framing(now),
            Protocol::Tcrp(_) | Protocol::Http(_) | Protocol::Carried(_) => Framing::Units,
        };
        self.protocol = Protocol::Carried(Carried::new(member, framing, now));
    }

    /// Decides between TCRP and HTTP, once there are enough bytes. Fewer are no request of either.
    fn decide(&mut self, context: &Context) {
        if !self.is_decided {
            self.take_decision(Http::begin(self.connection.input(), self.peer, context));
        }
    }

    /// Decides by bytes that have come and are not read.
    fn decide_unread(&mut self, context: &Context) {
        if !self.is_decided && self.connection.input().is_empty() {
            let mut first = [0; FIRST_BYTES];
            let size = self.connection.peek(&mut first);
            self.take_decision(Http::begin(&first[..size], self.peer, context));
        }
    }

    /// Takes a decision between HTTP and TCRP, which the connection has until then.
    fn take_decision(&mut self, http: Option<Option<Http>>) {
        self.is_decided = http.is_some();
        if let Some(http) = http.flatten() {
            self.protocol = Protocol::Http(http);
        }
    }

    fn handle_end(&mut self, context: &mut Context) {
        if let Some(why) = self.connection.failure() {
            log::debug!("{}: TLS: {why}", self.peer());
        }
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.handle_end(&mut self.connection, context),
            Protocol::Http(http) => http.handle_end(&mut self.connection),
            Protocol::WebSocket(socket) => socket.handle_end(&mut self.connection),
            Protocol::Carried(carried) => carried.handle_end(&mut self.connection, context),
        }
    }

    fn handle_loss(&mut self, context: &mut Context) {
        if let Protocol::Tcrp(tcrp) = &mut self.protocol {
            tcrp.handle_loss(&mut self.connection, context);
        }
    }

    /// Writes what is queued, and then checks whether this lets the session continue.
    pub(super) fn flush(&mut self, context: &mut Context, limits: &BufferLimits) -> Served {
        if let WriteOutcome::Failed(_) = self.connection.flush() {
            return Served::Failed;
        }
        if let Protocol::Carried(carried) = &mut self.protocol {
            carried.note_written(&self.connection, context, limits);
        }
        self.note_waiting(context.now);
        let can_advance = match &self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.can_advance(&self.connection, limits),
            Protocol::Http(http) => http.can_advance(&self.connection, limits),
            Protocol::WebSocket(socket) => socket.can_advance(&self.connection, limits),
            Protocol::Carried(carried) => carried.can_advance(&self.connection, limits),
        };
        if can_advance { Served::More } else { Served::Done }
    }

    /// Appends the entries of a share to the output, if the connection carries its member: see
    /// [`Carried::append`].
    pub(super) fn append(
        &mut self,
        pool: &mut BufferPool,
        (job, share): (&Job<'_>, &mut Share),
        (budget, limit): (usize, usize),
    ) -> Option<Receipt> {
        let Protocol::Carried(carried) = &mut self.protocol else { return None };
        let is_path = carried.is_path();
        is_path.then(|| carried.append(&mut self.connection, pool, (job, share), (budget, limit)))
    }

    /// Acts on the deadline, which has come up.
    pub(super) fn expire(&mut self, context: &mut Context) -> Served {
        match self.waiting {
            Waiting::Frame => self.expire_frame(context),
            Waiting::Request => {
                context.metrics.count(Counter::TimedOut);
                self.finish(context.now);
            }
            Waiting::Reader | Waiting::Handshake => {
                context.metrics.count(Counter::TimedOut);
                return Served::Over;
            }
            Waiting::PeerEnd => return Served::Over,
            Waiting::Delay => self.end_delay(),
            Waiting::LastEntries => self.connection.finish(),
            Waiting::Viewer => {}
            Waiting::Member => self.ping(context),
        }
        self.note_waiting(context.now);
        Served::More
    }

    fn expire_frame(&mut self, context: &mut Context) {
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.expire_frame(&mut self.connection, context),
            Protocol::Http(http) => http.expire_head(&mut self.connection, context),
            Protocol::WebSocket(socket) => socket.expire_message(&mut self.connection, context),
            Protocol::Carried(carried) => carried.expire_unit(&mut self.connection, context),
        }
    }

    fn ping(&mut self, context: &mut Context) {
        if let Protocol::Carried(carried) = &mut self.protocol {
            carried.ping(&mut self.connection, context);
        }
    }

    fn end_delay(&mut self) {
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.end_delay(),
            Protocol::WebSocket(socket) => socket.end_delay(),
            Protocol::Http(_) | Protocol::Carried(_) => {}
        }
    }

    /// Ends the connection in favour of another one, and tells the peer why. The request of a browser often
    /// comes together with the connection, and is not read yet.
    pub(super) fn evict(&mut self, why: Status, context: &mut Context) {
        self.decide_unread(context);
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.evict(&mut self.connection, why, context),
            Protocol::Http(http) => http.evict(&mut self.connection, context),
            Protocol::WebSocket(socket) => socket.evict(&mut self.connection),
            Protocol::Carried(_) => self.connection.finish(),
        }
    }

    /// Begins an orderly end.
    pub(super) fn finish(&mut self, now: Instant) {
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            socket.say_end(&mut self.connection);
        }
        self.connection.finish();
        self.note_waiting(now);
    }

    /// Separates the connection from its member.
    pub(super) fn release_member(&mut self, context: &mut Context) {
        match &mut self.protocol {
            Protocol::Tcrp(tcrp) => tcrp.release_member(context),
            Protocol::Http(http) => http.release(context),
            Protocol::WebSocket(_) => {}
            Protocol::Carried(carried) => carried.release(context),
        }
    }

    /// Returns true while events go to a viewer.
    pub(super) fn is_viewer(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(http) if http.is_viewer())
    }

    fn carried(&self) -> Option<&Carried> {
        if let Protocol::Carried(carried) = &self.protocol { Some(carried) } else { None }
    }

    /// Returns the member that the connection carries or has carried.
    pub(super) fn carried_member(&self) -> Option<MemberId> {
        self.carried().map(Carried::member)
    }

    /// Returns true while the connection is the path of a member.
    pub(super) fn is_path(&self) -> bool {
        self.connection.is_open() && self.carried().is_some_and(Carried::is_path)
    }

    /// Ends the connection, because its member has ended for the reason of this code, or without one has
    /// another path.
    pub(super) fn leave_path(&mut self, code: Option<Code>, now: Instant) {
        if let Protocol::Carried(carried) = &mut self.protocol {
            carried.leave_path(&mut self.connection, code);
        }
        self.finish(now);
    }

    /// Returns its place in the order in which connections are evicted. The path of a member never
    /// gives way.
    pub(super) fn place(&self) -> Place {
        if self.is_path() { Place::Kept } else { Place::Idle(self.heard_at) }
    }

    /// Returns the kind that it counts as. A carried member that does not read counts as a slow reader, although
    /// the chat has its deadlines.
    pub(super) fn kind(&self) -> Kind {
        let protocol = match &self.protocol {
            Protocol::Tcrp(_) if !self.is_decided => ProtocolKind::Undecided,
            Protocol::Tcrp(_) => ProtocolKind::Tcrp,
            Protocol::Http(_) | Protocol::WebSocket(_) => ProtocolKind::Http,
            Protocol::Carried(_) => ProtocolKind::Carried,
        };
        let waiting = match self.waiting {
            Waiting::Member if self.connection.unsent() > 0 => Waiting::Reader,
            waiting => waiting,
        };
        (protocol, waiting)
    }

    /// Returns the bytes of memory for input and output, beyond the little that each one keeps.
    pub(super) fn held_bytes(&self) -> usize {
        let unfinished = match &self.protocol {
            Protocol::WebSocket(socket) => socket.held_bytes(),
            Protocol::Carried(carried) => carried.held_bytes(),
            Protocol::Tcrp(_) | Protocol::Http(_) => 0,
        };
        self.connection.held_bytes() + unfinished
    }
}
