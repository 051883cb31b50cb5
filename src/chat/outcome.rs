//! Outcomes of datagrams. Each names the counter in which it is counted.

use crate::ids::MemberId;
use crate::metrics::Counter;
use crate::protocol::Notice;
#[cfg(doc)]
use crate::protocol::datagram::MAX_UPSTREAM;

/// The outcome of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramOutcome {
    /// It belongs to no member. It changed nothing and is never answered.
    Dropped(DropReason),
    /// It is from this member, whose datagrams go to the port that it came from now.
    Accepted(MemberId, MessageOutcome),
}

impl DatagramOutcome {
    /// Returns the member that has sent the datagram, if there is one.
    pub fn member(self) -> Option<MemberId> {
        match self {
            Self::Dropped(_) => None,
            Self::Accepted(member, _) => Some(member),
        }
    }

    /// Returns true if the datagram had no effect and further ones like it in the same batch would
    /// have none either.
    pub fn is_in_vain(self) -> bool {
        match self {
            Self::Dropped(_) => true,
            Self::Accepted(_, outcome) => {
                matches!(outcome, MessageOutcome::RateLimited | MessageOutcome::Unanswered)
            }
        }
    }

    /// Returns the counter of this outcome.
    pub fn counter(self) -> Counter {
        match self {
            Self::Dropped(reason) => reason.counter(),
            Self::Accepted(_, outcome) => outcome.counter(),
        }
    }
}

/// The reason to drop a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It has more than [`MAX_UPSTREAM`] bytes.
    TooLong,
    /// It does not have the layout of a client's datagram.
    Malformed,
    /// No member has this token.
    UnknownToken,
    /// The token belongs to another room.
    WrongRoom,
    /// The token was given to another IP.
    WrongAddress,
    /// The member has another path: it is sealed or carried, and this came in the clear (E9), or it
    /// has moved since.
    OtherPath,
}

impl DropReason {
    fn counter(self) -> Counter {
        match self {
            Self::TooLong => Counter::TooLong,
            Self::Malformed => Counter::Malformed,
            Self::UnknownToken => Counter::UnknownToken,
            Self::WrongRoom | Self::WrongAddress => Counter::MisplacedToken,
            Self::OtherPath => Counter::OtherPath,
        }
    }
}

/// The outcome of a member's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// There was no message. The member is alive.
    KeptAlive,
    /// The message was appended for the other members.
    Relayed,
    /// It is a part of a message, kept until the last part has come.
    Kept,
    /// It was a command, and was executed.
    Command,
    /// It may not be relayed. Its sender is told why.
    Refused,
    /// Its sender has used up its message budget.
    RateLimited,
    /// The backlog of the room, or of all rooms, is full.
    RoomBusy,
    /// A stream member confirmed entries.
    Confirmed,
    /// A stream member requested entries again.
    Repaired,
    /// It does not have the id that the stream member's next message must have.
    OutOfOrder,
    /// The stream member has used up its reply budget. Only a confirmation takes effect.
    Unanswered,
    /// It is not a valid message of a stream member.
    Invalid,
    /// The member has ended, and is told so.
    Ended,
}

impl MessageOutcome {
    fn counter(self) -> Counter {
        match self {
            Self::KeptAlive => Counter::KeepAlives,
            Self::Relayed => Counter::Messages,
            Self::Kept => Counter::Parts,
            Self::Command => Counter::Commands,
            Self::Refused => Counter::Refused,
            Self::RateLimited => Counter::RateLimited,
            Self::RoomBusy => Counter::RoomBusy,
            Self::Confirmed => Counter::Confirmations,
            Self::Repaired => Counter::RepairRequests,
            Self::OutOfOrder => Counter::OutOfOrder,
            Self::Unanswered => Counter::OverReplyBudget,
            Self::Invalid => Counter::InvalidStream,
            Self::Ended => Counter::Departed,
        }
    }
}

/// The reason not to append a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum AppendError {
    /// It is too long at any time.
    TooLong(Notice<'static>),
    /// There is no memory for it now.
    RoomBusy,
}
