//! One attempt to get back into a room: as the old member if its token still works, else as a new
//! one.

use std::net::SocketAddr;

use reactor_chat::protocol::stream::MAX_HISTORY;
use reactor_chat::protocol::{Operation, Status};

use crate::credential::Credential;
use crate::failure::Failure;
use crate::options::ChatOptions;
use crate::request_error::RequestError;
use crate::requests::{self, Membership, RequestFailure, request_entry};
use crate::server_connection::{ServerConnection, connect_around};

/// The outcome of [`rejoin`].
pub(crate) enum RejoinOutcome {
    /// The old membership goes on.
    Resumed(Membership),
    /// We are a new member.
    Entered(Membership),
    /// A later attempt may succeed.
    NotYet(Failure),
    /// There is no such room. Its host may create it again.
    NoRoom(Failure),
    /// The server refused for good.
    Refused(Failure),
    /// The server is an older one, which carries no messages.
    CannotCarry,
}

/// Tries once to resume the membership with this token, or to join again if there is none or the
/// server does not know it any more. The `silent` addresses of the server are tried last.
///
/// If it `carries`, a resumed membership has its messages on the connection, so no address matters.
/// A new one tries UDP again, unless the options say otherwise (C5).
pub(crate) fn rejoin(
    options: &ChatOptions,
    token: Option<&Credential>,
    silent: &[SocketAddr],
    carries: bool,
) -> RejoinOutcome {
    let Some(token) = token else { return enter_again(options, silent) };
    let around = if carries { &[] } else { silent };
    match request_once(options, around, |connection| resume(connection, options, token, carries)) {
        Err(RequestFailure { status: Some(Status::Malformed), .. }) if carries => {
            RejoinOutcome::CannotCarry
        }
        Err(RequestFailure { status: Some(Status::RoomNotFound), .. }) => {
            enter_again(options, silent)
        }
        outcome => outcome.map_or_else(RejoinOutcome::from, RejoinOutcome::Resumed),
    }
}

/// Joins the room with all the history that the server has, to see what was said meanwhile. Creates
/// it if it is gone and was ours.
fn enter_again(options: &ChatOptions, silent: &[SocketAddr]) -> RejoinOutcome {
    let join = |connection| request_entry(connection, options, Operation::Join, MAX_HISTORY);
    let create =
        |connection| request_entry(connection, options, Operation::Create, options.history);
    let is_ours = options.operation == Operation::Create;
    let outcome = match request_once(options, silent, join) {
        Err(RequestFailure { status: Some(Status::RoomNotFound), .. }) if is_ours => {
            request_once(options, silent, create)
        }
        outcome => outcome,
    };
    outcome.map_or_else(RejoinOutcome::from, RejoinOutcome::Entered)
}

fn resume(
    connection: ServerConnection,
    options: &ChatOptions,
    token: &Credential,
    carries: bool,
) -> Result<Membership, RequestError> {
    // A membership that can be resumed has stream delivery, so its server is of this project.
    let token = token.token().ok_or(RequestError::Invalid)?;
    requests::request_resume(connection, options, token, carries)
}

/// Makes one request over a connection of its own.
fn request_once(
    options: &ChatOptions,
    silent: &[SocketAddr],
    request: impl FnOnce(ServerConnection) -> Result<Membership, RequestError>,
) -> Result<Membership, RequestFailure> {
    request(connect_around(&options.server, silent)?)
        .map_err(|error| RequestFailure::new(options, &error))
}

impl From<RequestFailure> for RejoinOutcome {
    fn from(RequestFailure { failure, status }: RequestFailure) -> Self {
        match status {
            // Our old membership still has the name, somebody else was faster, or the server is
            // busy.
            None
            | Some(
                Status::NameTaken | Status::RoomExists | Status::RateLimited | Status::ServerFull,
            ) => Self::NotYet(failure),
            Some(Status::RoomNotFound) => Self::NoRoom(failure),
            Some(_) => Self::Refused(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s15_busy_server_is_no_refusal() {
        let outcome = |status| {
            let failure = Failure::new("join", "");
            match RejoinOutcome::from(RequestFailure { failure, status }) {
                RejoinOutcome::NotYet(_) => "not yet",
                RejoinOutcome::NoRoom(_) => "no room",
                RejoinOutcome::Refused(_) => "refused",
                RejoinOutcome::Resumed(_)
                | RejoinOutcome::Entered(_)
                | RejoinOutcome::CannotCarry => unreachable!("a failure"),
            }
        };
        use Status::{NameTaken, RateLimited, RoomExists, ServerFull};
        for status in [NameTaken, RateLimited, RoomExists, ServerFull] {
            assert_eq!(outcome(Some(status)), "not yet");
        }
        assert_eq!(outcome(None), "not yet");
        assert_eq!(outcome(Some(Status::RoomNotFound)), "no room");
        assert_eq!(outcome(Some(Status::Kicked)), "refused");
        assert_eq!(outcome(RequestError::Refused(99).status()), "refused");
    }
}
