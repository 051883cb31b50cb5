//! The members on QUIC, and the machine that serves their connections. The work of a turn is in `quic.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rustls::ServerConfig;

use crate::address::{Origin, PeerAddr};
use crate::config::Config;
use crate::datagram::Datagrams;
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, QuicId};
use crate::metrics::{Counter, Metrics};
use crate::protocol::stream::Code;
use crate::quic::{Count, Quic, Timeouts};
use crate::tls::Tls;

/// The members on QUIC, and their connections.
pub(super) struct QuicSessions {
    /// `None` with `--webtransport off`, and without TLS.
    pub(super) machine: Option<Quic>,
    /// Limit for the connections: as many as there may be carried members.
    pub(super) max: Option<usize>,
    /// The TCP ports, each once: pages of ours come from there.
    pub(super) tcp_ports: Vec<u16>,
    /// The settings of TLS whose certificate is shown.
    pub(super) shown: Option<Arc<ServerConfig>>,
    /// Requests that the chat has delayed, by the end of their delay.
    pub(super) delayed: BTreeMap<(Instant, QuicId, u64), Bytes>,
    /// True if a connection that was full has space.
    pub(super) has_space: bool,
    /// Space for packets.
    pub(super) packets: Vec<u8>,
}

impl QuicSessions {
    /// Returns the sessions of a server, whose sockets hand QUIC over from now on.
    pub(super) fn new(
        config: &Config,
        tls: &Tls,
        datagrams: &mut Datagrams,
        mut tcp_ports: Vec<u16>,
    ) -> Self {
        tcp_ports.sort_unstable();
        tcp_ports.dedup();
        let is_on = config.web.webtransport && tls.server_config().is_some();
        let timeouts = Timeouts {
            handshake: config.connections.handshake_timeout,
            request: config.connections.connect_timeout,
        };
        if is_on {
            datagrams.take_quic();
        }
        let mut sessions = Self {
            machine: is_on.then(|| Quic::new(timeouts)),
            max: config.chat.max_carried,
            tcp_ports,
            shown: None,
            delayed: BTreeMap::new(),
            has_space: false,
            packets: Vec::new(),
        };
        sessions.update_certificate(tls);
        sessions
    }

    /// Shows the certificate of the request port to new connections.
    pub(super) fn update_certificate(&mut self, tls: &Tls) {
        let (Some(machine), Some(config)) = (&mut self.machine, tls.server_config()) else {
            return;
        };
        if self.shown.as_ref().is_none_or(|shown| !Arc::ptr_eq(shown, config)) {
            machine.set_certificate(config);
            self.shown = Some(Arc::clone(config));
        }
    }

    /// Handles a datagram of QUIC.
    pub(super) fn handle_datagram(&mut self, origin: &Origin, bytes: &[u8], now: Instant) {
        if let Some(machine) = &mut self.machine {
            machine.handle_datagram(origin, bytes, now);
        }
    }

    /// Returns the number of connections, and of those of a peer.
    pub(super) fn counts(&self, peer: PeerAddr) -> (usize, usize) {
        let machine = self.machine.as_ref();
        machine.map_or((0, 0), |machine| (machine.count(), machine.connections_of(peer)))
    }

    /// Hands shares of members on QUIC to their connections.
    pub(super) fn carry(&mut self, job: Job<'_>, budget: usize) -> Receipt {
        match self.machine.as_mut().filter(|machine| !machine.has_no_members()) {
            Some(machine) => machine.carry(job, budget),
            None => Receipt { unrouted: true, ..Receipt::default() },
        }
    }

    /// Returns true if a member's messages travel on a connection of QUIC.
    pub(super) fn is_path_of(&self, member: MemberId) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.is_path_of(member))
    }

    /// Puts all later messages of a member on its stream.
    pub(super) fn turn(&mut self, member: MemberId) {
        if let Some(machine) = &mut self.machine {
            machine.turn(member);
        }
    }

    /// Ends the session of a member that has ended, or has another path.
    pub(super) fn end(&mut self, member: MemberId, code: Option<Code>, now: Instant) {
        if let Some(machine) = &mut self.machine {
            machine.end(member, code.map(|code| code as u8), now);
        }
    }

    /// Returns true, once, if a connection that was full has space.
    pub(super) fn take_space(&mut self) -> bool {
        std::mem::take(&mut self.has_space)
    }

    /// Notes that a socket that was full has space.
    pub(super) fn resume(&mut self) {
        if let Some(machine) = &mut self.machine {
            machine.resume();
        }
    }

    /// Ends all connections at the end of the server. One that carries a member ends with it.
    pub(super) fn finish_all(&mut self, now: Instant) {
        if let Some(machine) = &mut self.machine {
            machine.finish_all(now);
        }
    }

    /// Returns true if no connection is left to be told of its end.
    pub(super) fn is_over(&self) -> bool {
        self.machine.as_ref().is_none_or(Quic::is_over)
    }

    /// Returns the number of connections.
    pub(super) fn len(&self) -> usize {
        self.machine.as_ref().map_or(0, Quic::count)
    }

    /// Returns true if there is work without an event.
    pub(super) fn has_work(&self) -> bool {
        self.machine.as_ref().is_some_and(Quic::has_work)
    }

    /// Returns true if events wait.
    pub(super) fn has_events(&self) -> bool {
        self.machine.as_ref().is_some_and(Quic::has_events)
    }

    /// Returns the time of the next [`expire`](super::quic::expire).
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let delayed = self.delayed.first_key_value().map(|((at, _, _), _)| *at);
        let machine = self.machine.as_ref().and_then(Quic::poll_timeout);
        [delayed, machine].into_iter().flatten().min()
    }

    /// Ends a turn: its budgets are whole again.
    pub(super) fn end_turn(&mut self, metrics: &mut Metrics) {
        let Some(machine) = &mut self.machine else { return };
        machine.end_turn();
        for count in Count::ALL {
            metrics.add(counter(count), machine.take_count(count));
        }
    }
}

/// Returns the counter of something that QUIC has counted.
fn counter(count: Count) -> Counter {
    match count {
        Count::Begun => Counter::QuicBegun,
        Count::Refused => Counter::QuicRefused,
        Count::Handshakes => Counter::Handshakes,
        Count::HandshakesFailed => Counter::HandshakesFailed,
        Count::Replies => Counter::QuicReplies,
        Count::Unanswered => Counter::QuicUnanswered,
        Count::Strays => Counter::QuicStrays,
        Count::Crowded => Counter::QuicCrowded,
        Count::Sessions => Counter::Sessions,
        Count::SessionsRefused => Counter::SessionsRefused,
        Count::StrayDatagrams => Counter::QuicStrayDatagrams,
        Count::Faults => Counter::QuicFaults,
        Count::TimedOut => Counter::TimedOut,
    }
}
