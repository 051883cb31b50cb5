//! The room as the loop sees it: one interface for both ways of delivery.

use std::time::Instant;

use crate::options::ChatOptions;
use crate::output::Output;
use crate::plain::PlainRoom;
use crate::requests::Terms;
use crate::sent_lines::UnacceptedLines;
use crate::streamed::StreamedRoom;
use reactor_chat::stream::PushError;

/// A membership, in one of the ways in which servers deliver.
pub(crate) enum JoinedRoom {
    Plain(PlainRoom),
    Streamed(Box<StreamedRoom>),
}

impl JoinedRoom {
    /// A member on these terms. `shows_own`: whether own messages are shown if they come back.
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

    /// The stream, if there is one.
    pub(crate) fn stream(&mut self) -> Option<&mut StreamedRoom> {
        match self {
            Self::Plain(_) => None,
            Self::Streamed(stream) => Some(stream),
        }
    }

    /// Whether a network that fails is like one that is silent: what was lost comes again.
    pub(crate) fn is_patient(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Returns true if the datagram is of this room's.
    pub(crate) fn knows(&self, datagram: &[u8]) -> bool {
        match self {
            Self::Plain(_) => !datagram.is_empty(),
            Self::Streamed(stream) => stream.knows(datagram),
        }
    }

    /// Takes a datagram of the server's.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, output: &mut Output) {
        match self {
            Self::Plain(room) => room.handle_datagram(datagram, now, output),
            Self::Streamed(stream) => stream.handle_datagram(datagram, now, output),
        }
    }

    /// Whether another line may be pushed.
    pub(crate) fn accepts_lines(&self) -> bool {
        match self {
            Self::Plain(room) => room.accepts_lines(),
            Self::Streamed(stream) => stream.accepts_lines(),
        }
    }

    /// Returns true if the server answers questions such as `/who`. Others relay them to everybody.
    pub(crate) fn answers_commands(&self) -> bool {
        match self {
            Self::Plain(room) => room.is_of_this_project(),
            Self::Streamed(_) => true,
        }
    }

    /// Asks who is there, for the client's own use.
    pub(crate) fn ask_who(&mut self, now: Instant) {
        match self {
            Self::Plain(room) => room.ask_who(now),
            Self::Streamed(stream) => stream.ask_who(),
        }
    }

    /// Puts a line behind those that are to be sent.
    ///
    /// # Errors
    /// The reason not to send it.
    pub(crate) fn push(&mut self, line: &[u8], now: Instant) -> Result<(), PushError> {
        match self {
            Self::Plain(room) => {
                room.push(line, now);
                Ok(())
            }
            Self::Streamed(stream) => stream.push(line),
        }
    }

    /// Learns whether the page has room for more.
    pub(crate) fn note_output(&mut self, is_full: bool, now: Instant) {
        if let Self::Streamed(stream) = self {
            stream.note_output(is_full, now);
        }
    }

    /// Returns how many lines the server has not taken.
    pub(crate) fn unaccepted(&self) -> UnacceptedLines {
        match self {
            Self::Plain(room) => room.unaccepted(),
            Self::Streamed(stream) => stream.unaccepted(),
        }
    }

    /// Returns true if everybody who comes is named by the server in a form for programs.
    pub(crate) fn names_newcomers(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Returns the lines that the server has not taken yet, as far as it would tell.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        let stream = match self {
            Self::Plain(_) => None,
            Self::Streamed(stream) => Some(stream.waiting()),
        };
        stream.into_iter().flatten()
    }

    /// Whether what we say comes back, in its place among the rest.
    pub(crate) fn echoes(&self) -> bool {
        matches!(self, Self::Streamed(_))
    }

    /// Leaves with this line, behind all others. Only the first call counts.
    pub(crate) fn leave(&mut self, now: Instant) {
        match self {
            Self::Plain(room) => room.leave(now),
            Self::Streamed(stream) => stream.leave(now),
        }
    }

    /// Looks at the time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Self::Streamed(stream) = self {
            stream.handle_timeout(now);
        }
    }

    /// Writes what is to be sent next, without what every datagram begins with; `false`: nothing.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Plain(room) => room.poll_transmit(now, out),
            Self::Streamed(stream) => stream.poll_transmit(now, out),
        }
    }

    /// When something is to be sent.
    pub(crate) fn transmit_at(&self) -> Option<Instant> {
        match self {
            Self::Plain(room) => room.transmit_at(),
            Self::Streamed(stream) => stream.transmit_at(),
        }
    }

    /// When the client ends at the latest, if that is known.
    pub(crate) fn ends_by(&self) -> Option<Instant> {
        match self {
            Self::Plain(room) => room.ends_by(),
            Self::Streamed(stream) => stream.ends_by(),
        }
    }

    /// Whether the membership is over and nothing more is to come.
    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        match self {
            Self::Plain(room) => room.has_ended(now),
            Self::Streamed(stream) => stream.has_ended(now),
        }
    }

    /// Shows what is left to be shown when it has ended.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        if let Self::Streamed(stream) = self {
            stream.finish(output);
        }
    }
}
