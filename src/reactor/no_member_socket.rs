//! The stand-in of a member's WebSocket in a build without the feature `web`.

use std::time::Instant;

use super::taken::Taken;
use crate::connection::{Connection, Transport};
use crate::protocol::stream::Code;

/// The WebSocket of a member, which there is none of.
pub(super) enum MemberSocket {}

impl MemberSocket {
    pub(super) fn has_input(&self, _: &[u8]) -> bool {
        match *self {}
    }

    pub(super) fn take(
        &mut self,
        _: &mut Connection<impl Transport>,
        _: impl FnOnce(&[u8]),
    ) -> Taken {
        match *self {}
    }

    pub(super) fn rest(&mut self) {
        match *self {}
    }

    pub(super) fn is_within_message(&self) -> bool {
        match *self {}
    }

    pub(super) fn held_bytes(&self) -> usize {
        match *self {}
    }

    pub(super) fn size_of(&self, _: usize) -> usize {
        match *self {}
    }

    pub(super) fn encode(&self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(super) fn ping_at(&self) -> Instant {
        match *self {}
    }

    pub(super) fn ping(&mut self, _: &mut Connection<impl Transport>, _: bool, _: Instant) -> bool {
        match *self {}
    }

    pub(super) fn say_end(&self, _: &mut Connection<impl Transport>, _: Option<Code>) {
        match *self {}
    }

    pub(super) fn say_scarce(&self, _: &mut Connection<impl Transport>) {
        match *self {}
    }

    pub(super) fn say_late(&self, _: &mut Connection<impl Transport>) {
        match *self {}
    }
}
