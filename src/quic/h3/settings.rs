//! SETTINGS of both sides (RFC 9114, section 7.2.4). Each draft of WebTransport over HTTP/3 has a setting
//! of its own, and a browser looks for the one that it knows.

use std::collections::BTreeSet;

use super::error::{Fault, code};
use super::frame;
use super::varint;

/// Type of the control stream, which begins with SETTINGS (RFC 9114, section 6.2.1).
pub const CONTROL_STREAM: u64 = 0x00;

/// Limit for a field section, both encoded and decoded (RFC 9114, section 4.2.2). A browser's request for
/// a session takes a third of it.
pub const MAX_FIELD_SECTION: u64 = 2048;

/// Limit for the peer's SETTINGS, which have 20 to 60 bytes.
pub(super) const MAX_SETTINGS: u64 = 512;

const FIELD_SECTION_SIZE: u64 = 0x06;
const ENABLE_CONNECT_PROTOCOL: u64 = 0x08;
/// RFC 9297, section 5.1.
const DATAGRAM: u64 = 0x33;
/// Draft 4 of the same.
const DATAGRAM_DRAFT_04: u64 = 0xff_d277;
/// WebTransport until draft 6, in Chromium.
const ENABLE_WEBTRANSPORT: u64 = 0x2b60_3742;
/// WebTransport in drafts 7 to 12.
const MAX_SESSIONS_DRAFT_07: u64 = 0xc671_706a;
/// WebTransport in drafts 13 and 14, in Safari.
const MAX_SESSIONS: u64 = 0x14e9_cd29;
/// WebTransport since draft 15.
const WEBTRANSPORT_ENABLED: u64 = 0x2c7c_f000;

/// SETTINGS of HTTP/2, which are errors in HTTP/3 (RFC 9114, section 7.2.4.1).
const RESERVED: std::ops::RangeInclusive<u64> = 0x02..=0x05;

/// One session per connection needs no flow control of its own, so the settings for that stay at zero.
const OURS: [(u64, u64); 8] = [
    (FIELD_SECTION_SIZE, MAX_FIELD_SECTION),
    (ENABLE_CONNECT_PROTOCOL, 1),
    (DATAGRAM, 1),
    (DATAGRAM_DRAFT_04, 1),
    (ENABLE_WEBTRANSPORT, 1),
    (MAX_SESSIONS_DRAFT_07, 1),
    (MAX_SESSIONS, 1),
    (WEBTRANSPORT_ENABLED, 1),
];

/// Returns the first bytes of a control stream. A client sends the same ones.
#[must_use]
pub fn control_stream() -> Vec<u8> {
    let mut settings = Vec::new();
    for (id, value) in OURS {
        varint::put(&mut settings, id);
        varint::put(&mut settings, value);
    }
    let mut stream = Vec::new();
    varint::put(&mut stream, CONTROL_STREAM);
    frame::put(&mut stream, frame::SETTINGS, &settings);
    stream
}

/// The peer's SETTINGS that we need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    /// It takes HTTP datagrams, without which there is no WebTransport.
    pub(super) has_datagrams: bool,
    /// It knows WebTransport by the setting of the early drafts.
    pub(super) is_early_draft: bool,
}

impl Settings {
    pub(super) fn decode(mut value: &[u8]) -> Result<Self, Fault> {
        let mut settings = Self::default();
        let mut seen = BTreeSet::new();
        while !value.is_empty() {
            let (Some(id), Some(number)) = (varint::take(&mut value), varint::take(&mut value))
            else {
                return Err(Fault::connection(code::FRAME_ERROR, "incomplete setting"));
            };
            if !seen.insert(id) || RESERVED.contains(&id) {
                return Err(Fault::connection(code::SETTINGS_ERROR, "setting twice, or of HTTP/2"));
            }
            settings.note(id, number)?;
        }
        Ok(settings)
    }

    fn note(&mut self, id: u64, number: u64) -> Result<(), Fault> {
        match (id, number) {
            (DATAGRAM | ENABLE_CONNECT_PROTOCOL, 2..) => {
                return Err(Fault::connection(code::SETTINGS_ERROR, "neither zero nor one"));
            }
            (DATAGRAM | DATAGRAM_DRAFT_04, 1) => self.has_datagrams = true,
            (ENABLE_WEBTRANSPORT, 1) => self.is_early_draft = true,
            _ => {}
        }
        Ok(())
    }
}
