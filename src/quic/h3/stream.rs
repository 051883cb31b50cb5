//! Streams of the peer: each begins unknown, and its first bytes decide.

use super::capsule;
use super::error::{Fault, application_code, code};
use super::frame::{self, FrameReader, Handling, Part};
use super::request::Request;
use super::session::{Session, is_bidirectional};
use super::settings::{CONTROL_STREAM, MAX_FIELD_SECTION, MAX_SETTINGS, Settings};
use super::skipped::Skipped;
use super::varint;

/// Types of unidirectional streams: RFC 9114, section 6.2, RFC 9204, section 4.2, and
/// draft-ietf-webtrans-http3, section 4.2.
const PUSH_STREAM: u64 = 0x01;
const ENCODER_STREAM: u64 = 0x02;
const DECODER_STREAM: u64 = 0x03;
const SESSION_STREAM: u64 = 0x54;

/// State of a connection that its streams share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) session: Session,
    pub(super) skipped: Skipped,
    /// There is a control stream, an encoder stream, a decoder stream.
    pub(super) has_critical: [bool; 3],
}

#[derive(Debug)]
pub(super) enum Stream {
    /// Unidirectional, and its type is not complete.
    New(Vec<u8>),
    Control(FrameReader),
    Encoder,
    /// `continues`: the next byte belongs to the same instruction.
    Decoder {
        continues: bool,
    },
    /// Bidirectional, before the HEADERS. `is_new`: no frame has begun.
    Request {
        frames: FrameReader,
        is_new: bool,
    },
    /// The stream whose id is the session's.
    Session {
        frames: FrameReader,
        capsules: FrameReader,
    },
    /// The session's stream, behind the capsule that closes it.
    Over,
    /// Belongs to the session, and its bytes to the application.
    Content,
    /// Nothing more is read.
    Stopped,
}

impl Stream {
    pub(super) fn new(id: u64) -> Self {
        if is_bidirectional(id) {
            Self::Request { frames: FrameReader::default(), is_new: true }
        } else {
            Self::New(Vec::new())
        }
    }

    /// Takes the bytes that are not the application's.
    pub(super) fn handle_bytes(
        &mut self,
        id: u64,
        bytes: &mut &[u8],
        shared: &mut Shared,
    ) -> Result<(), Fault> {
        loop {
            let next = match self {
                Self::New(head) => begin(id, head, bytes, shared)?,
                Self::Request { frames, is_new } => request(id, frames, is_new, bytes, shared)?,
                Self::Session { frames, capsules } => session(id, frames, capsules, bytes, shared)?,
                Self::Control(frames) => return control(frames, bytes, shared),
                Self::Encoder => return encoder(bytes, shared),
                Self::Decoder { continues } => return decoder(continues, bytes, shared),
                Self::Over if !bytes.is_empty() => return Err(Fault::Stream(code::MESSAGE_ERROR)),
                Self::Stopped => {
                    *bytes = &[];
                    return Ok(());
                }
                Self::Over | Self::Content => return Ok(()),
            };
            let Some(next) = next else { return Ok(()) };
            *self = next;
        }
    }

    /// Returns the bytes that wait for more, for tests of the limit.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::New(head) => head.len(),
            Self::Control(frames) | Self::Request { frames, .. } => frames.held_bytes(),
            Self::Session { frames, capsules } => frames.held_bytes() + capsules.held_bytes(),
            _ => 0,
        }
    }

    /// Handles the end of the peer's side. `is_reset`: it may be anywhere.
    pub(super) fn handle_end(
        self,
        id: u64,
        is_reset: bool,
        shared: &mut Shared,
    ) -> Result<(), Fault> {
        match &self {
            Self::Control(_) | Self::Encoder | Self::Decoder { .. } => {
                return Err(Fault::connection(
                    code::CLOSED_CRITICAL_STREAM,
                    "critical stream ended",
                ));
            }
            Self::Request { frames, .. } | Self::Session { frames, .. }
                if !is_reset && !frames.is_between_frames() =>
            {
                return Err(Fault::connection(code::FRAME_ERROR, "stream ended inside a frame"));
            }
            Self::Request { .. } => return Err(Fault::Stream(code::REQUEST_INCOMPLETE)),
            Self::Session { .. } => shared.session.end(id, 0),
            _ => {}
        }
        Ok(())
    }
}

/// Reads the type of a unidirectional stream.
fn begin(
    id: u64,
    head: &mut Vec<u8>,
    bytes: &mut &[u8],
    shared: &mut Shared,
) -> Result<Option<Stream>, Fault> {
    loop {
        let mut held = &head[..];
        match (varint::take(&mut held), varint::take(&mut held)) {
            (Some(SESSION_STREAM), Some(session)) => {
                check_session_id(session)?;
                // A member sends all on bidirectional streams.
                shared.session.stop(id, application_code(0));
                return Ok(Some(Stream::Stopped));
            }
            (Some(SESSION_STREAM), None) | (None, _) => {}
            (Some(kind), _) => return open(id, kind, shared).map(Some),
        }
        let Some((byte, rest)) = bytes.split_first() else { return Ok(None) };
        head.push(*byte);
        *bytes = rest;
    }
}

fn open(id: u64, kind: u64, shared: &mut Shared) -> Result<Stream, Fault> {
    let (place, stream) = match kind {
        CONTROL_STREAM => (0, Stream::Control(FrameReader::default())),
        ENCODER_STREAM => (1, Stream::Encoder),
        DECODER_STREAM => (2, Stream::Decoder { continues: false }),
        PUSH_STREAM => {
            return Err(Fault::connection(code::STREAM_CREATION_ERROR, "push from a client"));
        }
        _ => {
            shared.session.stop(id, code::STREAM_CREATION_ERROR);
            return Ok(Stream::Stopped);
        }
    };
    if std::mem::replace(&mut shared.has_critical[place], true) {
        return Err(Fault::connection(code::STREAM_CREATION_ERROR, "critical stream twice"));
    }
    Ok(stream)
}

/// A session's id is the number of a bidirectional stream that the client opened.
fn check_session_id(id: u64) -> Result<(), Fault> {
    if id.is_multiple_of(4) {
        return Ok(());
    }
    Err(Fault::connection(code::ID_ERROR, "no id of a session"))
}

fn control(frames: &mut FrameReader, bytes: &mut &[u8], shared: &mut Shared) -> Result<(), Fault> {
    loop {
        let is_first = !shared.session.has_settings();
        let rule = |kind, length| control_rule(is_first, kind, length);
        let Some(part) = frames.next(bytes, &mut shared.skipped, rule)? else { return Ok(()) };
        if let Part::Whole(_, value) = part {
            shared.session.set_settings(Settings::decode(&value)?);
        }
    }
}

/// RFC 9114, section 7.2: frames of the control stream.
fn control_rule(is_first: bool, kind: u64, length: u64) -> Result<Handling, Fault> {
    match kind {
        frame::SETTINGS if is_first && length <= MAX_SETTINGS => Ok(Handling::Hold),
        frame::SETTINGS if is_first => {
            Err(Fault::connection(code::EXCESSIVE_LOAD, "SETTINGS too long"))
        }
        _ if is_first => Err(Fault::connection(code::MISSING_SETTINGS, "SETTINGS must be first")),
        frame::CANCEL_PUSH => Err(Fault::connection(code::ID_ERROR, "nothing was pushed")),
        frame::GOAWAY | frame::MAX_PUSH_ID => Ok(Handling::Skip),
        _ => skip_unknown(kind),
    }
}

fn skip_unknown(kind: u64) -> Result<Handling, Fault> {
    if frame::is_known(kind) {
        return Err(Fault::connection(code::FRAME_UNEXPECTED, "frame on a wrong stream"));
    }
    Ok(Handling::Skip)
}

/// Without a dynamic table, only one instruction is valid: set the capacity to zero.
fn encoder(bytes: &mut &[u8], shared: &mut Shared) -> Result<(), Fault> {
    const CAPACITY_ZERO: u8 = 0x20;
    shared.skipped.count(bytes.len())?;
    if std::mem::take(bytes).iter().any(|byte| *byte != CAPACITY_ZERO) {
        return Err(Fault::connection(code::QPACK_ENCODER_STREAM_ERROR, "no dynamic table"));
    }
    Ok(())
}

/// Without a dynamic table, only one instruction is valid: a stream was cancelled, `01` and an integer with
/// a prefix of six bits (RFC 9204, section 4.4.2).
fn decoder(continues: &mut bool, bytes: &mut &[u8], shared: &mut Shared) -> Result<(), Fault> {
    shared.skipped.count(bytes.len())?;
    for byte in std::mem::take(bytes) {
        *continues = match (*continues, byte) {
            (true, byte) => byte & 0x80 != 0,
            (false, 0x40..=0x7f) => *byte == 0x7f,
            _ => {
                return Err(Fault::connection(
                    code::QPACK_DECODER_STREAM_ERROR,
                    "no dynamic table",
                ));
            }
        };
    }
    Ok(())
}

fn request(
    id: u64,
    frames: &mut FrameReader,
    is_new: &mut bool,
    bytes: &mut &[u8],
    shared: &mut Shared,
) -> Result<Option<Stream>, Fault> {
    let rule = |kind, length| request_rule(std::mem::take(is_new), kind, length);
    match frames.next(bytes, &mut shared.skipped, rule)? {
        Some(Part::Left(session)) => {
            check_session_id(session)?;
            if shared.session.id() != Some(session) {
                return Err(Fault::Stream(code::BUFFERED_STREAM_REJECTED));
            }
            Ok(Some(Stream::Content))
        }
        Some(Part::Whole(_, section)) => answer(id, &section, shared).map(Some),
        Some(Part::Bytes(_)) | None => Ok(None),
    }
}

/// RFC 9114, section 4.1: HEADERS begin a request, and unknown frames are allowed anywhere.
fn request_rule(is_new: bool, kind: u64, length: u64) -> Result<Handling, Fault> {
    match kind {
        frame::SESSION_STREAM if is_new => Ok(Handling::Leave),
        frame::SESSION_STREAM => {
            Err(Fault::connection(code::FRAME_ERROR, "session inside a request"))
        }
        frame::HEADERS if length <= MAX_FIELD_SECTION => Ok(Handling::Hold),
        frame::HEADERS => Err(Fault::Stream(code::EXCESSIVE_LOAD)),
        _ => skip_unknown(kind),
    }
}

fn answer(id: u64, section: &[u8], shared: &mut Shared) -> Result<Stream, Fault> {
    match Request::decode(section)? {
        Request::Other(status) => {
            shared.session.respond(id, status, false, true);
            Ok(Stream::Stopped)
        }
        Request::Session { request, is_draft_02 } => {
            if !shared.session.begin(id, request, is_draft_02) {
                return Err(Fault::Stream(code::REQUEST_REJECTED));
            }
            Ok(Stream::Session { frames: FrameReader::default(), capsules: FrameReader::default() })
        }
    }
}

fn session(
    id: u64,
    frames: &mut FrameReader,
    capsules: &mut FrameReader,
    bytes: &mut &[u8],
    shared: &mut Shared,
) -> Result<Option<Stream>, Fault> {
    loop {
        let part = frames.next(bytes, &mut shared.skipped, session_rule)?;
        let Some(Part::Bytes(mut data)) = part else { return Ok(None) };
        while let Some(part) = capsules.next(&mut data, &mut shared.skipped, capsule::rule)? {
            let Part::Whole(_, value) = part else { continue };
            let code = capsule::close_code(&value)?;
            shared.session.end(id, code);
            let is_last = data.is_empty();
            let over = is_last.then_some(Stream::Over);
            return over.map(Some).ok_or(Fault::Stream(code::MESSAGE_ERROR));
        }
    }
}

/// RFC 9114, section 4.4: DATA alone follows a CONNECT.
fn session_rule(kind: u64, _length: u64) -> Result<Handling, Fault> {
    if kind == frame::DATA { Ok(Handling::Pass) } else { skip_unknown(kind) }
}
