//! Requests: the extended CONNECT that opens a session (RFC 9220), and all others.

use super::error::{Fault, code};
use super::qpack;

/// A request for a session. Its texts are printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Host and port that the client looked for.
    pub authority: String,
    /// Path with query.
    pub path: String,
    /// Origin of the page. Clients that are no browsers send none.
    pub origin: Option<String>,
}

/// A valid request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// For a session.
    Session {
        request: SessionRequest,
        /// The client announces draft 2, whose answer has a field to confirm it.
        is_draft_02: bool,
    },
    /// For anything else, to be answered with this status.
    Other(u16),
}

/// Names of `:protocol`: until draft 14, and since.
const PROTOCOLS: [&str; 2] = ["webtransport", "webtransport-h3"];

/// Fields of HTTP/1.1 that make a request malformed (RFC 9114, section 4.2).
const OF_CONNECTIONS: [&[u8]; 5] =
    [b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"];

const MALFORMED: Fault = Fault::Stream(code::MESSAGE_ERROR);

#[derive(Default)]
struct Fields {
    method: Option<String>,
    protocol: Option<String>,
    scheme: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    origin: Option<String>,
    is_draft_02: bool,
    /// A regular field was read, so that no pseudo-header field may follow.
    is_regular: bool,
}

impl Request {
    /// Decodes the value of a HEADERS frame. A malformed request costs its stream, and a field section that
    /// is no QPACK costs the connection.
    pub(super) fn decode(section: &[u8]) -> Result<Self, Fault> {
        let mut fields = Fields::default();
        qpack::read_section(section, |name, value| fields.note(name, value))?;
        fields.into_request()
    }
}

impl Fields {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let is_pseudo = name.first() == Some(&b':');
        if !is_pseudo {
            self.is_regular = true;
        } else if self.is_regular {
            return Err(MALFORMED);
        }
        let place = match name {
            b":method" => &mut self.method,
            b":protocol" => &mut self.protocol,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b"origin" => &mut self.origin,
            _ if is_pseudo || !is_valid(name, value) => return Err(MALFORMED),
            _ => {
                self.is_draft_02 |= name == b"sec-webtransport-http3-draft02";
                return Ok(());
            }
        };
        let is_first = place.replace(printable(value)?).is_none();
        if is_first { Ok(()) } else { Err(MALFORMED) }
    }

    fn into_request(self) -> Result<Request, Fault> {
        let method = self.method.ok_or(MALFORMED)?;
        if let Some(protocol) = self.protocol {
            let (Some(authority), Some(path), Some(scheme)) =
                (self.authority, self.path, self.scheme)
            else {
                return Err(MALFORMED);
            };
            if method != "CONNECT" {
                return Err(MALFORMED);
            }
            if !PROTOCOLS.contains(&&*protocol) || scheme != "https" {
                return Ok(Request::Other(501));
            }
            let request = SessionRequest { authority, path, origin: self.origin };
            return Ok(Request::Session { request, is_draft_02: self.is_draft_02 });
        }
        let has_target = self.scheme.is_some() && self.path.is_some();
        if has_target == (method == "CONNECT") { Err(MALFORMED) } else { Ok(Request::Other(404)) }
    }
}

/// Checks a regular field (RFC 9114, section 4.2).
fn is_valid(name: &[u8], value: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    !name.is_empty()
        && name.iter().all(is_name)
        && !OF_CONNECTIONS.contains(&name)
        && !value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

fn printable(value: &[u8]) -> Result<String, Fault> {
    let is_valid = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(value).ok().filter(|_| is_valid);
    text.map(String::from).ok_or(MALFORMED)
}

/// Returns the HEADERS of an answer.
pub(super) fn answer(status: u16, is_draft_02: bool) -> Vec<u8> {
    let status = status.to_string();
    let mut fields = vec![(":status", status.as_str())];
    if is_draft_02 {
        fields.push(("sec-webtransport-http3-draft", "draft02"));
    }
    let mut section = Vec::new();
    qpack::put_section(&mut section, &fields);
    section
}

#[cfg(test)]
mod tests;
