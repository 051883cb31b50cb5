//! The hosts under which browsers may know this server, and the pages that may speak to it (H5).
//!
//! A foreign page can let its own name lead to our address (DNS rebinding), and the browser then takes us for
//! that page's server. `Host` still has the foreign name. A browser also says in `Origin` which page makes a
//! request, where the answer could reach that page.

use crate::authority::{Authority, Host, Origin};

/// The reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The host is none of ours.
    Host,
    /// The page is none of ours.
    Origin,
}

/// The names of this server, and other pages that may use it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    names: Vec<String>,
    origins: Vec<String>,
}

impl Hosts {
    /// Creates the rules, with the names of this server, and the origins of `--allow-origin`.
    #[must_use]
    pub fn new(names: Vec<String>, origins: Vec<String>) -> Self {
        Self { names, origins }
    }

    /// Checks the host of a request, and the page that makes it. A request without a page comes from no
    /// browser, or its answer reaches no foreign page. `is_certified` tells if a name is in the
    /// certificate.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn check(
        &self,
        authority: &Authority<'_>,
        origin: Option<&str>,
        is_certified: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        self.check_host(authority.host, is_certified)?;
        match origin {
            Some(page) if !self.is_allowed(page, authority) => Err(Refusal::Origin),
            _ => Ok(()),
        }
    }

    /// Checks a session of WebTransport. Its page must come from the same host at our TCP port.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn check_session(
        &self,
        authority: &Authority<'_>,
        origin: Option<&str>,
        tcp_port: u16,
        is_certified: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        let of_page = Authority { port: Some(tcp_port), ..*authority };
        self.check(&of_page, origin, is_certified)
    }

    /// Any address will do: rebinding needs a name.
    fn check_host(
        &self,
        host: Host<'_>,
        is_certified: impl Fn(&str) -> bool,
    ) -> Result<(), Refusal> {
        match host {
            Host::Ip(_) => Ok(()),
            Host::Name(name) => {
                let is_ours = self.names.iter().any(|ours| ours.eq_ignore_ascii_case(name));
                (is_ours || is_certified(name)).then_some(()).ok_or(Refusal::Host)
            }
        }
    }

    fn is_allowed(&self, page: &str, authority: &Authority<'_>) -> bool {
        let Some(page) = Origin::parse(page) else { return false };
        let mut others = self.origins.iter().filter_map(|other| Origin::parse(other));
        page.is_at(authority) || others.any(|other| other == page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "https://chat.example.org";

    /// Returns the outcome for this host and page, on a server with the name "box".
    fn check(host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let hosts = Hosts::new(vec!["localhost".into(), "box".into()], vec![OTHER.into()]);
        let authority = Authority::parse(host).expect("a host");
        hosts.check(&authority, origin, |name| name == "certified.example")
    }

    #[test]
    fn h5_own_names_are_hosts() {
        for host in [
            "127.0.0.1:9001",
            "192.0.2.1",
            "[2001:db8::1]:9001",
            "localhost:9001",
            "LOCALHOST",
            "box:9001",
            "certified.example:9001",
        ] {
            assert_eq!(check(host, None), Ok(()), "{host}");
        }
        for host in ["evil.example:9001", "box.evil.example", "localhost.", "127.1"] {
            assert_eq!(check(host, None), Err(Refusal::Host), "{host}");
        }
    }

    #[test]
    fn h5_foreign_pages_are_refused() {
        assert_eq!(check("box:9001", Some("http://box:9001")), Ok(()));
        assert_eq!(check("box:9001", Some(OTHER)), Ok(()));
        assert_eq!(check("box:9001", Some("https://chat.example.org:443")), Ok(()));
        for origin in ["null", "", "http://box", "http://evil.example", "http://chat.example.org"] {
            assert_eq!(check("box:9001", Some(origin)), Err(Refusal::Origin), "{origin}");
        }
        let foreign = check("evil.example", Some("http://evil.example"));
        assert_eq!(foreign, Err(Refusal::Host), "as after rebinding");
    }

    #[test]
    fn h5_session_of_our_page() {
        let hosts = Hosts::new(vec!["box".into()], vec![OTHER.into()]);
        let check = |host: &str, origin| {
            let authority = Authority::parse(host).expect("a host");
            hosts.check_session(&authority, origin, 9001, |_| false)
        };
        assert_eq!(check("box:9002", Some("http://box:9001")), Ok(()));
        assert_eq!(check("box:9002", Some("https://box:9001")), Ok(()));
        assert_eq!(check("box:9002", Some(OTHER)), Ok(()));
        assert_eq!(check("box:9002", None), Ok(()), "no browser");
        for origin in ["http://box:9002", "http://box", "null", "http://localhost:9001"] {
            assert_eq!(check("box:9002", Some(origin)), Err(Refusal::Origin), "{origin}");
        }
        assert_eq!(check("evil.example:9002", None), Err(Refusal::Host));
    }
}
