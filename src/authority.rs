//! Hosts and ports in the fields of a request: the values of `Host` and of `Origin`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Limit for a name in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;

/// The host and the port of `Host`, or of `:authority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port, unless it is the default of the scheme.
    pub port: Option<u16>,
    /// The text that both come from. It has letters, digits and the characters `-._:[]` only.
    pub text: &'a str,
}

/// A host as a URL names it.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// An address. Browsers write IPv4 with four numbers, and IPv6 in brackets.
    Ip(IpAddr),
    /// A name of letters, digits, hyphens and underscores between dots.
    Name(&'a str),
}

impl PartialEq for Host<'_> {
    /// Compares names in any case.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(left), Self::Ip(right)) => left == right,
            (Self::Name(left), Self::Name(right)) => left.eq_ignore_ascii_case(right),
            _ => false,
        }
    }
}

impl Eq for Host<'_> {}

impl<'a> Host<'a> {
    /// Parses a host. `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(bracketed) = text.strip_prefix('[') {
            let ip: Ipv6Addr = bracketed.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Self::Ip(ip.into()));
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let is_name = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_part);
        is_name.then_some(Self::Name(text))
    }
}

impl<'a> Authority<'a> {
    /// Parses a host, and a port behind it. `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let behind_brackets = text.rfind(']').unwrap_or(0);
        let (host, port) = match text[behind_brackets..].rfind(':') {
            Some(colon) => text.split_at(behind_brackets + colon),
            None => (text, ""),
        };
        let port = match port.strip_prefix(':') {
            // A port may be empty (RFC 3986, section 3.2.3).
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host: Host::parse(host)?, port, text })
    }

    /// Returns the host as it was written, with the brackets of IPv6.
    #[must_use]
    pub fn host_text(&self) -> &'a str {
        match self.text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => self.text,
        }
    }
}

/// The value of `Origin` (RFC 6454, section 7): the scheme, host and port of the page that makes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    is_https: bool,
    /// The host of the page.
    pub host: Host<'a>,
    /// The port of the page.
    pub port: u16,
}

impl<'a> Origin<'a> {
    /// Parses an origin of HTTP. `None` for every other one, `null` included.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let Authority { host, port, .. } = Authority::parse(rest)?;
        Some(Self { is_https, host, port: port.unwrap_or(default_port(is_https)) })
    }

    /// Returns true if this is the origin of pages from there. A port that is missing is the default one of
    /// our scheme: a proxy may have ended the encryption.
    #[must_use]
    pub fn is_at(&self, authority: &Authority<'_>) -> bool {
        let port = authority.port.unwrap_or(default_port(self.is_https));
        self.host == authority.host && self.port == port
    }
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<u16>)> {
        let Authority { host, port, .. } = Authority::parse(text)?;
        let host = match host {
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => format!("name {name}"),
        };
        Some((host, port))
    }

    #[test]
    fn h5_host_and_port() {
        for (text, host, port) in [
            ("localhost", "name localhost", None),
            ("localhost:9001", "name localhost", Some(9001)),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("127.1", "name 127.1", None),
            ("[::1]", "::1", None),
            ("[::1]:9001", "::1", Some(9001)),
            ("[::ffff:192.0.2.1]:1", "::ffff:192.0.2.1", Some(1)),
            ("a-b_c.example.org:", "name a-b_c.example.org", None),
            ("xn--n8jaaaaai5bhf7as8fsfk3jnknefdde3fg11amb5gzdb4wi9bya3kc6lra", "", None),
        ] {
            let host = if host.is_empty() { format!("name {text}") } else { host.into() };
            assert_eq!(parsed(text), Some((host, port)), "{text}");
        }
    }

    #[test]
    fn h5_no_host() {
        let long = "a".repeat(MAX_NAME + 1);
        for text in [
            "",
            ":",
            ":80",
            "a b",
            "a/b",
            "user@host",
            "a:b",
            "a:70000",
            "a:+1",
            "a:-1",
            "a:1:2",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "日本",
            "a\0",
            "a\"",
            "a;b",
            "a,b",
            "a'",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn h5_host_without_its_port() {
        for (text, host) in [
            ("localhost", "localhost"),
            ("localhost:9001", "localhost"),
            ("localhost:", "localhost"),
            ("[::1]", "[::1]"),
            ("[::1]:9001", "[::1]"),
        ] {
            assert_eq!(Authority::parse(text).expect("a host").host_text(), host);
        }
    }

    #[test]
    fn h5_origin_at_its_host() {
        for (origin, host) in [
            ("http://localhost:9001", "localhost:9001"),
            ("HTTP://LocalHost:9001", "localhost:9001"),
            ("http://[::1]:9001", "[0:0::1]:9001"),
            ("http://example.org", "example.org"),
            ("http://example.org", "example.org:80"),
            ("https://example.org", "example.org"),
            ("https://example.org", "example.org:443"),
        ] {
            let (page, host) = (Origin::parse(origin), Authority::parse(host).expect("a host"));
            assert!(page.is_some_and(|page| page.is_at(&host)), "{origin}");
        }
    }

    #[test]
    fn h5_origin_elsewhere() {
        let host = Authority::parse("localhost:9001").expect("a host");
        for origin in [
            "null",
            "",
            "localhost:9001",
            "ftp://localhost:9001",
            "http://localhost",
            "http://localhost:9002",
            "http://127.0.0.1:9001",
            "http://localhost:9001/",
            "http://localhost:9001@evil.example",
            "http://localhost.evil.example:9001",
            "file://localhost:9001",
        ] {
            assert!(!Origin::parse(origin).is_some_and(|page| page.is_at(&host)), "{origin}");
        }
    }

    proptest! {
        /// A text that is taken for a host is safe in a header, in a policy and in a text.
        #[test]
        fn h5_parsed_hosts_are_plain(text in "[\\PC\0-\u{7f}]{0,40}") {
            if let Some(authority) = Authority::parse(&text) {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
                prop_assert!(authority.text.bytes().all(is_plain));
                prop_assert_eq!(Host::parse(authority.host_text()), Some(authority.host));
            }
        }

        #[test]
        fn h5_every_ip_is_a_host(ip: IpAddr, port: u16) {
            let text = std::net::SocketAddr::new(ip, port).to_string();
            let authority = Authority::parse(&text).expect("an address");
            prop_assert_eq!((authority.host, authority.port), (Host::Ip(ip), Some(port)));
        }
    }
}
