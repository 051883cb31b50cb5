//! Frames of HTTP/3 (RFC 9114, section 7.1) and capsules (RFC 9297, section 3.2). Both are a type, a
//! length and a value, so one reader serves both.

use super::error::Fault;
use super::skipped::Skipped;
use super::varint;

/// Type of DATA.
pub const DATA: u64 = 0x00;
/// Type of HEADERS.
pub const HEADERS: u64 = 0x01;
/// Type of SETTINGS.
pub const SETTINGS: u64 = 0x04;
pub(super) const CANCEL_PUSH: u64 = 0x03;
pub(super) const GOAWAY: u64 = 0x07;
pub(super) const MAX_PUSH_ID: u64 = 0x0d;
/// In place of a type: the stream belongs to a session, whose id stands in place of the length.
pub const SESSION_STREAM: u64 = 0x41;

/// Returns whether RFC 9114 or draft-ietf-webtrans-http3 defines a type. Those of HTTP/2 are among them,
/// to be refused (RFC 9114, section 7.2.8).
pub(super) fn is_known(kind: u64) -> bool {
    matches!(kind, DATA..=0x09 | MAX_PUSH_ID | SESSION_STREAM)
}

/// Appends a frame or capsule.
pub fn put(out: &mut Vec<u8>, kind: u64, value: &[u8]) {
    varint::put(out, kind);
    varint::put(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// The handling of a frame, which its type and length decide.
#[derive(Debug)]
pub(super) enum Handling {
    /// The value is needed as a whole. The rule that says so limits its length.
    Hold,
    /// The value is passed on in parts.
    Pass,
    /// The value is skipped, at the cost of the budget.
    Skip,
    /// This is no frame: the reader has done its work.
    Leave,
}

/// Part of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A frame with its value.
    Whole(u64, Vec<u8>),
    /// Bytes of a value that is passed on.
    Bytes(&'a [u8]),
    /// The number behind the type with `Handling::Leave`.
    Left(u64),
}

/// Reads frames from pieces of any size. It holds a head of at most 16 bytes, or the part of a value that
/// has arrived.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    Hold {
        kind: u64,
        size: usize,
    },
    Pass {
        left: u64,
    },
    Skip {
        left: u64,
    },
}

impl FrameReader {
    /// Returns whether the input may end here.
    pub(super) fn is_between_frames(&self) -> bool {
        match self.state {
            State::Head => self.held.is_empty(),
            State::Hold { .. } => false,
            State::Pass { left } | State::Skip { left } => left == 0,
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Removes the next part from `bytes`. Returns `None` if it needs more bytes. `rule` decides on each
    /// frame by its type and length.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &mut &'a [u8],
        skipped: &mut Skipped,
        mut rule: impl FnMut(u64, u64) -> Result<Handling, Fault>,
    ) -> Result<Option<Part<'a>>, Fault> {
        loop {
            match self.state {
                State::Head => {
                    let Some((kind, length)) = self.take_head(bytes) else { return Ok(None) };
                    self.state = match rule(kind, length)? {
                        Handling::Hold => State::Hold { kind, size: length as usize },
                        Handling::Pass => State::Pass { left: length },
                        Handling::Skip => {
                            skipped.count(2)?;
                            State::Skip { left: length }
                        }
                        Handling::Leave => return Ok(Some(Part::Left(length))),
                    };
                }
                State::Hold { kind, size } => return Ok(self.take_whole(bytes, kind, size)),
                State::Pass { left: 0 } | State::Skip { left: 0 } => self.state = State::Head,
                State::Pass { .. } | State::Skip { .. } if bytes.is_empty() => return Ok(None),
                State::Pass { left } => {
                    let part = take_long(bytes, left);
                    self.state = State::Pass { left: left - part.len() as u64 };
                    return Ok(Some(Part::Bytes(part)));
                }
                State::Skip { left } => {
                    let part = take_long(bytes, left);
                    skipped.count(part.len())?;
                    self.state = State::Skip { left: left - part.len() as u64 };
                }
            }
        }
    }

    /// Takes bytes of a value that is needed as a whole. Returns `None` while it needs more.
    fn take_whole<'a>(&mut self, bytes: &mut &'a [u8], kind: u64, size: usize) -> Option<Part<'a>> {
        self.held.extend_from_slice(take(bytes, size - self.held.len()));
        if self.held.len() < size {
            return None;
        }
        self.state = State::Head;
        Some(Part::Whole(kind, std::mem::take(&mut self.held)))
    }

    /// Takes type and length, byte by byte until both are complete.
    fn take_head(&mut self, bytes: &mut &[u8]) -> Option<(u64, u64)> {
        loop {
            let mut held = &self.held[..];
            if let (Some(kind), Some(length)) = (varint::take(&mut held), varint::take(&mut held)) {
                self.held = Vec::new();
                return Some((kind, length));
            }
            self.held.push(*take(bytes, 1).first()?);
        }
    }
}

/// Removes up to `size` bytes from the front.
fn take<'a>(bytes: &mut &'a [u8], size: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(size.min(bytes.len()));
    *bytes = rest;
    taken
}

fn take_long<'a>(bytes: &mut &'a [u8], size: u64) -> &'a [u8] {
    take(bytes, usize::try_from(size).unwrap_or(usize::MAX))
}
