//! A room that we have joined: one interface for plain and for stream delivery.

use std::time::Instant;

use crate::admission::Terms;
use crate::options::ChatOptions;
use crate::output::Output;
use crate::plain::PlainRoom;
use crate::sent_lines::UnacceptedLines;
use crate::streamed::StreamedRoom;
use reactor_chat::stream::PushError;

/// A membership, by its delivery.
pub(crate) enum JoinedRoom {
    Plain(PlainRoom),
    Streamed(Box<StreamedRoom>),
}

impl JoinedRoom {
    /// Starts a membership. `shows_own` is true if our own messages are shown when they come back.
    pub(crate) fn new(terms: &Terms, options: &ChatOptions, shows_own: bool, now: Instant) -> Self {
        match terms {
            Terms::Plain { form, is_of_this_project } => {
                Self::Plain(PlainRoom::new(*form, *is_of_this_project, &options.name, now))
            }
            Terms::Stream(completion) => {
                let stream = StreamedRoom::new(completion, &options.room, shows_own, now);
                Self::Streamed(Box::new(stream))
            }
        }
    }

    /// Returns the membership if it has stream delivery.
    pub(crate) fn stream(&mut self) -> Option<&mut StreamedRoom> {
        match self {
            Self::Plain(_) => None,
            Self::Streamed(stream) => Some(stream),
        }
    }

    /// Returns true if a network error is no worse than silence, because everything lost is sent
    /// again.
    pub(crate) fn is_patient(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Returns true if the datagram belongs to this membership.
    pub(crate) fn knows(&self, datagram: &[u8]) -> bool {
        match self {
            Self::Plain(_) => !datagram.is_empty(),
            Self::Streamed(stream) => stream.knows(datagram),
        }
    }

    /// Handles a datagram from the server.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, output: &mut Output) {
        match self {
            Self::Plain(room) => room.handle_datagram(datagram, now, output),
            Self::Streamed(stream) => stream.handle_datagram(datagram, now, output),
        }
    }

    /// Returns true if there is space for another line.
    pub(crate) fn accepts_lines(&self) -> bool {
        match self {
            Self::Plain(room) => room.accepts_lines(),
            Self::Streamed(stream) => stream.accepts_lines(),
        }
    }

    /// Returns true if the server answers commands such as `/who`. Other servers relay them to
    /// everybody.
    pub(crate) fn answers_commands(&self) -> bool {
        match self {
            Self::Plain(room) => room.is_of_this_project(),
            Self::Streamed(_) => true,
        }
    }

    /// Requests the list of members for the client itself.
    pub(crate) fn request_members(&mut self, now: Instant) {
        match self {
            Self::Plain(room) => room.request_members(now),
            Self::Streamed(stream) => stream.request_members(),
        }
    }

    /// Queues a line.
    ///
    /// # Errors
    /// The reason why the line will not be sent.
    pub(crate) fn push(&mut self, line: &[u8], now: Instant) -> Result<(), PushError> {
        match self {
            Self::Plain(room) => {
                room.push(line, now);
                Ok(())
            }
            Self::Streamed(stream) => stream.push(line),
        }
    }

    /// Notes whether the output is full.
    pub(crate) fn note_output(&mut self, is_full: bool, now: Instant) {
        if let Self::Streamed(stream) = self {
            stream.note_output(is_full, now);
        }
    }

    /// Counts the lines that the server has not accepted.
    pub(crate) fn unaccepted(&self) -> UnacceptedLines {
        match self {
            Self::Plain(room) => room.unaccepted(),
            Self::Streamed(stream) => stream.unaccepted(),
        }
    }

    /// Returns true if the server names every new member in a form for programs.
    pub(crate) fn names_newcomers(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Returns the lines that the server has not accepted yet, if the delivery can tell.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        let stream = match self {
            Self::Plain(_) => None,
            Self::Streamed(stream) => Some(stream.waiting()),
        };
        stream.into_iter().flatten()
    }

    /// Returns true if our own messages come back in the order of the room.
    pub(crate) fn echoes(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Leaves after all queued lines. Only the first call counts.
    pub(crate) fn leave(&mut self, now: Instant) {
        match self {
            Self::Plain(room) => room.leave(now),
            Self::Streamed(stream) => stream.leave(now),
        }
    }

    /// Returns true once we have said that we leave.
    pub(crate) fn is_leaving(&self) -> bool {
        match self {
            Self::Plain(room) => room.ends_by().is_some(),
            Self::Streamed(stream) => stream.leaves_by().is_some(),
        }
    }

    /// Returns the room of a new member whose messages travel on a connection, if it `is_carried`.
    pub(crate) fn on_path(mut self, is_carried: bool) -> Self {
        if is_carried {
            self.carry();
        }
        self
    }

    /// Goes on over a connection that carries the messages.
    pub(crate) fn carry(&mut self) {
        if let Self::Streamed(stream) = self {
            stream.carry();
        }
    }

    /// Starts to prove our new address to the server.
    pub(crate) fn prove(&mut self, now: Instant) {
        match self {
            Self::Plain(room) => room.prove(now),
            Self::Streamed(stream) => stream.prove(now),
        }
    }

    /// Handles deadlines that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Self::Streamed(stream) = self {
            stream.handle_timeout(now);
        }
    }

    /// Writes the body of the next datagram. Returns false if there is none.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Plain(room) => room.poll_transmit(now, out),
            Self::Streamed(stream) => stream.poll_transmit(now, out),
        }
    }

    /// Returns the time of the next datagram, if one is planned.
    pub(crate) fn transmit_at(&self) -> Option<Instant> {
        match self {
            Self::Plain(room) => room.transmit_at(),
            Self::Streamed(stream) => stream.transmit_at(),
        }
    }

    /// Returns the time at which the client ends at the latest, if it is known.
    pub(crate) fn ends_by(&self) -> Option<Instant> {
        match self {
            Self::Plain(room) => room.ends_by(),
            Self::Streamed(stream) => stream.ends_by(),
        }
    }

    /// Returns true if the membership is over and no more entries come.
    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        match self {
            Self::Plain(room) => room.has_ended(now),
            Self::Streamed(stream) => stream.has_ended(now),
        }
    }

    /// Shows the reason of the end, if nothing has shown it yet.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        if let Self::Streamed(stream) = self {
            stream.finish(output);
        }
    }
}
