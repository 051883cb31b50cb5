//! A client's end of a WebSocket (RFC 6455): the handshake, requests as text, and frames.

use std::io;

use reactor_chat::protocol::Token;
use reactor_chat::protocol::reply::Admission;

/// The bit of the last frame of a message, with the kinds of messages.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
/// The bit of a masked frame.
const MASKED: u8 = 0x80;
/// In place of a size: two bytes follow that have it.
const LONG: u8 = 126;
/// A mask that changes nothing. The server applies it as any other.
const MASK: [u8; 4] = [0; 4];

/// The request for a WebSocket. The bench does not check the answer to the key.
const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Version: 13\r\n\r\n";

/// Returns the handshake, and behind it a request to enter a room: `operation` is "create" or "join",
/// and `keys` are those of section 1.
pub fn entry(operation: &str, room: &str, keys: &str) -> Vec<u8> {
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    let request = format!(r#"{{"operation":"{operation}","room":"{room}",{keys}}}"#);
    encode(TEXT, request.as_bytes(), &mut bytes);
    bytes
}

/// Appends a message.
pub fn encode_message(content: &[u8], out: &mut Vec<u8>) {
    encode(BINARY, content, out);
}

fn encode(first: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match u8::try_from(content.len()).ok().filter(|size| *size < LONG) {
        Some(size) => out.push(MASKED | size),
        None => {
            let size = u16::try_from(content.len()).expect("at most 64 KiB");
            out.push(MASKED | LONG);
            out.extend(size.to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend_from_slice(content);
}

/// A frame of the server at the beginning of some input.
pub struct Frame<'a> {
    first: u8,
    pub content: &'a [u8],
    /// Bytes of the input that it took.
    pub size: usize,
}

impl Frame<'_> {
    /// Returns true for a binary message.
    pub fn is_message(&self) -> bool {
        self.first == BINARY
    }
}

/// Returns the frame at the beginning of the input, or `None` if it is not whole.
pub fn decode(input: &[u8]) -> Option<Frame<'_>> {
    let (&[first, size], rest) = input.split_first_chunk()?;
    let (size, rest) = match size {
        LONG => {
            let (size, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*size)), rest)
        }
        size => (usize::from(size), rest),
    };
    let content = rest.get(..size)?;
    Some(Frame { first, content, size: input.len() - rest.len() + size })
}

/// Returns the admission in the answers to [`entry`], and the number of bytes that they took. `None` asks
/// for more bytes.
///
/// # Errors
/// If the server refuses one of them.
pub fn admission(input: &[u8]) -> io::Result<Option<(Admission, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = input.windows(END.len()).position(|bytes| bytes == END) else {
        return Ok(None);
    };
    let head = end + END.len();
    if !input.starts_with(b"HTTP/1.1 101 ") {
        return Err(refusal(&input[..head]));
    }
    let Some(Frame { content, size, .. }) = decode(&input[head..]) else { return Ok(None) };
    let admission = Admission::parse(content).or_else(|| plain(content));
    let admission = admission.ok_or_else(|| refusal(content))?;
    Ok(Some((admission, head + size)))
}

/// Returns the admission in a reply that has a token and no more.
fn plain(reply: &[u8]) -> Option<Admission> {
    let reply: serde_json::Value = serde_json::from_slice(reply).ok()?;
    let token = Token::from_wire(reply.get("token")?.as_str()?.as_bytes())?;
    Some(Admission::Plain { token, seal: None })
}

fn refusal(answer: &[u8]) -> io::Error {
    let answer = String::from_utf8_lossy(answer);
    io::Error::other(format!("the server answers {answer:?}"))
}
