//! One connection: QUIC, HTTP/3 on it, the session, and its member.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `streams.rs` | bytes and units of streams |
//! | `input.rs` | input of the peer |
//! | `member.rs` | the member of the session, and what it gets |
//! | `ending.rs` | the end of the session and of the connection |

mod ending;
mod input;
mod member;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use quinn_proto::{
    Connection, ConnectionEvent, ConnectionHandle, Dir, EndpointEvent, StreamId, Transmit,
};

use super::count::{Count, Counts};
use super::event::Event;
use super::h3::{self, Http3};
use crate::address::{Endpoint, Origin};
use crate::ids::QuicId;
use crate::timers::Deadline;

pub(super) use ending::Stage;
pub(super) use member::Offered;

use member::Membership;
use streams::{Inbox, Outboxes};

/// Least interval between two signs of life.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Times that a peer has without a member. `None` disables a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// Time for the handshake.
    pub handshake: Option<Duration>,
    /// Time for a member, or between two requests.
    pub request: Option<Duration>,
}

/// A connection.
pub(super) struct Link {
    id: QuicId,
    pub(super) handle: ConnectionHandle,
    /// True until the endpoint knows that the connection is drained.
    pub(super) has_handle: bool,
    connection: Connection,
    http: Http3,
    /// The way of the last packet from the address that QUIC has proved.
    origin: Origin,
    /// The way of the first packet, whose address Retry has proved. Limits count the peer by it.
    pub(super) first: Origin,
    stage: Stage,
    /// End of the stage.
    due: Option<Instant>,
    timeouts: Timeouts,
    member: Option<Membership>,
    inboxes: BTreeMap<StreamId, Inbox>,
    outboxes: Outboxes,
    /// Streams that may have bytes to read.
    readable: VecDeque<StreamId>,
    /// True if datagrams may be there.
    has_datagrams: bool,
    events: VecDeque<Event>,
    /// Frames of acknowledgement at the last sign of life.
    acknowledgements: u64,
    alive_at: Instant,
    /// Its place in the table of deadlines.
    pub(super) deadline: Deadline,
    /// True while it is in the queue of those with events.
    pub(super) is_busy: bool,
    /// True while it is in the queue of those with packets.
    pub(super) is_dirty: bool,
    /// True until its handshake is done, or has failed.
    pub(super) is_greeting: bool,
    /// True once its hello was answered.
    is_answered: bool,
}

impl Link {
    pub(super) fn new(
        id: QuicId,
        (handle, connection): (ConnectionHandle, Connection),
        origin: Origin,
        timeouts: Timeouts,
        now: Instant,
    ) -> Self {
        Self {
            id,
            handle,
            has_handle: true,
            connection,
            http: Http3::new(),
            origin,
            first: origin,
            stage: Stage::Handshake,
            due: timeouts.handshake.map(|time| now + time),
            timeouts,
            member: None,
            inboxes: BTreeMap::new(),
            outboxes: Outboxes::default(),
            readable: VecDeque::new(),
            has_datagrams: false,
            events: VecDeque::new(),
            acknowledgements: 0,
            alive_at: now,
            deadline: Deadline::default(),
            is_busy: false,
            is_dirty: false,
            is_greeting: true,
            is_answered: false,
        }
    }

    /// Returns true if the handshake is not done.
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Returns true, once, if the hello of the peer was answered.
    pub(super) fn take_answered(&mut self) -> bool {
        let has_data = self.connection.crypto_session().handshake_data().is_some();
        has_data && !std::mem::replace(&mut self.is_answered, true)
    }

    /// Returns true, once, if the handshake is not in progress any more.
    pub(super) fn take_greeted(&mut self) -> bool {
        let is_over = !self.connection.is_handshaking() || self.connection.is_closed();
        is_over && std::mem::take(&mut self.is_greeting)
    }

    /// Hands a packet over. Once QUIC has proved the address that it came from, packets go back the same way.
    pub(super) fn handle(&mut self, event: ConnectionEvent, origin: &Origin) {
        self.connection.handle_event(event);
        if self.connection.remote_address() == origin.remote.socket_addr() {
            self.origin = *origin;
        }
    }

    /// Hands an answer of the endpoint over.
    pub(super) fn handle_endpoint(&mut self, event: ConnectionEvent) {
        self.connection.handle_event(event);
    }

    pub(super) fn poll_endpoint_event(&mut self) -> Option<EndpointEvent> {
        self.connection.poll_endpoint_events()
    }

    /// Writes the next packets into `packets`, at most `max` of one size. Returns the way that they take.
    pub(super) fn poll_transmit(
        &mut self,
        max: usize,
        packets: &mut Vec<u8>,
        now: Instant,
    ) -> Option<(Origin, Option<usize>)> {
        packets.clear();
        let Transmit { destination, segment_size, .. } =
            self.connection.poll_transmit(now, max, packets)?;
        Some((Origin { remote: Endpoint::from(destination), ..self.origin }, segment_size))
    }

    /// Returns the socket that its packets take.
    pub(super) fn socket(&self) -> usize {
        self.origin.socket
    }

    /// Returns the time of the next [`Link::handle_timeout`].
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        [self.connection.poll_timeout(), self.due].into_iter().flatten().min()
    }

    /// Handles the deadlines that have come up.
    pub(super) fn handle_timeout(&mut self, counts: &mut Counts, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.expire(counts, now);
        }
    }

    /// Returns true once nothing is left of the connection.
    pub(super) fn is_drained(&self) -> bool {
        self.connection.is_drained()
    }

    /// Opens the stream of our HTTP/3 settings.
    fn begin_http(&mut self, counts: &mut Counts, now: Instant) {
        counts.note(Count::Handshakes);
        // The first of the streams that each peer must allow (RFC 9114, section 6.2).
        if let Some(control) = self.connection.streams().open(Dir::Uni) {
            let settings = h3::control_stream();
            self.outboxes.write(&mut self.connection, control, &settings, false);
        }
        self.wait_for_request(now);
    }

    /// Starts the time of the next request.
    fn wait_for_request(&mut self, now: Instant) {
        (self.stage, self.due) = (Stage::Open, self.timeouts.request.map(|time| now + time));
    }

    /// Notes a sign of life: the peer has acknowledged something since the last one.
    fn check_alive(&mut self, now: Instant) -> Option<Event> {
        let member = self.member.as_ref().filter(|member| member.is_path)?;
        if now.saturating_duration_since(self.alive_at) < ALIVE_INTERVAL {
            return None;
        }
        let acknowledgements = self.connection.stats().frame_rx.acks;
        if acknowledgements == self.acknowledgements {
            return None;
        }
        (self.acknowledgements, self.alive_at) = (acknowledgements, now);
        Some(Event::Alive(member.id))
    }
}
