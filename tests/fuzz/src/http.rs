//! Requests of HTTP, in any pieces: every answer is one whole response, and none follows the last one.

use std::sync::OnceLock;

use bytes::Bytes;
use reactor_chat::config::WebConfig;
use reactor_chat::web::{Decoded, Response, Server, Site, Status, Then, Visitor, decode};

use super::input::{Input, pieces};

/// Limits of H4.
const MAX_HEAD: usize = 8192;

/// A server without a loop.
struct Fake;

impl Server for Fake {
    fn is_certified(&self, name: &str) -> bool {
        name.ends_with(".example")
    }

    fn certificate_hashes(&self) -> Vec<String> {
        vec!["hash".into()]
    }

    fn figures(&mut self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn first_event(&mut self) -> Bytes {
        self.figures()
    }

    fn counters(&mut self) -> String {
        "# EOF\n".into()
    }

    fn has_space_for_viewer(&self) -> bool {
        true
    }
}

/// The input is the address of the peer, the sizes of the pieces, then the stream.
pub fn http(data: &[u8]) {
    static SITE: OnceLock<Site> = OnceLock::new();
    let site = SITE.get_or_init(|| {
        Site::new(&WebConfig::default(), vec!["localhost".into()]).expect("the pages")
    });
    let mut input = Input(data);
    let flags = input.byte();
    let visitor = Visitor {
        ip: (flags & 1 == 0)
            .then_some(if flags & 2 == 0 { [127, 0, 0, 1] } else { [192, 0, 2, 1] }.into()),
        needs_tls: flags & 4 != 0,
        quic_port: (flags & 8 == 0).then_some(9002),
    };
    let cuts = input.bytes();
    let whole = answers(site, visitor, &mut [input.0].into_iter());
    assert_eq!(answers(site, visitor, &mut pieces(input.0, &cuts)), whole, "in pieces");
    for response in &whole {
        check(response);
    }
}

/// Returns the responses to a stream, as `src/reactor/http.rs` makes them.
fn answers(
    site: &Site,
    visitor: Visitor,
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Vec<Response> {
    let (mut stream, mut responses) = (Vec::new(), Vec::new());
    loop {
        let response = match decode(&stream) {
            Decoded::Incomplete => {
                assert!(stream.len() < MAX_HEAD, "a head has an end");
                let Some(piece) = pieces.next() else { return responses };
                stream.extend_from_slice(piece);
                continue;
            }
            Decoded::Invalid(status) => {
                assert!(status.is_refusal() && status.ends());
                Response::refusal(status, status.line())
            }
            Decoded::Whole(head) => {
                let response = site.answer(&head, visitor, &mut Fake);
                let size = head.size();
                assert!((1..=MAX_HEAD).contains(&size));
                stream.drain(..size);
                response
            }
        };
        let is_last = response.then != Then::Continue;
        responses.push(response);
        if is_last {
            return responses;
        }
    }
}

/// Checks that a response has the form of one.
fn check(response: &Response) {
    let end = response.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&response.bytes[..end]).expect("UTF-8");
    let content = response.bytes.len() - end - 4;
    let mut size = None;
    for (index, line) in head.split("\r\n").enumerate() {
        assert!(!line.contains(|c: char| c.is_ascii_control()), "{line:?}");
        match index {
            0 => assert_eq!(line, format!("HTTP/1.1 {}", response.status.line())),
            _ => assert!(line.contains(": "), "{line:?}"),
        }
        if let Some(announced) = line.strip_prefix("Content-Length: ") {
            assert_eq!(size.replace(announced.parse::<usize>().expect("a number")), None);
        }
    }
    let is_refused = response.status.is_refusal() && response.status != Status::NotFound;
    assert!(!is_refused || response.then == Then::End);
    // The response to HEAD announces the size of the content, and has none.
    assert!(content == 0 || size == Some(content) || response.then == Then::Watch);
}
