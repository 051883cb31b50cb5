//! The member of a session: its request, its path, and what it gets (H8).
//!
//! A datagram takes what fits it. The rest, and everything once the member ends, are units on the stream of
//! the member's request.

use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{SendDatagramError, StreamId, VarInt};

use super::input::id_of;
use super::streams::Role;
use super::{Link, Stage};
use crate::fanout::{TAG_SIZE, Tag};
use crate::ids::MemberId;
use crate::protocol::carried::{SIZE_FIELD, encode};
use crate::quic::count::{Count, Counts};
use crate::quic::event::Event;

/// Bytes of units without a number that may wait behind a window that is full, so that an answer or the reason
/// of an end still has space. An aside has at most 1,150 bytes (S2).
const RESERVE: usize = 8 * 1024;

/// The member of a session.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) id: MemberId,
    /// The stream of its request.
    pub(super) stream: StreamId,
    /// True while the connection is its path.
    pub(super) is_path: bool,
    /// True if all its messages travel on its stream.
    is_carried: bool,
    /// True from the first message without space until there is some.
    is_full: bool,
}

/// The outcome of offering a message to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::quic) enum Offered {
    /// It was taken.
    Taken,
    /// There is no space for it. [`Event::Space`] follows.
    Full,
    /// The connection is not the path of the member any more.
    Gone,
}

impl Link {
    /// Returns the id of the member whose path the connection is.
    pub(in crate::quic) fn path_of(&self) -> Option<MemberId> {
        self.member.as_ref().filter(|member| member.is_path).map(|member| member.id)
    }

    /// Returns true if the session has a member or has had one.
    pub(in crate::quic) fn has_member(&self) -> bool {
        self.member.is_some()
    }

    /// Answers the request for a session.
    pub(in crate::quic) fn answer_session(&mut self, status: u16, counts: &mut Counts) {
        let is_opened = (200..300).contains(&status);
        counts.note(if is_opened { Count::Sessions } else { Count::SessionsRefused });
        self.http.answer(status);
    }

    /// Returns true if the request of this stream is not answered.
    pub(in crate::quic) fn is_asked(&self, stream: u64) -> bool {
        let inbox = id_of(stream).and_then(|stream| self.inboxes.get(&stream));
        self.stage.is_open() && inbox.is_some_and(|inbox| inbox.role == Role::Asked)
    }

    /// Answers the request of a stream. Unless the stream carries the member from now on, it ends.
    pub(in crate::quic) fn reply(
        &mut self,
        stream: u64,
        reply: &[u8],
        member: Option<(MemberId, bool)>,
        now: Instant,
    ) {
        let Some(stream) = id_of(stream) else { return };
        let Some(inbox) = self.inboxes.get_mut(&stream) else { return };
        let has_ended = inbox.has_ended;
        let unit = unit(reply, None);
        self.outboxes.write(&mut self.connection, stream, &unit, member.is_none());
        let Some((id, is_carried)) = member else {
            self.drop_request(stream);
            return if self.member.is_none() {
                self.wait_for_request(now)
            };
        };
        inbox.role = Role::Member;
        self.readable.push_back(stream);
        self.member = Some(Membership { id, stream, is_path: true, is_carried, is_full: false });
        (self.stage, self.due) = (Stage::Member, None);
        if has_ended {
            self.leave(now);
        }
    }

    /// Takes no more of the stream of a request, whose place the peer gets back.
    fn drop_request(&mut self, stream: StreamId) {
        self.inboxes.remove(&stream);
        let _ = self.connection.recv_stream(stream).stop(VarInt::from_u32(0));
        // A stream of the session costs no more than itself.
        let _ = self.http.handle_reset(u64::from(stream));
    }

    /// Puts all later messages of the member on its stream.
    pub(in crate::quic) fn turn(&mut self) {
        if let Some(member) = &mut self.member {
            member.is_carried = true;
        }
    }

    /// Offers a message to the member. The tag replaces its first bytes. A message without a tag waits for
    /// nothing, so it may go behind a window that is full.
    pub(in crate::quic) fn offer(&mut self, content: &[u8], tag: Option<Tag>) -> Offered {
        let Some(member) = self.member.as_mut().filter(|member| member.is_path) else {
            return Offered::Gone;
        };
        let is_carried = member.is_carried;
        let outcome = match is_carried {
            false => self.offer_datagram(content, tag),
            true => None,
        };
        let outcome = outcome.unwrap_or_else(|| self.offer_unit(content, tag));
        if let Some(member) = self.member.as_mut().filter(|_| outcome == Offered::Full) {
            member.is_full = true;
        }
        outcome
    }

    /// Offers a datagram. Returns `None` if the message does not fit any.
    fn offer_datagram(&mut self, content: &[u8], tag: Option<Tag>) -> Option<Offered> {
        let max = self.connection.datagrams().max_size()?;
        let mut bytes = Vec::with_capacity(content.len() + size_of::<u64>());
        self.http.put_datagram_header(&mut bytes);
        let start = bytes.len();
        bytes.extend_from_slice(content);
        if bytes.len() > max {
            return None;
        }
        put_tag(&mut bytes[start..], tag);
        match self.connection.datagrams().send(Bytes::from(bytes), false) {
            Ok(()) => Some(Offered::Taken),
            Err(SendDatagramError::Blocked(_)) => Some(Offered::Full),
            Err(_) => None,
        }
    }

    fn offer_unit(&mut self, content: &[u8], tag: Option<Tag>) -> Offered {
        let Some(stream) = self.member.as_ref().map(|member| member.stream) else {
            return Offered::Gone;
        };
        let limit = if tag.is_some() { 0 } else { RESERVE };
        if self.outboxes.waiting(stream) > limit {
            return Offered::Full;
        }
        self.outboxes.write(&mut self.connection, stream, &unit(content, tag), false);
        Offered::Taken
    }

    /// Notes that datagrams have space again.
    pub(super) fn note_space(&mut self) {
        if let Some(member) = &mut self.member
            && member.is_path
            && std::mem::take(&mut member.is_full)
        {
            self.events.push_back(Event::Space(member.id));
        }
    }

    /// Notes that bytes of a stream were written.
    pub(super) fn note_written(&mut self, stream: StreamId) {
        if self.is_of_member(stream) && self.outboxes.waiting(stream) == 0 {
            self.note_space();
        }
    }

    /// Returns true if a stream carries the member.
    pub(super) fn is_of_member(&self, stream: StreamId) -> bool {
        self.member.as_ref().is_some_and(|member| member.stream == stream)
    }
}

/// Returns a unit. A tag replaces the first bytes of the content.
fn unit(content: &[u8], tag: Option<Tag>) -> Vec<u8> {
    let mut unit = Vec::with_capacity(SIZE_FIELD + content.len());
    encode(content, &mut unit);
    put_tag(&mut unit[SIZE_FIELD..], tag);
    unit
}

fn put_tag(content: &mut [u8], tag: Option<Tag>) {
    if let Some(tag) = tag {
        content[..TAG_SIZE].copy_from_slice(&tag);
    }
}
