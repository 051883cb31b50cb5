//! The contents of answers.

use super::head::Head;
use super::pages::Page;
use super::response::{Response, ResponseHead, TEXT, Then};
use super::status::Status;
use super::target::Target;
use crate::authority::Host;

/// Returns a page, or only its tag if the client has it.
pub(super) fn page(
    head: &Head<'_>,
    page: &Page,
    target: &Target<'_>,
    quic_port: Option<u16>,
) -> Response {
    let has_it = head.has_version(&page.etag);
    let response = ResponseHead::new(if has_it { Status::NotModified } else { Status::Ok })
        .field("Content-Type", "text/html; charset=utf-8")
        .field("ETag", &page.etag)
        .field("Cache-Control", "no-cache")
        .field("Vary", "Accept-Encoding")
        .field("Content-Security-Policy", &policy(page, target, quic_port))
        .ending(!head.keeps_alive());
    let (response, content) = match head.accepts_gzip() {
        _ if has_it => (response, &[][..]),
        true => (response.field("Content-Encoding", "gzip"), &page.gzip[..]),
        false => (response, &page.html[..]),
    };
    // A copy of a page costs far more than a head.
    match head.is_head() {
        true => response.announcing(content.len()),
        false => response.with(content),
    }
}

/// Returns the policy of a page: it runs and shows what is in it, and connects to this server alone.
fn policy(page: &Page, target: &Target<'_>, quic_port: Option<u16>) -> String {
    let Page { script_hash, style_hash, .. } = page;
    let connections = connections(target, quic_port);
    format!(
        "default-src 'none'; script-src {script_hash}; style-src {style_hash}; \
         img-src 'self' data: blob:; connect-src 'self'{connections}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

/// Returns the sources for WebSocket and WebTransport. Some browsers do not count a WebSocket as `'self'`. A policy
/// cannot name an IPv6 address (CSP Level 3, section 2.3.1), so the port alone is named then.
fn connections(target: &Target<'_>, quic_port: Option<u16>) -> String {
    let authority = target.authority;
    let (sockets, host) = match authority.host {
        Host::Ip(ip) if ip.is_ipv6() => (String::new(), "*"),
        _ => {
            let text = authority.text;
            (format!(" ws://{text} wss://{text}"), authority.host_text())
        }
    };
    let quic = quic_port.map(|port| format!(" https://{host}:{port}"));
    sockets + &quic.unwrap_or_default()
}

/// Returns data that changes with every request.
pub(super) fn data(head: &Head<'_>, content_type: &str, content: &[u8]) -> Response {
    ResponseHead::of_data(Status::Ok, content_type).ending(!head.keeps_alive()).with(content)
}

/// Returns the answer for a path that does not exist.
pub(super) fn not_found(head: &Head<'_>) -> Response {
    ResponseHead::of_data(Status::NotFound, TEXT)
        .ending(!head.keeps_alive())
        .with(b"There is nothing here.\n")
}

/// Sends the client to the same path inside TLS, which the same port serves.
pub(super) fn redirect(target: &Target<'_>) -> Response {
    let location = format!("https://{}{}", target.authority.text, target.path_and_query);
    ResponseHead::of_data(Status::TemporaryRedirect, TEXT)
        .field("Location", &location)
        .ending(true)
        .with(b"This server requires encryption.\n")
}

/// Begins the events of a viewer with this one (HTML, section 9.2). They end with the connection.
pub(super) fn events(head: &Head<'_>, figures: &[u8]) -> Response {
    let response =
        ResponseHead::of_data(Status::Ok, "text/event-stream").field("Connection", "close");
    if head.is_head() {
        return response.before(Then::End);
    }
    let mut response = response.before(Then::Watch);
    response.bytes.extend_from_slice(&event(figures));
    response
}

/// Returns a line of figures as an event.
#[must_use]
pub fn event(figures: &[u8]) -> Vec<u8> {
    [b"data: ", figures, b"\n\n"].concat()
}

/// Refuses a name that is not ours, and says which option to add.
pub(super) fn unknown_host(target: &Target<'_>) -> Response {
    let name = target.authority.host_text();
    let why = format!(
        "This server does not know the name {name}. If it is the name of this server, start it with \
         --allow-host {name}"
    );
    Response::refusal(Status::MisdirectedRequest, &why)
}

/// Returns the port of WebTransport and the hashes of its certificates, as JSON. Base64 needs no escapes.
pub(super) fn webtransport(port: u16, hashes: &[String]) -> String {
    let hashes: Vec<String> = hashes.iter().map(|hash| format!("\"{hash}\"")).collect();
    format!("{{\"port\":{port},\"hashes\":[{}]}}", hashes.join(","))
}
