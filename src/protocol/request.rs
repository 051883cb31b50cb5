//! Requests over TCP: one [`Frame`] each, with a JSON payload where there is something to say.
//!
//! [`encode`] is a client's half, [`parse`] the server's. [`ObjectRequest`] is the form of browsers.

mod object;
mod path;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::datagram::Form;
use super::frame::{self, Frame, STATE_REQUEST};
use super::name::{self, RoomName};
use super::status::Status;
use super::stream::MAX_HISTORY;
use super::token::Token;

use path::PathPayload;

pub use object::ObjectRequest;
pub use path::PathWishes;

/// The longest password, in bytes. The limit keeps a room's memory independent of its creator: the
/// protocol itself has none below the payload's.
pub const MAX_PASSWORD: usize = 1024;

/// Returns a password without the line ends behind it. Files of secrets end with one, and nobody can
/// type it.
pub fn without_line_end(mut password: String) -> String {
    password.truncate(password.trim_end_matches(['\r', '\n']).len());
    password
}

/// The operation of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Create a room and become its host.
    Create = 1,
    /// Join a room.
    Join = 2,
    /// List rooms.
    List = 3,
    /// Continue a membership from another IP.
    Resume = 4,
}

impl Operation {
    /// Returns the operation of a byte from the wire, or `None` if it is unknown.
    pub fn from_byte(byte: u8) -> Option<Self> {
        const ALL: [Operation; 4] =
            [Operation::Create, Operation::Join, Operation::List, Operation::Resume];
        ALL.into_iter().find(|known| *known as u8 == byte)
    }

    /// Returns the operation of a name in a JSON object, or `None` if it is unknown.
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "create" => Some(Self::Create),
            "join" => Some(Self::Join),
            "list" => Some(Self::List),
            "resume" => Some(Self::Resume),
            _ => None,
        }
    }
}

/// The way in which a member receives messages and notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// One datagram for each, without order or repair.
    Plain(Form),
    /// Numbered entries in one order for everyone, repaired after loss: see [`super::stream`].
    Stream,
}

/// A user who creates or joins a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant<'a> {
    /// The room.
    pub room: RoomName<'a>,
    /// The user name, in the form in which it is kept.
    pub name: Cow<'a, str>,
    /// The room's password. An empty one counts as none.
    pub password: Option<String>,
    /// The requested delivery.
    pub delivery: Delivery,
    /// With stream delivery, the number of earlier entries that the user wants to see. From the
    /// host, it also limits how many others may see.
    pub history: u32,
    /// The requested path of its messages.
    pub path: PathWishes,
}

/// A request that is valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Create a room and become its host.
    Create {
        /// The future host.
        host: Entrant<'a>,
        /// The most members of the room. The server refuses 0 with status 9.
        capacity: Option<u32>,
        /// True if lists leave the room out, and if without its password it seems not to exist.
        hidden: bool,
        /// True if only members on encrypted paths may enter (E9).
        sealed_only: bool,
    },
    /// Join a room.
    Join(Entrant<'a>),
    /// Continue a membership from the IP that the request comes from.
    Resume {
        /// The room of the member.
        room: RoomName<'a>,
        /// The token of the member.
        token: Token,
        /// The wishes of a payload that is an object. A bare token has none.
        path: Option<PathWishes>,
    },
    /// List the rooms whose names begin with a prefix.
    List {
        /// The prefix, in the form in which names are kept. `None` matches no name.
        prefix: Option<Cow<'a, str>>,
        /// If present, only rooms whose names come behind this one, of at most [`name::MAX_NAME`]
        /// bytes.
        after: Option<String>,
    },
}

/// Parses the request in a frame.
///
/// # Errors
/// Returns the status for the reply: [`Status::Malformed`] if the payload can't be parsed,
/// [`Status::InvalidRoomName`] or [`Status::InvalidUserName`] for a name. If several apply, it is
/// the first of these (W12).
pub fn parse<'a>(frame: &Frame<'a>) -> Result<Request<'a>, Status> {
    match Operation::from_byte(frame.operation).ok_or(Status::Malformed)? {
        Operation::List => list(frame),
        Operation::Join => entrant(frame).map(Request::Join),
        Operation::Create => create(frame),
        Operation::Resume => resume(frame),
    }
}

/// Encodes a request as one frame, so that [`parse`] returns an equal request from it.
///
/// Names and passwords go out as they are. A server refuses those that are not valid.
///
/// ```
/// use reactor_chat::protocol::request::{self, PathWishes};
/// use reactor_chat::protocol::{Decoded, Delivery, Entrant, Request, decode, name};
///
/// let room = name::room_name(b"lobby").expect("a valid name");
/// let name = name::user_name("ann").expect("a valid name");
/// let (password, path) = (None, PathWishes::default());
/// let ann = Entrant { room, name, password, delivery: Delivery::Stream, history: 50, path };
/// let join = Request::Join(ann);
/// let bytes = request::encode(&join);
///
/// let Decoded::Whole(frame) = decode(&bytes, 1024) else { unreachable!("a whole frame") };
/// assert_eq!(request::parse(&frame), Ok(join));
/// ```
///
/// # Panics
/// If the room name is longer than 255 bytes.
pub fn encode(request: &Request<'_>) -> Vec<u8> {
    let (operation, room, payload) = match request {
        Request::Create { host, capacity, hidden, sealed_only } => {
            let wishes = (*capacity, *hidden, *sealed_only);
            let payload = entrant_payload(host, wishes);
            (Operation::Create, host.room.as_sent, payload)
        }
        Request::Join(guest) => {
            (Operation::Join, guest.room.as_sent, entrant_payload(guest, (None, false, false)))
        }
        Request::Resume { room, token, path } => {
            (Operation::Resume, room.as_sent, resume_payload(*token, path.as_ref()))
        }
        Request::List { prefix, after } => return encode_list(prefix.as_deref(), after.as_ref()),
    };
    frame::encode(operation as u8, STATE_REQUEST, room.as_bytes(), &payload)
}

fn encode_list(prefix: Option<&str>, after: Option<&String>) -> Vec<u8> {
    // No name in UTF-8 begins with the byte 0xFF.
    let prefix = prefix.map_or(&b"\xff"[..], str::as_bytes);
    let wishes = after.map(|after| to_json(&ListWishes { after: Some(after.clone()) }));
    let payload = wishes.unwrap_or_default();
    frame::encode(Operation::List as u8, STATE_REQUEST, prefix, &payload)
}

fn resume_payload(token: Token, path: Option<&PathWishes>) -> Vec<u8> {
    #[derive(Serialize)]
    struct ResumePayload {
        token: String,
        #[serde(flatten)]
        path: PathPayload,
    }
    let wire = token.to_wire();
    match path {
        None => wire.to_vec(),
        // A token on the wire is ASCII.
        Some(path) => to_json(&ResumePayload {
            token: String::from_utf8_lossy(&wire).into_owned(),
            path: path.into(),
        }),
    }
}

/// The payload of create and join (W6). Absent keys instead of `null`: other servers of this protocol fail on a
/// null password.
#[derive(Serialize)]
struct EntrantPayload<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    delivery: &'static str,
    #[serde(skip_serializing_if = "is_default")]
    history: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u32>,
    #[serde(skip_serializing_if = "is_default")]
    hidden: bool,
    #[serde(skip_serializing_if = "is_default")]
    sealed_only: bool,
    #[serde(flatten)]
    path: PathPayload,
}

fn entrant_payload(
    entrant: &Entrant<'_>,
    (capacity, hidden, sealed_only): (Option<u32>, bool, bool),
) -> Vec<u8> {
    let delivery = match entrant.delivery {
        Delivery::Plain(Form::Text) => "text",
        Delivery::Plain(Form::Named) => "named",
        Delivery::Stream => "stream",
    };
    let (username, password) = (&*entrant.name, entrant.password.as_deref());
    let history = entrant.history;
    let path = (&entrant.path).into();
    to_json(&EntrantPayload {
        username,
        password,
        delivery,
        history,
        capacity,
        hidden,
        sealed_only,
        path,
    })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn to_json(payload: &impl Serialize) -> Vec<u8> {
    // Writing strings, numbers and bools under fixed keys into a Vec cannot fail.
    serde_json::to_vec(payload).unwrap_or_default()
}

/// The JSON payload of a list request. Any other payload is ignored.
#[derive(Default, Deserialize, Serialize)]
struct ListWishes {
    after: Option<String>,
}

fn list<'a>(frame: &Frame<'a>) -> Result<Request<'a>, Status> {
    let wishes = if is_json(frame.payload) { json(frame.payload)? } else { ListWishes::default() };
    let is_name = wishes.after.as_ref().is_none_or(|after| after.len() <= name::MAX_NAME);
    if !is_name {
        return Err(Status::Malformed);
    }
    Ok(Request::List { prefix: name::room_prefix(frame.room), after: wishes.after })
}

fn resume<'a>(frame: &Frame<'a>) -> Result<Request<'a>, Status> {
    #[derive(Deserialize)]
    struct ResumePayload {
        token: String,
    }
    let (token, path) = if is_json(frame.payload) {
        let payload: ResumePayload = json(frame.payload)?;
        let path: PathPayload = json(frame.payload)?;
        (Token::from_wire(payload.token.as_bytes()), Some(path.wishes()?))
    } else {
        (Token::from_wire(frame.payload), None)
    };
    let token = token.ok_or(Status::Malformed)?;
    let room = name::room_name(frame.room).ok_or(Status::InvalidRoomName)?;
    Ok(Request::Resume { room, token, path })
}

/// Returns the room name for the replies to `frame` (W11). Clients that send JSON expect it. Clients
/// that send a bare user name read the payload right behind the header, so they must not get it.
pub fn echoed_room<'a>(frame: &Frame<'a>) -> &'a [u8] {
    match Operation::from_byte(frame.operation) {
        Some(Operation::Create | Operation::Join | Operation::Resume) if is_json(frame.payload) => {
            frame.room
        }
        _ => b"",
    }
}

fn is_json(payload: &[u8]) -> bool {
    payload.trim_ascii_start().first() == Some(&b'{')
}

/// The keys about the room. In a join request they mean nothing.
#[derive(Default, Deserialize)]
struct RoomWishes {
    capacity: Option<u64>,
    hidden: Option<bool>,
    sealed_only: Option<bool>,
}

/// Status 9 comes before 4 and 5, so these keys are parsed before the names are checked.
fn create<'a>(frame: &Frame<'a>) -> Result<Request<'a>, Status> {
    let wishes = if is_json(frame.payload) { json(frame.payload)? } else { RoomWishes::default() };
    let capacity = capacity(wishes.capacity)?;
    let hidden = wishes.hidden.unwrap_or(false);
    let sealed_only = wishes.sealed_only.unwrap_or(false);
    Ok(Request::Create { host: entrant(frame)?, capacity, hidden, sealed_only })
}

fn entrant<'a>(frame: &Frame<'a>) -> Result<Entrant<'a>, Status> {
    if is_json(frame.payload) { json_entrant(frame) } else { bare_entrant(frame) }
}

fn bare_entrant<'a>(frame: &Frame<'a>) -> Result<Entrant<'a>, Status> {
    let room = name::room_name(frame.room).ok_or(Status::InvalidRoomName)?;
    let name = str::from_utf8(frame.payload).ok().and_then(name::user_name);
    let name = name.ok_or(Status::InvalidUserName)?;
    let delivery = Delivery::Plain(Form::Named);
    let path = PathWishes::default();
    Ok(Entrant { room, name, password: None, delivery, history: 0, path })
}

/// The keys about the user. `null` equals an absent key, because many libraries write an option
/// without a value that way.
#[derive(Deserialize)]
struct Payload {
    username: Option<String>,
    user_name: Option<String>,
    password: Option<String>,
    delivery: Option<String>,
    history: Option<u64>,
}

/// Status 4 comes before 5, so the room name is checked before the user name.
fn json_entrant<'a>(frame: &Frame<'a>) -> Result<Entrant<'a>, Status> {
    let payload: Payload = json(frame.payload)?;
    let path: PathPayload = json(frame.payload)?;
    let (delivery, path) = (delivery(payload.delivery.as_deref())?, path.wishes()?);
    let password = payload.password.map(without_line_end);
    let password = password.filter(|password| !password.is_empty());
    if password.as_ref().is_some_and(|password| password.len() > MAX_PASSWORD) {
        return Err(Status::Malformed);
    }
    let room = name::room_name(frame.room).ok_or(Status::InvalidRoomName)?;
    let name = payload.username.or(payload.user_name).ok_or(Status::InvalidUserName)?;
    let name = name::user_name(&name).ok_or(Status::InvalidUserName)?;
    let name = Cow::Owned(name.into_owned());
    let history = payload.history.unwrap_or(0).min(u64::from(MAX_HISTORY)) as u32;
    Ok(Entrant { room, name, password, delivery, history, path })
}

fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Status> {
    serde_json::from_slice(payload).map_err(|_| Status::Malformed)
}

fn delivery(wish: Option<&str>) -> Result<Delivery, Status> {
    match wish {
        None | Some("text") => Ok(Delivery::Plain(Form::Text)),
        Some("named") => Ok(Delivery::Plain(Form::Named)),
        Some("stream") => Ok(Delivery::Stream),
        Some(_) => Err(Status::Malformed),
    }
}

/// Caps a capacity beyond 32 bits: the server's own limit is lower anyway.
fn capacity(wish: Option<u64>) -> Result<Option<u32>, Status> {
    match wish {
        Some(0) => Err(Status::Malformed),
        Some(wish) => Ok(Some(u32::try_from(wish).unwrap_or(u32::MAX))),
        None => Ok(None),
    }
}
