//! The target of a request (RFC 9112, section 3.2): a host and a path.

use super::head::Head;
use super::status::Status;
use crate::authority::Authority;

/// The host that a request names, and the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) authority: Authority<'a>,
    pub(super) path: &'a str,
    /// The path, and the query behind it.
    pub(super) path_and_query: &'a str,
}

impl<'a> Target<'a> {
    /// Returns the target of a request. A client of a proxy puts a whole URL before the version, whose host
    /// then counts in place of `Host`, which must exist nevertheless.
    ///
    /// # Errors
    /// If it is none that this server serves, or there is no valid host.
    pub(super) fn of(head: &Head<'a>) -> Result<Self, Status> {
        let host = head.value("host")?.ok_or(Status::BadRequest)?;
        let (authority, path_and_query) = match head.target().split_once("://") {
            _ if head.target().starts_with('/') => (host, head.target()),
            Some((scheme, rest)) if is_http(scheme) => {
                let path = rest.find('/').unwrap_or(rest.len());
                rest.split_at(path)
            }
            _ => return Err(Status::BadRequest),
        };
        let authority = Authority::parse(authority).ok_or(Status::BadRequest)?;
        let path_and_query = if path_and_query.is_empty() { "/" } else { path_and_query };
        let path = path_and_query.split('?').next().unwrap_or_default();
        Ok(Self { authority, path, path_and_query })
    }
}

fn is_http(scheme: &str) -> bool {
    ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::head::{Decoded, decode};

    /// Returns host and path of a request.
    fn target(line: &str, fields: &str) -> Result<(String, String), Status> {
        let request = format!("GET {line} HTTP/1.1\r\n{fields}\r\n");
        let Decoded::Whole(head) = decode(request.as_bytes()) else { panic!("{request}") };
        let target = Target::of(&head)?;
        Ok((target.authority.text.into(), target.path.into()))
    }

    #[test]
    fn h4_target_has_host_and_path() {
        let found = |host: &str, path: &str| Ok((host.into(), path.into()));
        let host = "Host: box:9001\r\n";
        assert_eq!(target("/", host), found("box:9001", "/"));
        assert_eq!(target("/loop?a://b/c", host), found("box:9001", "/loop"));
        assert_eq!(target("http://other:1/loop?x", host), found("other:1", "/loop"));
        assert_eq!(target("HTTPS://other", host), found("other", "/"));
        for (line, fields) in [
            ("/", ""),
            ("/", "Host: a\r\nHost: a\r\n"),
            ("/", "Host:\r\n"),
            ("/", "Host: a/b\r\n"),
            ("/", "Host: \u{e9}\r\n"),
            ("*", host),
            ("loop", host),
            ("ftp://other/", host),
            ("http://", host),
            ("http://user@other/", host),
            ("http://other/", ""),
        ] {
            assert_eq!(target(line, fields), Err(Status::BadRequest), "{line} {fields}");
        }
    }
}
