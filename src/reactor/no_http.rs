//! The stand-in of HTTP in a build without the feature `web`: every connection has TCRP.

use std::time::Instant;

use super::Context;
use super::buffer_limits::BufferLimits;
use super::tcrp::Next;
use super::websocket::WebSocketRequests;
use crate::address::Peer;
use crate::connection::{Connection, Transport};

/// HTTP on a connection, which there is none of.
pub(super) enum Http {}

impl Http {
    /// Returns `Some(None)`: no first bytes begin a request of HTTP.
    pub(super) fn begin(_: &[u8], _: Peer, context: &Context) -> Option<Option<Self>> {
        context.web.is_off().then_some(None)
    }

    pub(super) fn answered_at(&self) -> Option<Instant> {
        match *self {}
    }

    pub(super) fn is_viewer(&self) -> bool {
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

    pub(super) fn upgrade(&self, _: Instant) -> Option<WebSocketRequests> {
        match *self {}
    }

    pub(super) fn can_advance(&self, _: &Connection<impl Transport>, _: &BufferLimits) -> bool {
        match *self {}
    }

    pub(super) fn handle_end(&mut self, _: &mut Connection<impl Transport>) {
        match *self {}
    }

    pub(super) fn expire_head(&mut self, _: &mut Connection<impl Transport>, _: &mut Context) {
        match *self {}
    }

    pub(super) fn evict(&mut self, _: &mut Connection<impl Transport>, _: &mut Context) {
        match *self {}
    }

    pub(super) fn release(&mut self, _: &mut Context) {
        match *self {}
    }
}
