//! Requests over TCP: one [`Frame`] each, with a JSON payload where there is something to say.
//!
//! [`encode`] is a client's half, [`parse`] the server's.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::datagram::Form;
use super::frame::{self, Frame, STATE_REQUEST};
use super::name::{self, RoomName};
use super::seal::Ciphers;
use super::status::Status;
use super::stream::MAX_HISTORY;
use super::token::Token;

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

/// The wishes of a request about the path of the member's messages. By default they travel in
/// datagrams in the clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathWishes {
    /// Sealed datagrams (E5). A server grants them inside TLS only.
    pub seal: bool,
    /// The ciphers that the client has, for `seal`.
    pub ciphers: Ciphers,
    /// The connection of the request (C1).
    pub carry: bool,
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

/// The keys about the path. Absent ones are false, and an absent list of ciphers means all.
#[derive(Default, Deserialize, Serialize)]
struct PathPayload {
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphers: Option<Ciphers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carry: Option<bool>,
}

impl From<&PathWishes> for PathPayload {
    fn from(wishes: &PathWishes) -> Self {
        Self {
            seal: wishes.seal.then_some(true),
            ciphers: wishes.seal.then_some(wishes.ciphers),
            carry: wishes.carry.then_some(true),
        }
    }
}

impl PathPayload {
    /// Returns the wishes.
    ///
    /// # Errors
    /// [`Status::Malformed`] if the client can seal with no cipher of ours.
    fn wishes(self) -> Result<PathWishes, Status> {
        let seal = self.seal.unwrap_or(false);
        let ciphers = self.ciphers.filter(|_| seal).unwrap_or_default();
        if ciphers.is_empty() {
            return Err(Status::Malformed);
        }
        Ok(PathWishes { seal, ciphers, carry: self.carry.unwrap_or(false) })
    }
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

fn entrant_payload(
    entrant: &Entrant<'_>,
    (capacity, hidden, sealed_only): (Option<u32>, bool, bool),
) -> Vec<u8> {
    // Absent keys instead of `null`: other servers of this protocol fail on a null password.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{Decoded, HEADER_SIZE, decode};
    use proptest::prelude::*;

    fn frame<'a>(operation: u8, room: &'a str, payload: &'a [u8]) -> Frame<'a> {
        Frame { operation, state: 0, room: room.as_bytes(), payload }
    }

    fn join(payload: &str) -> Result<Entrant<'_>, Status> {
        match parse(&frame(2, "r", payload.as_bytes()))? {
            Request::Join(entrant) => Ok(entrant),
            other => panic!("not a join: {other:?}"),
        }
    }

    #[test]
    fn w4_request_state_is_ignored() {
        let mut request = frame(2, "r", b"bob");
        request.state = 1;
        assert!(parse(&request).is_ok());
    }

    #[test]
    fn w4_unknown_operation_is_malformed() {
        for operation in [0, 5, 6, 255] {
            assert_eq!(parse(&frame(operation, "r", b"bob")), Err(Status::Malformed));
        }
    }

    #[test]
    fn w5_brace_makes_payload_json() {
        let bare = join("bob").unwrap();
        assert_eq!((&*bare.name, bare.delivery), ("bob", Delivery::Plain(Form::Named)));
        assert_eq!(join("[bob]").unwrap().name, "[bob]");
        assert_eq!(join("\"bob\"").unwrap().name, "\"bob\"");
        let json = join(" \r\n\t{\"username\":\"bob\"} ").unwrap();
        assert_eq!((&*json.name, json.delivery), ("bob", Delivery::Plain(Form::Text)));
        assert_eq!(join(" bob").unwrap().name, "bob");
        assert_eq!(join(""), Err(Status::InvalidUserName));
    }

    #[test]
    fn w6_username_comes_before_user_name() {
        assert_eq!(join(r#"{"user_name":"b"}"#).unwrap().name, "b");
        assert_eq!(join(r#"{"user_name":"b","username":"a"}"#).unwrap().name, "a");
        assert_eq!(join(r#"{"username":null,"user_name":"b"}"#).unwrap().name, "b");
        assert_eq!(join("{}"), Err(Status::InvalidUserName));
        assert_eq!(join(r#"{"username":""}"#), Err(Status::InvalidUserName));
    }

    #[test]
    fn w6_empty_password_is_none() {
        for password in ["", r#","password":null"#, r#","password":"""#] {
            let payload = format!(r#"{{"username":"b"{password}}}"#);
            assert_eq!(join(&payload).unwrap().password, None);
        }
        let payload = r#"{"username":"b","password":" x ","unknown":[1,{"deep":2}]}"#;
        assert_eq!(join(payload).unwrap().password.as_deref(), Some(" x "));
    }

    #[test]
    fn w6_field_k_password_line_end_is_cut() {
        for (sent, kept) in [
            ("x\\n", Some("x")),
            ("x\\r\\n", Some("x")),
            ("x\\n\\n", Some("x")),
            ("x\\ny ", Some("x\ny ")),
            ("\\n", None),
        ] {
            let payload = format!(r#"{{"username":"b","password":"{sent}"}}"#);
            assert_eq!(join(&payload).unwrap().password.as_deref(), kept, "{sent}");
        }
        let longest = format!(r#"{{"username":"b","password":"{}\n"}}"#, "x".repeat(MAX_PASSWORD));
        assert!(join(&longest).is_ok());
    }

    #[test]
    fn w6_bad_json_is_malformed() {
        let long = format!(r#"{{"username":"b","password":"{}"}}"#, "x".repeat(MAX_PASSWORD + 1));
        let deep = format!(r#"{{"username":"b","x":{}}}"#, "[".repeat(10_000));
        for payload in [
            "{",
            r#"{"username":"b"} x"#,
            r#"{"username":1}"#,
            r#"{"username":"b","password":5}"#,
            r#"{"username":"b","delivery":"TEXT"}"#,
            &long,
            &deep,
        ] {
            let shown = &payload[..payload.len().min(60)];
            assert_eq!(join(payload), Err(Status::Malformed), "{shown}");
        }
        assert_eq!(parse(&frame(2, "r", b"{\"username\":\"\xff\"}")), Err(Status::Malformed));
    }

    #[test]
    fn w6_join_ignores_room_keys() {
        for wish in [
            r#""capacity":0"#,
            r#""capacity":-1"#,
            r#""capacity":1.5"#,
            r#""capacity":"9""#,
            r#""hidden":1"#,
        ] {
            let payload = format!(r#"{{"username":"b",{wish}}}"#);
            let create = parse(&frame(1, "r", payload.as_bytes())).map(drop);
            assert_eq!(create, Err(Status::Malformed), "{wish}");
            assert!(join(&payload).is_ok(), "{wish}");
        }
    }

    #[test]
    fn w6_create_has_room_keys() {
        let payload = br#"{"username":"a","capacity":3,"hidden":true,"delivery":"named"}"#;
        let parsed = parse(&frame(1, "r", payload));
        let Ok(Request::Create { host, capacity, hidden, sealed_only: false }) = parsed else {
            panic!("a create request")
        };
        assert_eq!(
            (capacity, hidden, host.delivery),
            (Some(3), true, Delivery::Plain(Form::Named))
        );
    }

    #[test]
    fn s12_history_is_capped() {
        let history = |json: &str| {
            join(&format!(r#"{{"username":"b","delivery":"stream"{json}}}"#))
                .map(|entrant| (entrant.delivery, entrant.history))
        };
        let of = |history| Ok((Delivery::Stream, history));
        assert_eq!(history(""), of(0));
        assert_eq!(history(r#","history":null"#), of(0));
        assert_eq!(history(r#","history":1024"#), of(1024));
        assert_eq!(history(r#","history":18446744073709551615"#), of(1024));
        for wrong in ["-1", "1.5", "\"9\"", "true"] {
            let wish = format!(r#","history":{wrong}"#);
            assert_eq!(history(&wish), Err(Status::Malformed), "{wrong}");
        }
    }

    #[test]
    fn s14_resume_takes_a_token() {
        let token = "0123456789abcdef0123456789abcdef";
        let resume = parse(&frame(4, "r", token.as_bytes()));
        let Ok(Request::Resume { room, token: read, path: None }) = resume else {
            panic!("{resume:?}")
        };
        assert_eq!((&*room.name, &read.to_wire()[..]), ("r", token.as_bytes()));
        assert_eq!(parse(&frame(4, "r", &token.as_bytes()[1..])), Err(Status::Malformed));
        assert_eq!(parse(&frame(4, " ", token.as_bytes())), Err(Status::InvalidRoomName));
    }

    #[test]
    fn w12_order_of_errors() {
        let both = frame(1, " ", br#"{"username":" ","hidden":3}"#);
        assert_eq!(parse(&both), Err(Status::Malformed));
        let names = frame(1, " ", br#"{"username":" "}"#);
        assert_eq!(parse(&names), Err(Status::InvalidRoomName));
        assert_eq!(parse(&frame(1, " ", b"\xff")), Err(Status::InvalidRoomName));
        assert_eq!(parse(&frame(1, "r", b"\xff")), Err(Status::InvalidUserName));
    }

    #[test]
    fn w11_only_json_requests_get_room_echo() {
        assert_eq!(echoed_room(&frame(1, "r", b"{}")), b"r");
        assert_eq!(echoed_room(&frame(2, "r", b" {broken")), b"r");
        assert_eq!(echoed_room(&frame(2, "r", b"bob")), b"");
        assert_eq!(echoed_room(&frame(3, "r", b"{}")), b"");
        assert_eq!(echoed_room(&frame(9, "r", b"{}")), b"");
    }

    #[test]
    fn w10_list_prefix_may_be_any_bytes() {
        let request = |room| Frame { operation: 3, state: 0, room, payload: b"ignored" };
        let list = |prefix| Ok(Request::List { prefix, after: None });
        assert_eq!(parse(&request(b"\xff")), list(None));
        let prefix = Some("\u{e9} ".into());
        assert_eq!(parse(&request("e\u{301} ".as_bytes())), list(prefix));
    }

    #[test]
    fn w10_field_h_list_after_a_name() {
        let list = |payload: &str| match parse(&frame(3, "", payload.as_bytes())) {
            Ok(Request::List { after, .. }) => Ok(after),
            Ok(other) => panic!("{other:?}"),
            Err(status) => Err(status),
        };
        assert_eq!(list(r#"{"after":"a b"}"#), Ok(Some("a b".into())));
        for payload in ["", "after", "{}", r#"{"after":null}"#, r#"{"username":"b"}"#] {
            assert_eq!(list(payload), Ok(None), "{payload}");
        }
        let long = format!(r#"{{"after":"{}"}}"#, "x".repeat(256));
        for payload in [r#"{"after":1}"#, r#"{"after":["a"]}"#, r#"{"after":"a""#, "{", &long] {
            assert_eq!(list(payload), Err(Status::Malformed), "{payload}");
        }
    }

    #[test]
    fn e5_c1_path_keys() {
        let path = |keys: &str| join(&format!(r#"{{"username":"b"{keys}}}"#)).map(|one| one.path);
        assert_eq!(path(""), Ok(PathWishes::default()));
        assert_eq!(path(r#","seal":null,"carry":false"#), Ok(PathWishes::default()));
        let all = PathWishes { seal: true, ciphers: Ciphers::ALL, carry: false };
        assert_eq!(path(r#","seal":true"#), Ok(all), "without a list");
        assert_eq!(path(r#","seal":true,"carry":true"#), Ok(PathWishes { carry: true, ..all }));
        for wrong in [
            r#","seal":1"#,
            r#","carry":"yes""#,
            r#","seal":true,"ciphers":["rot13"]"#,
            r#","seal":true,"ciphers":"aes-128-gcm""#,
        ] {
            assert_eq!(path(wrong), Err(Status::Malformed), "{wrong}");
        }
    }

    #[test]
    fn e5_resume_takes_an_object() {
        let payload = r#"{"token":"0123456789abcdef0123456789abcdef","carry":true}"#;
        let resume = frame(4, "r", payload.as_bytes());
        let Ok(Request::Resume { path: Some(path), .. }) = parse(&resume) else {
            panic!("a resume request")
        };
        assert_eq!(path, PathWishes { carry: true, ..PathWishes::default() });
        assert_eq!(echoed_room(&resume), b"r");
        for wrong in [r#"{"token":"12"}"#, r#"{"carry":true}"#, "{"] {
            assert_eq!(parse(&frame(4, "r", wrong.as_bytes())), Err(Status::Malformed), "{wrong}");
        }
    }

    fn text(request: &Request<'_>) -> String {
        let bytes = encode(request);
        String::from_utf8(bytes[HEADER_SIZE..].to_vec()).expect("UTF-8")
    }

    #[test]
    fn w6_encoded_payload_has_only_known_keys() {
        let room = RoomName { name: "r".into(), as_sent: "r" };
        let (name, password) = ("b\"".into(), Some("x".into()));
        let path = PathWishes { seal: true, ciphers: Ciphers::ALL, carry: true };
        let host = Entrant { room, name, password, delivery: Delivery::Stream, history: 9, path };
        let create = Request::Create { host, capacity: Some(3), hidden: true, sealed_only: true };
        let all = concat!(
            r#"r{"username":"b\"","password":"x","delivery":"stream","history":9,"capacity":3,"#,
            r#""hidden":true,"sealed_only":true,"seal":true,"#,
            r#""ciphers":["aes-128-gcm","chacha20-poly1305"],"carry":true}"#,
        );
        assert_eq!(text(&create), all);
        assert_eq!(text(&Request::List { prefix: Some("a".into()), after: None }), "a");
        let after = Some("b".into());
        assert_eq!(text(&Request::List { prefix: Some("".into()), after }), r#"{"after":"b"}"#);
    }

    prop_compose! {
        fn wishes()(seal in any::<bool>(), carry in any::<bool>()) -> PathWishes {
            PathWishes { seal, ciphers: Ciphers::ALL, carry }
        }
    }

    prop_compose! {
        fn entrants()(
            room in "[a-zé日]{1,20}",
            name in "[a-z日\"\\\\]{1,20}",
            password in proptest::option::of("[ -~é]{1,20}"),
            delivery in prop_oneof![
                Just(Delivery::Plain(Form::Text)),
                Just(Delivery::Plain(Form::Named)),
                Just(Delivery::Stream),
            ],
            history in 0..=MAX_HISTORY,
            path in wishes(),
        ) -> (String, Entrant<'static>) {
            let empty = RoomName { name: "".into(), as_sent: "" };
            (room, Entrant { room: empty, name: name.into(), password, delivery, history, path })
        }
    }

    proptest! {
        #[test]
        fn w6_encoded_requests_are_parsed_again(
            (room, entrant) in entrants(),
            capacity in proptest::option::of(1..=u32::MAX),
            hidden in any::<bool>(),
            sealed_only in any::<bool>(),
            resumed in proptest::option::of(wishes()),
            bits in any::<[u8; 16]>(),
            prefix in proptest::option::of("[a-zé日]{0,20}"),
            after in proptest::option::of("[ -~é]{0,20}"),
        ) {
            let room = name::room_name(room.as_bytes()).expect("a valid name");
            let entrant = Entrant { room: room.clone(), ..entrant };
            for request in [
                Request::Create { host: entrant.clone(), capacity, hidden, sealed_only },
                Request::Join(entrant),
                Request::Resume { room, token: Token::from_bits(bits), path: resumed },
                Request::List { prefix: prefix.map(Cow::Owned), after },
            ] {
                let bytes = encode(&request);
                let Decoded::Whole(frame) = decode(&bytes, bytes.len()) else { panic!("whole") };
                prop_assert_eq!(frame.size(), bytes.len());
                prop_assert_eq!(parse(&frame), Ok(request));
            }
        }
    }
}
