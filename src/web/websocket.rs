//! A WebSocket (RFC 6455) without I/O: frames in, messages out. The handshake is in `upgrade.rs`.
//!
//! tungstenite's context keeps the rules: masks, fragments, UTF-8, pings and closes. It gets one whole
//! frame at a time. So an incomplete frame waits in the inbox of its connection, where limits and
//! deadlines see it, and an idle connection has neither context nor buffer.
//!
//! The way out needs no context: the server's frames are neither masked nor fragmented.

#[cfg(test)]
mod tests;

use std::io::{self, Cursor, ErrorKind, Read, Write};

use bytes::Bytes;
use tungstenite::error::Error;
use tungstenite::protocol::frame::coding::{self, Control, Data, OpCode};
use tungstenite::protocol::frame::{FrameHeader, Utf8Bytes};
use tungstenite::protocol::{Message, Role, WebSocketConfig, WebSocketContext};

/// The largest message and the largest frame from a client, in bytes: those of a unit (C1).
pub const MAX_MESSAGE: usize = crate::protocol::carried::MAX_UP;

/// Bytes that the context reads at once, and allocates when it begins to read. Most messages are shorter.
const READ_BUFFER: usize = 512;

/// Limit for the answers of the context that wait. Each is taken at once, and a control frame has at most
/// 125 bytes (RFC 6455, section 5.5).
const WRITE_BUFFER: usize = 256;

/// Bytes that a message holds of which fragments have come, at most: they grow by doubling, and so does the
/// buffer of the last frame.
const UNFINISHED: usize = 4 * MAX_MESSAGE;

/// Result of reading one frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// The peer is there: it has answered a ping.
    Pong,
    /// A frame that is done, such as a ping, or the fragment of a message.
    Nothing,
    /// The peer closes, or has broken a rule. A close frame is among the answers, and nothing may
    /// follow it.
    Closed(Ending),
}

/// Why no more frames are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer has closed.
    Peer,
    /// The peer has sent too large a frame or message.
    TooLong,
    /// The peer has broken another rule.
    Violation,
}

/// The reason of a close frame (RFC 6455, section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The server stops, or the time of an idle connection is over.
    pub const GOING_AWAY: Self = Self(1001);
    /// A message of a kind that is not accepted now.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A message was not complete in time.
    pub const POLICY: Self = Self(1008);
    /// Another connection needs the place of this one, or its memory.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
}

/// The state of a WebSocket: nothing, unless a message is being read.
#[derive(Debug, Default)]
pub struct WebSocket {
    context: Option<Box<WebSocketContext>>,
    /// True if fragments of a message have come, and its last one has not.
    is_within_message: bool,
}

impl WebSocket {
    /// Returns true if fragments of a message have come, and its last one has not.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        self.is_within_message
    }

    /// Returns the bytes of memory that it may hold.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        if self.context.is_some() { UNFINISHED } else { 0 }
    }

    /// Frees what no unfinished message needs.
    pub fn rest(&mut self) {
        if !self.is_within_message {
            self.context = None;
        }
    }

    /// Reads the frame at the beginning of the input, for which [`has_frame`] is true. Appends the answers
    /// to it, which are to be sent. Returns the number of bytes that it took.
    pub fn read(&mut self, input: &[u8], answers: &mut Vec<u8>) -> (usize, Received) {
        let size = size_of_frame(input).unwrap_or(input.len());
        let mut stream = Exchange { input: &input[..size], output: answers };
        let context = self.context.get_or_insert_with(|| Box::new(new_context()));
        let outcome = context.read(&mut stream);
        let received = match outcome {
            Ok(Message::Text(text)) => Received::Text(text),
            Ok(Message::Binary(content)) => Received::Binary(content),
            Ok(Message::Pong(_)) => Received::Pong,
            Ok(Message::Ping(_) | Message::Frame(_)) => {
                // Writing into a Vec cannot fail, and its limit is more than one answer.
                let _ = context.flush(&mut stream);
                Received::Nothing
            }
            Ok(Message::Close(_)) => {
                // As above. The error says that both sides have closed.
                let _ = context.flush(&mut stream);
                Received::Closed(Ending::Peer)
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.is_within_message = true;
                return (size, Received::Nothing);
            }
            Err(error) => {
                log::debug!("WebSocket: {error}");
                let (code, ending) = violation(&error);
                close(CloseCode(code.into()), answers);
                Received::Closed(ending)
            }
        };
        if matches!(received, Received::Text(_) | Received::Binary(_)) {
            self.is_within_message = false;
        }
        (size, received)
    }
}

/// Returns true if the input begins with a whole frame, or with one that is not allowed.
#[must_use]
pub fn has_frame(input: &[u8]) -> bool {
    size_of_frame(input).is_some()
}

/// Returns the size of the frame at the beginning of the input. Of one that is too large or has an
/// unknown kind, this is the whole input: the context says what is wrong. `None` asks for more input.
fn size_of_frame(input: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(input);
    match FrameHeader::parse(&mut cursor) {
        Ok(None) => None,
        Ok(Some((_, content))) if content <= MAX_MESSAGE as u64 => {
            let size = cursor.position() as usize + content as usize;
            (size <= input.len()).then_some(size)
        }
        Ok(Some(_)) | Err(_) => Some(input.len()),
    }
}

fn new_context() -> WebSocketContext {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .accept_unmasked_frames(false);
    WebSocketContext::new(Role::Server, Some(config))
}

/// Returns the reason of the close frame for a violation (RFC 6455, section 7.4.1).
fn violation(error: &Error) -> (coding::CloseCode, Ending) {
    match error {
        Error::Capacity(_) => (coding::CloseCode::Size, Ending::TooLong),
        Error::Utf8(_) => (coding::CloseCode::Invalid, Ending::Violation),
        _ => (coding::CloseCode::Protocol, Ending::Violation),
    }
}

/// Returns the size of the frame of a message with this content, in bytes.
#[must_use]
pub fn framed_size(content: usize) -> usize {
    header(OpCode::Data(Data::Binary)).len(content as u64) + content
}

/// Appends the header of a binary message. Its content is to follow.
pub fn begin_binary(content: usize, out: &mut Vec<u8>) {
    write_header(OpCode::Data(Data::Binary), content, out);
}

/// Appends a text message.
pub fn text(content: &[u8], out: &mut Vec<u8>) {
    write_header(OpCode::Data(Data::Text), content.len(), out);
    out.extend_from_slice(content);
}

/// Appends a ping without content.
pub fn ping(out: &mut Vec<u8>) {
    write_header(OpCode::Control(Control::Ping), 0, out);
}

/// Appends a close frame. Nothing may follow it.
pub fn close(code: CloseCode, out: &mut Vec<u8>) {
    write_header(OpCode::Control(Control::Close), size_of::<u16>(), out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

fn write_header(kind: OpCode, content: usize, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail.
    let _ = header(kind).format(content as u64, out);
}

fn header(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

/// The stream of the context: one frame to read, and space for the answers to it.
struct Exchange<'a> {
    input: &'a [u8],
    output: &'a mut Vec<u8>,
}

impl Read for Exchange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A read of 0 bytes would be the end of the stream.
        if self.input.is_empty() {
            Err(ErrorKind::WouldBlock.into())
        } else {
            self.input.read(buffer)
        }
    }
}

impl Write for Exchange<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
