//! The stand-in of the members on QUIC in a build without the feature `webtransport`.

use std::time::Instant;

use crate::address::{Origin, PeerAddr};
use crate::config::Config;
use crate::datagram::Datagrams;
use crate::fanout::{Job, Receipt};
use crate::ids::MemberId;
use crate::metrics::Metrics;
use crate::protocol::stream::Code;
use crate::tls::Tls;

/// The members on QUIC, of which there are none.
pub(super) struct QuicSessions;

impl QuicSessions {
    pub(super) fn new(_: &Config, _: &Tls, _: &mut Datagrams, _: Vec<u16>) -> Self {
        Self
    }

    pub(super) fn handle_datagram(&mut self, _: &Origin, _: &[u8], _: Instant) {}

    pub(super) fn counts(&self, _: PeerAddr) -> (usize, usize) {
        (0, 0)
    }

    pub(super) fn carry(&mut self, _: Job<'_>, _: usize) -> Receipt {
        Receipt { unrouted: true, ..Receipt::default() }
    }

    pub(super) fn is_path_of(&self, _: MemberId) -> bool {
        false
    }

    pub(super) fn turn(&mut self, _: MemberId) {}

    pub(super) fn end(&mut self, _: MemberId, _: Option<Code>, _: Instant) {}

    pub(super) fn take_space(&mut self) -> bool {
        false
    }

    pub(super) fn resume(&mut self) {}

    pub(super) fn finish_all(&mut self, _: Instant) {}

    pub(super) fn is_over(&self) -> bool {
        true
    }

    #[cfg(feature = "web")]
    pub(super) fn len(&self) -> usize {
        0
    }

    pub(super) fn has_work(&self) -> bool {
        false
    }

    pub(super) fn has_events(&self) -> bool {
        false
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }

    pub(super) fn end_turn(&mut self, _: &mut Metrics) {}
}
