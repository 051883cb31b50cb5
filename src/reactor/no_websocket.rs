//! The stand-in of requests on a WebSocket in a build without the feature `web`.

use std::time::Instant;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::framing::Framing;
use super::tcrp::Next;
use crate::connection::{Connection, Transport};

/// Requests on a WebSocket, which there is none of.
pub(super) enum WebSocketRequests {}

impl WebSocketRequests {
    pub(super) fn take_framing(&mut self, _: Instant) -> Framing {
        match *self {}
    }

    pub(super) fn answered_at(&self) -> Instant {
        match *self {}
    }

    pub(super) fn delayed_until(&self) -> Option<Instant> {
        match *self {}
    }

    pub(super) fn end_delay(&mut self) {
        match *self {}
    }

    pub(super) fn is_within_message(&self) -> bool {
        match *self {}
    }

    pub(super) fn held_bytes(&self) -> usize {
        match *self {}
    }

    pub(super) fn advance(
        &mut self,
        _: &mut Connection<impl Transport>,
        _: &mut usize,
        _: &mut Context,
        _: &BufferLimits,
    ) -> Next {
        match *self {}
    }

    pub(super) fn can_advance(&self, _: &Connection<impl Transport>, _: &BufferLimits) -> bool {
        match *self {}
    }

    pub(super) fn handle_end(&mut self, _: &mut Connection<impl Transport>) {
        match *self {}
    }

    pub(super) fn expire_message(&mut self, _: &mut Connection<impl Transport>, _: &mut Context) {
        match *self {}
    }

    pub(super) fn evict(&mut self, _: &mut Connection<impl Transport>) {
        match *self {}
    }

    pub(super) fn say_end(&mut self, _: &mut Connection<impl Transport>) {
        match *self {}
    }
}
