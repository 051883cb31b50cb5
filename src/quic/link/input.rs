//! Input of the peer: the events of QUIC, HTTP/3, units and datagrams, one at a time.

use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Dir, Event as QuicEvent, ReadError, StreamEvent, StreamId, VarInt};

use super::Link;
use super::streams::{Inbox, Role, Taken};
use crate::quic::count::{Count, Counts};
use crate::quic::event::Event;
use crate::quic::h3::{self, Action};

/// Bytes of one read: a unit of the largest size.
const READ: usize = 4_098;

/// Code of the end of a session whose unit is too long.
const BAD_UNIT: &str = "a unit is too long";

impl Link {
    /// Returns the next event. Call it until `None`.
    pub(in crate::quic) fn next_event(
        &mut self,
        counts: &mut Counts,
        now: Instant,
    ) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let has_progress = self.act(now)
                || self.take_unit(counts, now)
                || self.read(counts, now)
                || self.take_datagram(counts, now)
                || self.take_quic_event(counts, now);
            if !has_progress {
                return self.check_alive(now);
            }
        }
    }

    /// Does one thing that HTTP/3 needs. Returns false if there is none.
    fn act(&mut self, now: Instant) -> bool {
        let Some(action) = self.http.poll_action() else { return false };
        match action {
            Action::Write { stream, bytes, finish } => {
                let Some(stream) = id_of(stream) else { return true };
                self.outboxes.write(&mut self.connection, stream, &bytes, finish);
            }
            Action::Stop { stream, code } => self.stop(stream, code),
            Action::Reset { stream, code } => self.reset(stream, code),
            Action::Request(request) => {
                self.events.push_back(Event::Session { id: self.id, request });
            }
            Action::Closed { .. } => self.note_closed_session(now),
        }
        true
    }

    fn stop(&mut self, stream: u64, code: u64) {
        if let (Some(stream), Ok(code)) = (id_of(stream), VarInt::from_u64(code)) {
            // It may have ended already.
            let _ = self.connection.recv_stream(stream).stop(code);
            self.inboxes.remove(&stream);
        }
    }

    fn reset(&mut self, stream: u64, code: u64) {
        if let (Some(stream), Ok(code)) = (id_of(stream), VarInt::from_u64(code))
            && stream.dir() == Dir::Bi
        {
            self.outboxes.drop(stream);
            let _ = self.connection.send_stream(stream).reset(code);
        }
    }

    /// Takes one unit. Returns false if none is whole.
    fn take_unit(&mut self, counts: &mut Counts, now: Instant) -> bool {
        // A peer that does not read its answers gets no more of them.
        let is_full = !self.outboxes.are_empty();
        for (stream, inbox) in &mut self.inboxes {
            if is_full && inbox.role == Role::Request {
                continue;
            }
            match inbox.take() {
                Taken::Nothing => {}
                Taken::TooLarge => {
                    self.fail(h3::code::MESSAGE_ERROR, BAD_UNIT, counts, now);
                    return true;
                }
                Taken::Unit(role, content) => {
                    let stream = u64::from(*stream);
                    self.note_unit(role, stream, content);
                    return true;
                }
            }
        }
        false
    }

    fn note_unit(&mut self, role: Role, stream: u64, content: Bytes) {
        if role != Role::Member {
            self.events.push_back(Event::Request { id: self.id, stream, content });
        } else if let Some(member) = self.member.as_ref().filter(|member| member.is_path) {
            self.events.push_back(Event::Message { member: member.id, content });
        }
    }

    /// Reads bytes of one stream. Returns false if none has any.
    fn read(&mut self, counts: &mut Counts, now: Instant) -> bool {
        while let Some(stream) = self.readable.pop_front() {
            if self.inboxes.get(&stream).is_some_and(|inbox| inbox.role == Role::Asked) {
                // The answer makes it readable again.
                continue;
            }
            let mut receive = self.connection.recv_stream(stream);
            // A stream that was stopped is not read any more.
            let Ok(mut chunks) = receive.read(true) else { continue };
            let outcome = chunks.next(READ);
            // Its packets are polled in any case.
            let _ = chunks.finalize();
            match outcome {
                Ok(Some(chunk)) => {
                    self.readable.push_back(stream);
                    self.take_bytes(stream, &chunk.bytes, counts, now);
                }
                Ok(None) => self.take_end(stream, false, counts, now),
                Err(ReadError::Reset(_)) => self.take_end(stream, true, counts, now),
                Err(ReadError::Blocked) => continue,
            }
            return true;
        }
        false
    }

    fn take_bytes(&mut self, stream: StreamId, bytes: &[u8], counts: &mut Counts, now: Instant) {
        match self.http.handle_bytes(u64::from(stream), bytes) {
            Ok(Some(content)) if self.stage.is_open() => {
                self.inboxes.entry(stream).or_insert_with(Inbox::new).push(content);
            }
            Ok(_) => {}
            Err(error) => self.fail(error.code, error.reason, counts, now),
        }
    }

    /// Handles the end of the peer's half of a stream.
    fn take_end(&mut self, stream: StreamId, is_reset: bool, counts: &mut Counts, now: Instant) {
        let id = u64::from(stream);
        let outcome = match is_reset {
            true => self.http.handle_reset(id),
            false => self.http.handle_finish(id),
        };
        if let Err(error) = outcome {
            return self.fail(error.code, error.reason, counts, now);
        }
        let Some(inbox) = self.inboxes.get_mut(&stream) else { return };
        inbox.has_ended = true;
        match inbox.role {
            Role::Member => self.leave(now),
            Role::Request => {
                self.inboxes.remove(&stream);
                self.outboxes.write(&mut self.connection, stream, &[], true);
            }
            Role::Asked => {}
        }
    }

    /// Takes one datagram. Returns false if there is none.
    fn take_datagram(&mut self, counts: &mut Counts, now: Instant) -> bool {
        if !self.has_datagrams {
            return false;
        }
        let Some(datagram) = self.connection.datagrams().recv() else {
            self.has_datagrams = false;
            return false;
        };
        let member = self.member.as_ref().filter(|member| member.is_path).map(|member| member.id);
        match (self.http.handle_datagram(&datagram), member) {
            (Ok(Some(content)), Some(member)) => {
                let content = datagram.slice_ref(content);
                self.events.push_back(Event::Message { member, content });
            }
            (Ok(_), _) => counts.note(Count::StrayDatagrams),
            (Err(error), _) => self.fail(error.code, error.reason, counts, now),
        }
        true
    }

    /// Takes one event of QUIC. Returns false if there is none.
    fn take_quic_event(&mut self, counts: &mut Counts, now: Instant) -> bool {
        let Some(event) = self.connection.poll() else { return false };
        match event {
            QuicEvent::Connected => self.begin_http(counts, now),
            QuicEvent::ConnectionLost { reason } => {
                log::debug!("{}: QUIC: {reason}", self.origin.remote);
                self.note_lost(counts);
            }
            QuicEvent::Stream(event) => self.take_stream_event(event, now),
            QuicEvent::DatagramReceived => self.has_datagrams = true,
            QuicEvent::DatagramsUnblocked => self.note_space(),
            QuicEvent::HandshakeDataReady => {}
        }
        true
    }

    fn take_stream_event(&mut self, event: StreamEvent, now: Instant) {
        match event {
            StreamEvent::Opened { dir } => self.accept_streams(dir),
            StreamEvent::Readable { id } => self.readable.push_back(id),
            StreamEvent::Writable { id } => {
                self.outboxes.flush(&mut self.connection, id);
                self.note_written(id);
            }
            StreamEvent::Finished { id } => self.note_finished(id, now),
            StreamEvent::Stopped { id, .. } => {
                self.outboxes.drop(id);
                if self.is_of_member(id) {
                    self.leave(now);
                }
            }
            StreamEvent::Available { .. } => {}
        }
    }

    fn accept_streams(&mut self, dir: Dir) {
        while let Some(stream) = self.connection.streams().accept(dir) {
            self.readable.push_back(stream);
        }
    }
}

/// Returns the id of a stream, which HTTP/3 knows as a number.
pub(super) fn id_of(stream: u64) -> Option<StreamId> {
    VarInt::from_u64(stream).ok().map(StreamId::from)
}
