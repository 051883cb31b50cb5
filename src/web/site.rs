//! The answers to requests: what is served at which path, and to whom.

use std::io;
use std::net::IpAddr;

use bytes::Bytes;

use super::content::{data, events, not_found, page, redirect, unknown_host, webtransport};
use super::head::Head;
use super::hosts::{Hosts, Refusal};
use super::pages::{CHAT, LOOP, Page};
use super::response::{JSON, Response, ResponseHead, TEXT};
use super::status::Status;
use super::target::Target;
use super::upgrade;
use crate::config::WebConfig;
use crate::metrics::OPEN_METRICS_TYPE;
use crate::network::Network;

/// Pages and rules, made once at the start.
#[derive(Clone, Debug)]
pub struct Site {
    chat: Page,
    picture: Page,
    hosts: Hosts,
    status_from: Vec<Network>,
}

/// The peer that makes a request, and its connection.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    /// The address. `None` for a user of this machine, over a Unix socket.
    pub ip: Option<IpAddr>,
    /// True if a request in cleartext is refused on this connection.
    pub needs_tls: bool,
    /// The UDP port for WebTransport, if it is served.
    pub quic_port: Option<u16>,
}

/// The parts of the server that answers come from.
pub trait Server {
    /// Returns true if a name is in the certificate.
    fn is_certified(&self, name: &str) -> bool;
    /// Returns the hashes of the certificates that WebTransport may show, each in base64.
    fn certificate_hashes(&self) -> Vec<String>;
    /// Returns the figures of the loop as JSON. A peer that asks for them counts as a viewer for a while.
    fn figures(&mut self) -> Bytes;
    /// Returns the figures for a viewer that comes now.
    fn first_event(&mut self) -> Bytes;
    /// Returns the counters in the text format of OpenMetrics.
    fn counters(&mut self) -> String;
    /// Returns true if the server can serve one more viewer.
    fn has_space_for_viewer(&self) -> bool;
}

impl Site {
    /// Assembles the pages. `names` are those of this server. The settings have more.
    ///
    /// # Errors
    /// If a page cannot be compressed.
    pub fn new(config: &WebConfig, mut names: Vec<String>) -> io::Result<Self> {
        names.extend(config.allow_host.iter().cloned());
        Ok(Self {
            chat: Page::assemble(&CHAT)?,
            picture: Page::assemble(&LOOP)?,
            hosts: Hosts::new(names, config.allow_origin.clone()),
            status_from: config.status_from.clone(),
        })
    }

    /// Returns the rules for hosts and foreign pages.
    #[must_use]
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Answers a request.
    pub fn answer(&self, head: &Head<'_>, visitor: Visitor, server: &mut impl Server) -> Response {
        let response = match self.check(head, server) {
            Err(refusal) => refusal,
            Ok(target) if visitor.needs_tls => redirect(&target),
            Ok(target) => self.route(&target, head, visitor, server),
        };
        if head.is_head() { response.without_content() } else { response }
    }

    /// Checks everything but the path: the method, content, the host, and the page that asks.
    fn check<'a>(&self, head: &Head<'a>, server: &impl Server) -> Result<Target<'a>, Response> {
        if !head.is_read() {
            return Err(ResponseHead::of_data(Status::MethodNotAllowed, TEXT)
                .field("Allow", "GET, HEAD")
                .with(b"This server knows GET and HEAD.\n"));
        }
        if head.announces_content() {
            let why = "A request must have no content.";
            return Err(Response::refusal(Status::ContentTooLarge, why));
        }
        let bad = |status| Response::refusal(status, "No valid host, target or origin.");
        let target = Target::of(head).map_err(bad)?;
        let origin = head.value("origin").map_err(bad)?;
        let is_certified = |name: &str| server.is_certified(name);
        let checked = self.hosts.check(&target.authority, origin, is_certified);
        checked.map(|()| target).map_err(|refusal| match refusal {
            Refusal::Host => unknown_host(&target),
            Refusal::Origin => {
                let why = "Pages of that origin may not use this server: see --allow-origin.";
                Response::refusal(Status::Forbidden, why)
            }
        })
    }

    fn route(
        &self,
        target: &Target<'_>,
        head: &Head<'_>,
        visitor: Visitor,
        server: &mut impl Server,
    ) -> Response {
        let is_status =
            ["/loop", "/loop.json", "/events", "/metrics", "/healthz"].contains(&target.path);
        if is_status && !self.may_watch(head, visitor) {
            let why = "Only this machine may see this, and the networks of --status-from.";
            return Response::refusal(Status::Forbidden, why);
        }
        match target.path {
            "/" => page(head, &self.chat, target, visitor.quic_port),
            "/loop" => page(head, &self.picture, target, visitor.quic_port),
            "/loop.json" => data(head, JSON, &server.figures()),
            "/metrics" => data(head, OPEN_METRICS_TYPE, server.counters().as_bytes()),
            "/healthz" => data(head, TEXT, b"ok\n"),
            "/events" if server.has_space_for_viewer() => events(head, &server.first_event()),
            "/events" => Response::refusal(Status::ServiceUnavailable, "Too many viewers."),
            "/chat" => upgrade::accept(head),
            "/webtransport.json" => match visitor.quic_port {
                Some(port) => {
                    let hashes = server.certificate_hashes();
                    data(head, JSON, webtransport(port, &hashes).as_bytes())
                }
                None => not_found(head),
            },
            _ => not_found(head),
        }
    }

    /// Returns true for a peer that may see the figures. A proxy on this machine passes on requests of
    /// others.
    fn may_watch(&self, head: &Head<'_>, visitor: Visitor) -> bool {
        let is_here = visitor.ip.is_none_or(|ip| ip.is_loopback()) && !head.is_forwarded();
        is_here
            || visitor.ip.is_some_and(|ip| self.status_from.iter().any(|from| from.contains(ip)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::web::{Decoded, decode};

    struct Fake;

    impl Server for Fake {
        fn is_certified(&self, _: &str) -> bool {
            false
        }

        fn certificate_hashes(&self) -> Vec<String> {
            vec!["hash1".into(), "hash2".into()]
        }

        fn figures(&mut self) -> Bytes {
            Bytes::from_static(b"{\"turns\":1}")
        }

        fn first_event(&mut self) -> Bytes {
            Bytes::from_static(b"data: {}\n\n")
        }

        fn counters(&mut self) -> String {
            "# EOF\n".into()
        }

        fn has_space_for_viewer(&self) -> bool {
            false
        }
    }

    fn answer(path: &str, fields: &str, ip: Option<&str>) -> Response {
        static SITE: OnceLock<Site> = OnceLock::new();
        let site = SITE.get_or_init(|| {
            let networks = ["10.0.0.0/8", "2001:db8::/32"];
            let config = WebConfig {
                status_from: networks.map(|network| network.parse().expect("a network")).to_vec(),
                ..WebConfig::default()
            };
            Site::new(&config, vec!["box".into()]).expect("the pages")
        });
        let request = format!("GET {path} HTTP/1.1\r\nHost: box:9001\r\n{fields}\r\n");
        let Decoded::Whole(head) = decode(request.as_bytes()) else { panic!("{request}") };
        let ip = ip.map(|ip| ip.parse().expect("an address"));
        let visitor = Visitor { ip, needs_tls: false, quic_port: Some(9002) };
        site.answer(&head, visitor, &mut Fake)
    }

    #[test]
    fn h3_figures_for_whom() {
        let proxied = "X-Forwarded-For: 127.0.0.1\r\n";
        for (ip, direct, by_proxy) in [
            (None, true, false),
            (Some("127.0.0.1"), true, false),
            (Some("127.8.8.8"), true, false),
            (Some("::1"), true, false),
            (Some("10.1.2.3"), true, true),
            (Some("2001:db8:1::1"), true, true),
            (Some("11.1.2.3"), false, false),
            (Some("2001:db9::1"), false, false),
            (Some("192.168.0.1"), false, false),
            (Some("fe80::1"), false, false),
        ] {
            for path in ["/loop", "/loop.json", "/metrics", "/healthz", "/events"] {
                for (fields, allowed) in [("", direct), (proxied, by_proxy)] {
                    let is_refused = answer(path, fields, ip).status == Status::Forbidden;
                    assert_eq!(is_refused, !allowed, "{path} for {ip:?} with {fields:?}");
                }
            }
            for path in ["/", "/webtransport.json"] {
                assert_eq!(answer(path, proxied, ip).status, Status::Ok, "{path} for {ip:?}");
            }
        }
    }

    #[test]
    fn h2_contents_of_the_server() {
        let content = |path| {
            let bytes = answer(path, "", None).bytes;
            let text = String::from_utf8(bytes).expect("UTF-8");
            text.split_once("\r\n\r\n").expect("a head").1.to_string()
        };
        assert_eq!(content("/loop.json"), "{\"turns\":1}");
        assert_eq!(content("/metrics"), "# EOF\n");
        let hashes = "{\"port\":9002,\"hashes\":[\"hash1\",\"hash2\"]}";
        assert_eq!(content("/webtransport.json"), hashes);
        assert_eq!(content("/events"), "Too many viewers.\n");
    }

    /// The policy language has no IPv6 addresses. Chromium takes a port alone.
    #[test]
    fn h2_policy_for_ipv6() {
        let page = answer("http://[::1]:9001/", "", None).bytes;
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("connect-src 'self' https://*:9002; "), "{page}");
        let page = answer("http://192.0.2.1:9001/", "", None).bytes;
        let sources = "'self' ws://192.0.2.1:9001 wss://192.0.2.1:9001 https://192.0.2.1:9002; ";
        assert!(String::from_utf8_lossy(&page).contains(sources));
    }
}
