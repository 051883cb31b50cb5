//! Frames of a WebSocket, in any pieces, beside a reader by the letter of RFC 6455.

use reactor_chat::web::websocket::{Ending, MAX_MESSAGE, Received, WebSocket, has_frame};

use super::input::{Input, pieces};

/// The result of reading a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    /// Messages, each with true if it is a text.
    messages: Vec<(bool, Vec<u8>)>,
    pongs: usize,
    /// Frames to the peer.
    answers: Vec<u8>,
    ending: Option<Ending>,
}

/// The input is the sizes of the pieces, then the stream.
pub fn websocket(data: &[u8]) {
    let mut input = Input(data);
    let cuts = input.bytes();
    let stream = input.0;
    let whole = read(stream, &[]);
    assert_eq!(read(stream, &cuts), whole, "in pieces");
    assert_eq!(Letter::read(stream), whole, "by the letter of the RFC");
}

/// Reads as a connection does: it appends each piece to the rest and removes whole frames.
fn read(stream: &[u8], cuts: &[u8]) -> Read {
    let (mut read, mut inbox, mut socket) = (Read::default(), Vec::new(), WebSocket::default());
    for piece in pieces(stream, cuts) {
        inbox.extend_from_slice(piece);
        while read.ending.is_none() && has_frame(&inbox) {
            let (size, received) = socket.read(&inbox, &mut read.answers);
            inbox.drain(..size);
            match received {
                Received::Text(text) => read.messages.push((true, text.as_bytes().to_vec())),
                Received::Binary(content) => read.messages.push((false, content.to_vec())),
                Received::Pong => read.pongs += 1,
                Received::Nothing => {}
                Received::Closed(ending) => read.ending = Some(ending),
            }
        }
        socket.rest();
        assert_eq!(socket.held_bytes() > 0, socket.is_within_message());
    }
    read
}

/// A frame, unmasked.
struct Frame {
    first: u8,
    is_masked: bool,
    content: Vec<u8>,
}

/// A reader that keeps the rules one by one.
#[derive(Default)]
struct Letter {
    read: Read,
    /// The message of which fragments have come, with true if it is a text.
    begun: Option<(bool, Vec<u8>)>,
}

impl Letter {
    fn read(mut stream: &[u8]) -> Read {
        let mut letter = Self::default();
        while letter.read.ending.is_none() {
            match parse(&mut stream) {
                Ok(Some(frame)) => letter.take(frame),
                Ok(None) => break,
                Err(code) => letter.fail(code),
            }
        }
        letter.read
    }

    fn take(&mut self, Frame { first, is_masked, content }: Frame) {
        let (is_final, kind) = (first & 0x80 != 0, first & 0x0f);
        if !is_masked || first & 0x70 != 0 {
            return self.fail(1002);
        }
        if kind < 8 {
            return self.take_data(is_final, kind, content);
        }
        if !is_final || content.len() > 125 {
            return self.fail(1002);
        }
        match kind {
            8 => self.close(&content),
            9 => self.answer(10, &content),
            _ => self.read.pongs += 1,
        }
    }

    fn take_data(&mut self, is_final: bool, kind: u8, content: Vec<u8>) {
        let (is_text, mut bytes) = match (kind, self.begun.take()) {
            (0, None) | (1 | 2, Some(_)) => return self.fail(1002),
            (0, Some(begun)) => begun,
            (kind, None) => (kind == 1, Vec::new()),
            _ => unreachable!("other kinds fail before"),
        };
        if bytes.len() + content.len() > MAX_MESSAGE {
            return self.fail(1009);
        }
        bytes.extend(content);
        let is_broken = |error: std::str::Utf8Error| is_final || error.error_len().is_some();
        if is_text && std::str::from_utf8(&bytes).is_err_and(is_broken) {
            return self.fail(1007);
        }
        match is_final {
            true => self.read.messages.push((is_text, bytes)),
            false => self.begun = Some((is_text, bytes)),
        }
    }

    fn close(&mut self, content: &[u8]) {
        match content.split_first_chunk() {
            None if !content.is_empty() => self.fail(1002),
            Some((_, reason)) if std::str::from_utf8(reason).is_err() => self.fail(1007),
            Some((code, _)) if !is_allowed(u16::from_be_bytes(*code)) => {
                self.answer(8, b"\x03\xeaProtocol violation");
                self.read.ending = Some(Ending::Peer);
            }
            _ => {
                self.answer(8, content);
                self.read.ending = Some(Ending::Peer);
            }
        }
    }

    fn answer(&mut self, kind: u8, content: &[u8]) {
        self.read.answers.extend([0x80 | kind, content.len() as u8]);
        self.read.answers.extend_from_slice(content);
    }

    fn fail(&mut self, code: u16) {
        self.answer(8, &code.to_be_bytes());
        let ending = if code == 1009 { Ending::TooLong } else { Ending::Violation };
        self.read.ending = Some(ending);
    }
}

/// Returns true for codes that a peer may send (RFC 6455, section 7.4).
fn is_allowed(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999)
}

/// Removes the frame at the beginning of a stream. `None` asks for more bytes.
fn parse(stream: &mut &[u8]) -> Result<Option<Frame>, u16> {
    let mut rest = *stream;
    let mut take = |count: usize| {
        let (taken, later) = rest.split_at_checked(count)?;
        rest = later;
        Some(taken)
    };
    let Some(&[first, second]) = take(2) else { return Ok(None) };
    let size_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(long) = take(size_bytes) else { return Ok(None) };
    let size = match size_bytes {
        0 => u64::from(second & 0x7f),
        _ => long.iter().fold(0, |size, byte| size << 8 | u64::from(*byte)),
    };
    let is_masked = second & 0x80 != 0;
    let Some(mask) = take(if is_masked { 4 } else { 0 }) else { return Ok(None) };
    if !matches!(first & 0x0f, 0..=2 | 8..=10) {
        return Err(1002);
    }
    if size > MAX_MESSAGE as u64 {
        return Err(1009);
    }
    let Some(content) = take(size as usize) else { return Ok(None) };
    let masked = content.iter().enumerate();
    let content = masked.map(|(at, byte)| byte ^ mask.get(at % 4).unwrap_or(&0)).collect();
    *stream = rest;
    Ok(Some(Frame { first, is_masked, content }))
}
