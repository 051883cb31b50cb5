//! Requests, in whichever protocol they come: their execution, the path of the member that the chat has
//! let in, and the payload of the completion.

use std::time::Instant;

use super::Context;
use super::random::draw;
use crate::address::{Peer, PeerAddr};
use crate::chat::{Caller, Path, Reply};
use crate::connection::{Connection, Transport};
use crate::ids::MemberId;
use crate::protocol::reply::PlainCompletion;
use crate::protocol::request::PathWishes;
use crate::protocol::stream::Completion;
use crate::protocol::{Frame, Request, SealTerms, Status, Token, request};

/// Returns true if nobody on the way can read a connection.
pub(super) fn is_private(peer: Peer, connection: &Connection<impl Transport>) -> bool {
    connection.is_encrypted() || peer.is_local()
}

/// A request to be executed.
pub(super) struct Attempt<'a> {
    pub(super) frame: &'a Frame<'a>,
    pub(super) peer: Peer,
    /// True if nobody on the way can read it.
    pub(super) is_private: bool,
    /// True if the member is carried, whatever the request asks for.
    pub(super) is_carried: bool,
    /// True if it came over QUIC.
    pub(super) is_quic: bool,
    /// True if the request was answered with [`Answer::Later`] before.
    pub(super) was_delayed: bool,
    /// Limit for the bytes of a list of rooms.
    pub(super) max_list: usize,
}

/// The answer to a request.
pub(super) enum Answer {
    /// It is to be executed again at this time.
    Later(Instant),
    /// It is refused, and nothing has changed.
    Refused(Status),
    /// It is granted.
    Granted(Grant),
}

impl Attempt<'_> {
    /// Executes the request, and counts and logs its reply.
    pub(super) fn answer(&self, context: &mut Context) -> Answer {
        let (status, answer) = match self.execute(context) {
            Ok((Reply::Later { at }, _)) => return Answer::Later(at),
            Ok((reply, terms)) => {
                let grant = Grant::of(reply, terms, self.peer.addr(), context);
                (Status::Success, Answer::Granted(grant))
            }
            Err(status) => (status, Answer::Refused(status)),
        };
        context.metrics.count_reply(status);
        log::debug!(
            "{}: operation {}, room \"{}\": {status}",
            self.peer,
            self.frame.operation,
            printable(self.frame.room),
        );
        answer
    }

    fn execute(&self, context: &mut Context) -> Result<(Reply, Option<SealTerms>), Status> {
        let Self { peer, is_private: is_encrypted, is_quic, .. } = *self;
        let caller = Caller { peer: peer.addr(), is_encrypted, is_quic };
        if context.tls.is_required() && !caller.is_encrypted {
            return Err(Status::EncryptionRequired);
        }
        let mut request = request::parse(self.frame)?;
        if self.is_carried {
            carry(&mut request);
        }
        let terms = make_terms(&request, caller, context)?;
        let (now, max_list, chat) = (context.now, self.max_list, &mut context.chat);
        let reply = match self.was_delayed {
            true => chat.handle_delayed_request(caller, &request, draw, max_list, now),
            false => chat.handle_request(caller, &request, draw, max_list, now),
        };
        Ok((reply?, terms))
    }
}

/// The answer to a request that was granted.
#[derive(Default)]
pub(super) struct Grant {
    /// The payload of the completion.
    pub(super) payload: Option<Vec<u8>>,
    /// The member, if it sends datagrams.
    pub(super) member: Option<MemberId>,
    /// The member, if the connection carries it from now on.
    pub(super) carried: Option<MemberId>,
}

impl Grant {
    /// Returns the grant of a reply to `peer`, and opens the path of its member, with these terms if it
    /// is sealed.
    fn of(reply: Reply, terms: Option<SealTerms>, peer: PeerAddr, context: &mut Context) -> Self {
        match reply {
            Reply::Entered { member, token, stream, path }
            | Reply::Resumed { member, token, stream, path } => {
                let is_carried = path.is_carried();
                let terms = terms.filter(|_| path == Path::Sealed);
                open_path(member, terms.as_ref(), peer, context);
                Self {
                    payload: Some(encode_payload(token, stream, terms)),
                    member: (!is_carried).then_some(member),
                    carried: is_carried.then_some(member),
                }
            }
            Reply::Rooms(list) => Self { payload: Some(list), ..Self::default() },
            Reply::Later { .. } => Self::default(),
        }
    }
}

/// Makes the terms of a request for sealed datagrams, before the request changes anything. A request in
/// the clear gets none: the chat refuses it.
///
/// # Errors
/// [`Status::ServerFull`] without randomness, as for a new token.
fn make_terms(
    request: &Request<'_>,
    caller: Caller,
    context: &Context,
) -> Result<Option<SealTerms>, Status> {
    let wishes = wishes_of(request).filter(|wishes| wishes.seal && !wishes.carry);
    let Some(PathWishes { ciphers, .. }) = wishes.filter(|_| caller.is_encrypted) else {
        return Ok(None);
    };
    context.datagrams.make_terms(ciphers, draw).map(Some).ok_or(Status::ServerFull)
}

/// Makes the connection of a request the path of its member, as on a Unix socket (U2) and on a WebSocket
/// (H7): no datagram goes there.
fn carry(request: &mut Request<'_>) {
    match request {
        Request::Create { host: entrant, .. } | Request::Join(entrant) => entrant.path.carry = true,
        Request::Resume { path, .. } => path.get_or_insert_default().carry = true,
        Request::List { .. } => {}
    }
}

fn wishes_of(request: &Request<'_>) -> Option<PathWishes> {
    match request {
        Request::Create { host: entrant, .. } | Request::Join(entrant) => Some(entrant.path),
        Request::Resume { path, .. } => *path,
        Request::List { .. } => None,
    }
}

/// Opens the path of a member. An earlier path in datagrams ends: of a member that has moved, no address
/// is proved.
fn open_path(member: MemberId, terms: Option<&SealTerms>, peer: PeerAddr, context: &mut Context) {
    let Context { datagrams, now, .. } = context;
    match terms {
        Some(terms) => datagrams.seal_member(member, terms, peer, *now),
        None => datagrams.remove(member),
    }
}

/// Returns the payload of a completion: the token, for stream delivery with its parameters, and for
/// sealed members with the terms.
fn encode_payload(token: Token, stream: Option<Completion>, seal: Option<SealTerms>) -> Vec<u8> {
    match (stream, seal) {
        (Some(completion), seal) => Completion { seal, ..completion }.encode(),
        (None, Some(seal)) => PlainCompletion { token, seal }.encode(),
        (None, None) => token.to_wire().to_vec(),
    }
}

/// Returns a peer's bytes in a form that is safe in a log: cut, and without terminal controls.
pub(super) fn printable(bytes: &[u8]) -> String {
    const MAX: usize = 64;
    let cut = &bytes[..bytes.len().min(MAX)];
    String::from_utf8_lossy(cut).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_logged_bytes_are_escaped_and_cut() {
        let text = "ab\x1b[2J\n\u{202e}\"日本";
        assert_eq!(printable(text.as_bytes()), r#"ab\u{1b}[2J\n\u{202e}\"日本"#);
        assert_eq!(printable(&[b'x'; 300]).len(), 64);
        assert_eq!(printable(b"\xff"), "\u{fffd}");
    }
}
