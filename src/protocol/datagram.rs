//! UDP datagrams of both directions (W17, W18, W23).
//!
//! A client sends an [`Envelope`], the whole upstream datagram; in stream delivery its message part is an
//! [`Upstream`](super::stream::Upstream). With plain delivery it gets one message or notice per datagram,
//! in its [`Form`]; with stream delivery see [`stream`](super::stream).
//!
//! ```
//! use reactor_chat::protocol::Token;
//! use reactor_chat::protocol::datagram::{Named, encode_upstream, parse_named};
//!
//! let token = Token::from_bits([7; 16]);
//! let mut datagram = Vec::new();
//! encode_upstream("lobby", token, b"hello", &mut datagram);
//! // socket.send(&datagram)
//!
//! let received = b"\x03annhello";
//! let message = Named::Message { name: b"ann", message: b"hello" };
//! assert_eq!(parse_named(received), Some(message));
//! ```

use super::name::MAX_NAME;
use super::token::Token;

/// The longest datagram from a client, in bytes. The server drops a longer one, it never cuts it.
pub const MAX_UPSTREAM: usize = 4096;
/// The longest datagram to a client, in bytes.
pub const MAX_DOWNSTREAM: usize = 4094;
/// The most bytes that a name and a message may have together. It is the same in every room and for
/// every form, so that relaying a message does not depend on who is there.
pub const MAX_NAME_AND_MESSAGE: usize = 4070;

// The longest message of each form fits: `NAME: MESSAGE` and a length byte, name, message.
const _: () = assert!(MAX_NAME_AND_MESSAGE + ": ".len() <= MAX_DOWNSTREAM);

/// The form of a datagram with plain delivery, which is one message or one notice (W23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `NAME: MESSAGE` on one line; a notice is the line itself.
    Text,
    /// The size of the name in one byte, the name, the message; a notice has size 0 and no name.
    Named,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 2] = [Self::Text, Self::Named];
}

/// A client's datagram: `rl | tl | room name | token | message` (W17). The sizes `rl` and `tl` have
/// one byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The room name, unchecked.
    pub room: &'a [u8],
    /// The member's token.
    pub token: Token,
    /// The message, unchecked; empty for a keep-alive. With stream delivery, an encoded
    /// [`Upstream`](super::stream::Upstream).
    pub message: &'a [u8],
}

/// Parses a client's datagram. Returns `None` if it is cut or its sizes are not allowed.
pub fn parse(datagram: &[u8]) -> Option<Envelope<'_>> {
    let (&[room_size, token_size], rest) = datagram.split_first_chunk::<2>()?;
    if room_size == 0 || usize::from(token_size) != Token::WIRE_SIZE {
        return None;
    }
    let (room, rest) = rest.split_at_checked(usize::from(room_size))?;
    let (token, message) = rest.split_at_checked(Token::WIRE_SIZE)?;
    Some(Envelope { room, token: Token::from_wire(token)?, message })
}

/// Returns the part of a client's datagram that identifies its sender: room and token, with their
/// sizes. Returns the whole datagram if it is too short for them.
pub fn sender_key(datagram: &[u8]) -> &[u8] {
    let sizes = datagram.iter().take(2).map(|size| usize::from(*size));
    datagram.get(..2 + sizes.sum::<usize>()).unwrap_or(datagram)
}

/// Appends a client's datagram to `out`.
///
/// # Panics
/// If the room name is longer than 255 bytes.
pub fn encode_upstream(room: &str, token: Token, message: &[u8], out: &mut Vec<u8>) {
    encode_sender_key(room, &token.to_wire(), out);
    out.extend_from_slice(message);
}

/// Appends the part of a client's datagram that identifies its sender. The token may come from
/// another server of this protocol, where it has up to 255 bytes.
///
/// # Panics
/// If the room name or the token is longer than 255 bytes.
pub fn encode_sender_key(room: &str, token: &[u8], out: &mut Vec<u8>) {
    let room_size = u8::try_from(room.len()).expect("a room name of at most 255 bytes");
    let token_size = u8::try_from(token.len()).expect("a token of at most 255 bytes");
    out.extend_from_slice(&[room_size, token_size]);
    out.extend_from_slice(room.as_bytes());
    out.extend_from_slice(token);
}

/// Appends a message from the member `name` to `out`, in this form.
///
/// # Panics
/// If the form is named and the name is longer than 255 bytes. Valid names never are.
pub fn encode_message(form: Form, name: &str, message: &str, out: &mut Vec<u8>) {
    match form {
        Form::Text => {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            extend_with_one_line(message, out);
        }
        Form::Named => {
            assert!(name.len() <= MAX_NAME);
            out.push(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(message.as_bytes());
        }
    }
}

/// Appends a notice to `out`, in this form. In named delivery no member can imitate it, because a
/// name has at least one byte.
pub fn encode_notice(form: Form, text: &str, out: &mut Vec<u8>) {
    if form == Form::Named {
        out.push(0);
    }
    out.extend_from_slice(text.as_bytes());
}

/// A datagram of named delivery, as a member receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A message from a member.
    Message {
        /// The member's name.
        name: &'a [u8],
        /// The text of the message.
        message: &'a [u8],
    },
    /// A notice from the server.
    Notice(&'a [u8]),
}

/// Parses a datagram of named delivery. Returns `None` if it is cut.
pub fn parse_named(datagram: &[u8]) -> Option<Named<'_>> {
    let (&size, rest) = datagram.split_first()?;
    let (name, message) = rest.split_at_checked(usize::from(size))?;
    Some(match name {
        [] => Named::Notice(message),
        name => Named::Message { name, message },
    })
}

/// Appends a message with each line break replaced by a space. In text delivery only the beginning of
/// a line shows the speaker, so no message may begin another line.
fn extend_with_one_line(message: &str, out: &mut Vec<u8>) {
    let mut pieces = message.split(['\n', '\u{2028}', '\u{2029}']);
    // `split` always returns a first piece.
    out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        out.push(b' ');
        out.extend_from_slice(piece.as_bytes());
    }
}

/// The reason why a text is not relayed (W21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not UTF-8.
    NotUtf8,
    /// It contains control characters other than tab and newline.
    Control,
    /// It contains U+202D or U+202E, which change the order in which a text is shown.
    Bidi,
}

/// Returns the text of a message.
///
/// # Errors
/// Returns the reason why it is not relayed. Clients that decode strictly fail on bad UTF-8,
/// terminals execute control characters, and U+202D and U+202E disguise a text.
pub fn message_text(message: &[u8]) -> Result<&str, Unfit> {
    let text = str::from_utf8(message).map_err(|_| Unfit::NotUtf8)?;
    for c in text.chars() {
        match c {
            '\t' | '\n' => {}
            '\u{202D}' | '\u{202E}' => return Err(Unfit::Bidi),
            c if c.is_control() => return Err(Unfit::Control),
            _ => {}
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = Token::from_bits([0xab; 16]);

    fn upstream(room: &str, message: &str) -> Vec<u8> {
        let mut out = Vec::new();
        encode_upstream(room, TOKEN, message.as_bytes(), &mut out);
        out
    }

    #[test]
    fn w17_datagram_layout() {
        let bytes = upstream("lobby", "hi");
        assert_eq!(bytes[..2], [5, 32]);
        assert_eq!(&bytes[2..7], b"lobby");
        assert_eq!(&bytes[7..39], b"ab".repeat(16));
        assert_eq!(&bytes[39..], b"hi");
        let parsed = parse(&bytes).unwrap();
        assert_eq!((parsed.room, parsed.token, parsed.message), (&b"lobby"[..], TOKEN, &b"hi"[..]));
    }

    #[test]
    fn w17_short_datagrams_are_rejected() {
        let bytes = upstream("lobby", "");
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(parse(&bytes).unwrap().message, b"");
        let mut reserved = bytes.clone();
        reserved[0] = 0;
        assert_eq!(parse(&reserved), None);
        let mut short_token = bytes;
        short_token[1] = 31;
        assert_eq!(parse(&short_token), None);
    }

    #[test]
    fn w23_text_is_one_line() {
        let message = "a\nb\u{2028}c\u{2029}\nd\t";
        let mut text = Vec::new();
        encode_message(Form::Text, "bob", message, &mut text);
        assert_eq!(text, b"bob: a b c  d\t");
        let mut named = Vec::new();
        encode_message(Form::Named, "bob", message, &mut named);
        assert_eq!(named, [b"\x03bob", message.as_bytes()].concat());
    }

    #[test]
    fn t8_named_notice_has_no_name() {
        let mut out = Vec::new();
        encode_notice(Form::Named, "x", &mut out);
        encode_notice(Form::Text, "y", &mut out);
        assert_eq!(out, b"\0xy");
    }

    #[test]
    fn w23_named_round_trip() {
        let mut message = Vec::new();
        encode_message(Form::Named, "bob", "hi", &mut message);
        let said = Named::Message { name: b"bob", message: b"hi" };
        assert_eq!(parse_named(&message), Some(said));
        let mut notice = Vec::new();
        encode_notice(Form::Named, "bob: hi", &mut notice);
        assert_eq!(parse_named(&notice), Some(Named::Notice(b"bob: hi")));
        for cut in [&b""[..], b"\x03bo"] {
            assert_eq!(parse_named(cut), None);
        }
    }

    #[test]
    fn w21_control_characters_are_refused() {
        assert_eq!(message_text("a\tb\nc é 👋 exit".as_bytes()), Ok("a\tb\nc é 👋 exit"));
        for control in ["\0", "\r", "\x1b", "\x7f", "\u{85}", "\u{9b}"] {
            assert_eq!(message_text(control.as_bytes()), Err(Unfit::Control), "{control:?}");
        }
        for bidi in ["\u{202d}", "\u{202e}"] {
            assert_eq!(message_text(bidi.as_bytes()), Err(Unfit::Bidi));
        }
    }

    #[test]
    fn t7_invalid_utf8_is_refused() {
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xed\xa0\x80"] {
            assert_eq!(message_text(bytes), Err(Unfit::NotUtf8));
        }
    }
}
