//! The grant of a request: the path of the member that the chat has let in, and the payload of its
//! completion.

use super::Context;
use super::random::draw;
use crate::address::PeerAddr;
use crate::chat::{Caller, Path, Reply};
use crate::ids::MemberId;
use crate::protocol::reply::PlainCompletion;
use crate::protocol::request::PathWishes;
use crate::protocol::stream::Completion;
use crate::protocol::{Request, SealTerms, Status, Token};

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
    pub(super) fn of(
        reply: Reply,
        terms: Option<SealTerms>,
        peer: PeerAddr,
        context: &mut Context,
    ) -> Self {
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
pub(super) fn make_terms(
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

/// Makes the connection of a request the path of its member, as on a Unix socket (U2): no datagram goes
/// there.
pub(super) fn carry(request: &mut Request<'_>) {
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
