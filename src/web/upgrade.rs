//! The opening handshake of a WebSocket (RFC 6455, section 4.2).

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::head::Head;
use super::response::{Response, ResponseHead, TEXT, Then};
use super::status::Status;

/// The text that is hashed behind the key (RFC 6455, section 1.3). The hash only shows that the server knows
/// the protocol.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of a key.
const KEY_SIZE: usize = 16;

/// Answers the request for a WebSocket.
pub(super) fn accept(head: &Head<'_>) -> Response {
    let is_upgrade = head.lists("upgrade", "websocket") && head.lists("connection", "upgrade");
    let is_version = matches!(head.value("sec-websocket-version"), Ok(Some("13")));
    if head.is_head() || !head.is_1_1() || !is_upgrade || !is_version {
        return ResponseHead::of_data(Status::UpgradeRequired, TEXT)
            .field("Upgrade", "websocket")
            .field("Sec-WebSocket-Version", "13")
            .with(b"This is a WebSocket of version 13.\n");
    }
    let Some(key) = key(head) else {
        return Response::refusal(Status::BadRequest, "Sec-WebSocket-Key is not 16 bytes.");
    };
    ResponseHead::new(Status::SwitchingProtocols)
        .field("Upgrade", "websocket")
        .field("Connection", "Upgrade")
        .field("Sec-WebSocket-Accept", &accept_key(key))
        .before(Then::Upgrade)
}

fn key<'a>(head: &Head<'a>) -> Option<&'a str> {
    let key = head.value("sec-websocket-key").ok()??;
    let bytes = BASE64_STANDARD.decode(key).ok()?;
    (bytes.len() == KEY_SIZE).then_some(key)
}

fn accept_key(key: &str) -> String {
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h7_key_of_the_rfc() {
        let accepted = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "RFC 6455, section 1.3");
    }
}
