//! The stand-in of QUIC in a build without the feature `webtransport`: no datagram is one of QUIC.

use super::Context;
use super::connections::Connections;

pub(super) fn serve(_: &mut Context, _: &mut Connections) {}

pub(super) fn expire(_: &mut Context, _: &mut Connections, _: usize) {}

/// Returns false: there is nothing to send.
pub(super) fn flush(_: &mut Context) -> bool {
    false
}
