//! CLOSE_WEBTRANSPORT_SESSION, the capsule with the code and reason of a session's end
//! (draft-ietf-webtrans-http3, section 6). It travels in DATA frames of the session's stream.

use super::error::{Fault, code};
use super::frame::{self, Handling};

const CLOSE: u64 = 0x2843;
const CODE_SIZE: usize = size_of::<u32>();
/// Limit for the reason, in bytes.
const MAX_REASON: usize = 1024;

/// Appends a DATA frame with the capsule. The reason is cut to 1,024 bytes.
pub fn put_close(out: &mut Vec<u8>, code: u32, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    let value = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
    let mut capsule = Vec::new();
    frame::put(&mut capsule, CLOSE, &value);
    frame::put(out, frame::DATA, &capsule);
}

/// Decides on a capsule. All others are skipped: those of flow control say nothing for a single session,
/// and datagrams travel as QUIC datagrams.
pub(super) fn rule(kind: u64, length: u64) -> Result<Handling, Fault> {
    let valid = CODE_SIZE as u64..=(CODE_SIZE + MAX_REASON) as u64;
    match kind {
        CLOSE if valid.contains(&length) => Ok(Handling::Hold),
        CLOSE => Err(Fault::Stream(code::MESSAGE_ERROR)),
        _ => Ok(Handling::Skip),
    }
}

/// Returns the code of a held capsule.
pub(super) fn close_code(value: &[u8]) -> Result<u32, Fault> {
    let (code, reason) = value.split_first_chunk().ok_or(Fault::Stream(code::MESSAGE_ERROR))?;
    std::str::from_utf8(reason).map_err(|_| Fault::Stream(code::MESSAGE_ERROR))?;
    Ok(u32::from_be_bytes(*code))
}
