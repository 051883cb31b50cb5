//! The chat and the UDP sockets of its members, and what comes in from them. The way out is in
//! `egress.rs`.

use std::time::Instant;

use super::alert_log::AlertLog;
use super::figures::Figures;
use super::quic_sessions::QuicSessions;
use super::random::draw;
use super::web::Web;
use crate::address::{Origin, PeerAddr};
use crate::alert::Alert;
use crate::chat::Chat;
use crate::datagram::{Datagrams, Disposition, Incoming, Rejected};
use crate::ids::MemberId;
use crate::metrics::{Counter, Metrics};
use crate::tls::Tls;

/// Everything that a step needs besides the table that it walks. It is one value apart from that
/// table, so that both can be borrowed at once.
pub(super) struct Context {
    pub(super) chat: Chat,
    pub(super) datagrams: Datagrams,
    pub(super) metrics: Metrics,
    pub(super) alerts: AlertLog,
    pub(super) tls: Tls,
    pub(super) figures: Figures,
    pub(super) web: Web,
    pub(super) quic: QuicSessions,
    /// The one clock reading of the turn.
    pub(super) now: Instant,
}

impl Context {
    /// Notes an alert about a peer, for the log.
    pub(super) fn alert(&mut self, alert: Alert, peer: PeerAddr) {
        self.alerts.note(alert, peer, 1, self.now);
    }

    /// Hands at most `budget` datagrams of one socket to the chat.
    pub(super) fn read_socket(&mut self, index: usize, budget: usize) {
        let Self { chat, datagrams, quic, metrics, now, .. } = self;
        let report = datagrams.receive(index, budget, *now, |origin, incoming| {
            let outcome = match incoming {
                Incoming::Clear(bytes) => chat.handle_datagram(origin.remote, bytes, *now),
                Incoming::Sealed { member, at, content } => {
                    chat.handle_sealed(member, at, content, *now)
                }
                Incoming::Quic(bytes) => {
                    quic.handle_datagram(origin, bytes, *now);
                    return Disposition { member: None, was_rejected: false };
                }
            };
            metrics.count(outcome.counter());
            Disposition { member: outcome.member(), was_rejected: outcome.is_in_vain() }
        });
        metrics.add(Counter::Challenges, datagrams.send_challenges(draw) as u64);
        metrics.add(Counter::Datagrams, report.received as u64);
        metrics.add(Counter::Skipped, report.skipped as u64);
        metrics.add(Counter::ReceiveErrors, report.errors as u64);
        metrics.add(Counter::KernelDropped, u64::from(report.overflow));
        metrics.add(Counter::Opened, report.opened as u64);
        metrics.add(Counter::Moves, report.moves as u64);
        for reason in Rejected::ALL {
            metrics.add(counter(reason), report.rejections.count(reason) as u64);
        }
        self.forget_withdrawn();
    }

    /// Sends a member's datagrams to a port that it has announced, if the chat accepts the port.
    pub(super) fn announce(&mut self, member: MemberId, origin: &Origin) {
        let is_taken = !self.datagrams.is_own_address(origin)
            && self.chat.handle_announcement(member, origin.remote);
        if is_taken {
            self.metrics.count(Counter::Announcements);
            self.datagrams.announce(member, origin);
            self.forget_withdrawn();
        }
    }

    /// Removes the routes of members whose address another member has proved. This must happen before
    /// anything is sent.
    fn forget_withdrawn(&mut self) {
        while let Some(member) = self.chat.poll_withdrawn() {
            self.datagrams.forget_route(member);
        }
    }
}

/// Returns the counter of a reason to drop a sealed datagram.
fn counter(reason: Rejected) -> Counter {
    match reason {
        Rejected::Malformed => Counter::SealMalformed,
        Rejected::UnknownId => Counter::SealUnknown,
        Rejected::Replayed => Counter::SealReplayed,
        Rejected::UnknownEpoch => Counter::SealStale,
        Rejected::Forged => Counter::SealForged,
    }
}
