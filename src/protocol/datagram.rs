//! The UDP datagrams: what a member sends, what a member gets.

use super::name::MAX_NAME;
use super::token::Token;

/// The longest datagram from a client, in bytes. A longer one is dropped, never cut.
pub const MAX_UPSTREAM: usize = 4096;
/// The longest datagram to a client, in bytes.
pub const MAX_DOWNSTREAM: usize = 4094;
/// The most bytes that a name and a message may have together. In every room the same, so that
/// whether a message is relayed does not hang on who is there to hear it.
pub const MAX_NAME_AND_MESSAGE: usize = 4070;

// The longest message of each form fits: `NAME: MESSAGE` and a length byte, name, message.
const _: () = assert!(MAX_NAME_AND_MESSAGE + ": ".len() <= MAX_DOWNSTREAM);

/// The form of a datagram that is one message or one notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `NAME: MESSAGE`, a notice as it is.
    Text,
    /// The name's length in one byte, the name, the message; a notice has length 0 and no name.
    Named,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 2] = [Self::Text, Self::Named];
}

/// A client's datagram: `rl | tl | room name | token | message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The room name, not checked yet.
    pub room: &'a [u8],
    /// The member's token.
    pub token: Token,
    /// The message, not checked yet; empty for a keep-alive.
    pub message: &'a [u8],
}

/// Makes sense of a datagram; `None` if there is no sense in it.
pub fn parse(datagram: &[u8]) -> Option<Envelope<'_>> {
    let (&[room_size, token_size], rest) = datagram.split_first_chunk::<2>()?;
    if room_size == 0 || usize::from(token_size) != Token::WIRE_SIZE {
        return None;
    }
    let (room, rest) = rest.split_at_checked(usize::from(room_size))?;
    let (token, message) = rest.split_at_checked(Token::WIRE_SIZE)?;
    Some(Envelope { room, token: Token::from_wire(token)?, message })
}

/// The part of a client's datagram that says whose it is: room and token, with their sizes. All of it
/// where there is no such part.
pub fn sender_key(datagram: &[u8]) -> &[u8] {
    let sizes = datagram.iter().take(2).map(|size| usize::from(*size));
    datagram.get(..2 + sizes.sum::<usize>()).unwrap_or(datagram)
}

/// Encodes a client's datagram behind what `out` holds.
///
/// # Panics
/// If the room name is longer than 255 bytes.
pub fn encode_upstream(room: &str, token: Token, message: &[u8], out: &mut Vec<u8>) {
    encode_sender_key(room, &token.to_wire(), out);
    out.extend_from_slice(message);
}

/// Encodes the part of a client's datagram that says whose it is. The token may be of another
/// server of the family, where it has up to 255 bytes.
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

/// Encodes a message in a form behind what `out` holds.
///
/// # Panics
/// If the name is longer than 255 bytes: every name is checked at the door.
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

/// Encodes a notice in a form behind what `out` holds. In named delivery no member
/// can imitate one: a name has at least one byte.
pub fn encode_notice(form: Form, text: &str, out: &mut Vec<u8>) {
    if form == Form::Named {
        out.push(0);
    }
    out.extend_from_slice(text.as_bytes());
}

/// A datagram of named delivery, as the member that gets it reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A member said this.
    Message {
        /// Who.
        name: &'a [u8],
        /// What.
        message: &'a [u8],
    },
    /// The server said this.
    Notice(&'a [u8]),
}

/// Makes sense of a datagram of named delivery; `None` if there is no sense in it.
pub fn parse_named(datagram: &[u8]) -> Option<Named<'_>> {
    let (&size, rest) = datagram.split_first()?;
    let (name, message) = rest.split_at_checked(usize::from(size))?;
    Some(match name {
        [] => Named::Notice(message),
        name => Named::Message { name, message },
    })
}

/// In text delivery a line is all that tells one speaker from the next, so nobody may start one:
/// whatever breaks lines goes out as a space.
fn extend_with_one_line(message: &str, out: &mut Vec<u8>) {
    let mut pieces = message.split(['\n', '\u{2028}', '\u{2029}']);
    // `split` always gives a first piece.
    out.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        out.push(b' ');
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Why a message is not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not UTF-8.
    NotUtf8,
    /// It holds control characters other than tab and newline.
    Control,
    /// It holds characters that turn the order of what is shown.
    Bidi,
}

/// The text of a message.
///
/// # Errors
/// Why it is not relayed. Clients that decode strictly die of bad UTF-8, terminals obey control
/// characters, and U+202D and U+202E show a text in another order than it was written.
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
        for senseless in [&b""[..], b"\x03bo"] {
            assert_eq!(parse_named(senseless), None);
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
