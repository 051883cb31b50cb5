//! Heads of requests (RFC 9112, section 3): their limits, and the fields that this server reads.

use httparse::{EMPTY_HEADER, Header};

use super::status::Status;

/// Limit for a head in bytes, with the empty line at its end. Browsers send about 700.
pub const MAX_HEAD: usize = 8 * 1024;

/// Limit for the fields of a head.
pub const MAX_FIELDS: usize = 64;

/// The head of a request, as it stands in the input.
#[derive(Debug)]
pub struct Head<'a> {
    method: &'a str,
    target: &'a str,
    /// The minor version of HTTP/1, 0 or 1.
    version: u8,
    fields: [Header<'a>; MAX_FIELDS],
    count: usize,
    size: usize,
}

/// Outcome of decoding the input of a connection.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// The head is not complete.
    Incomplete,
    /// A head.
    Whole(Box<Head<'a>>),
    /// The input begins with no head of this protocol, or with one that is too large.
    Invalid(Status),
}

/// Decodes the head at the start of the input.
#[must_use]
pub fn decode(input: &[u8]) -> Decoded<'_> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let within = &input[..input.len().min(MAX_HEAD)];
    let mut request = httparse::Request::new(&mut fields);
    let size = match request.parse(within) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if within.len() < MAX_HEAD => return Decoded::Incomplete,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Decoded::Invalid(Status::HeadTooLarge);
        }
        Err(httparse::Error::Version) => return Decoded::Invalid(Status::VersionNotSupported),
        Err(_) => return Decoded::Invalid(Status::BadRequest),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        // A complete head has all three.
        return Decoded::Invalid(Status::BadRequest);
    };
    let count = request.headers.len();
    Decoded::Whole(Box::new(Head { method, target, version, fields, count, size }))
}

impl<'a> Head<'a> {
    /// Returns the bytes of the head in the input.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns true for the method HEAD, whose response has no content.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Returns true for the methods that this server serves.
    #[must_use]
    pub fn is_read(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method)
    }

    /// Returns the target as it was sent.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// Returns true if content follows the head, or none of a size that is announced.
    #[must_use]
    pub fn announces_content(&self) -> bool {
        self.has("content-length") || self.has("transfer-encoding")
    }

    /// Returns true if the connection stays open behind the response (RFC 9112, section 9.3). A client of
    /// HTTP/1.0 would have to ask for that, and few do.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        self.is_1_1() && !self.lists("connection", "close")
    }

    /// Returns true for HTTP/1.1.
    #[must_use]
    pub fn is_1_1(&self) -> bool {
        self.version == 1
    }

    /// Returns true if a proxy says that it passes the request on for somebody else.
    #[must_use]
    pub fn is_forwarded(&self) -> bool {
        self.has("forwarded") || self.has("x-forwarded-for")
    }

    /// Returns true if the content of the response may be compressed with gzip (RFC 9110, section 12.5.3).
    /// A weight of zero forbids it.
    #[must_use]
    pub fn accepts_gzip(&self) -> bool {
        let weight_of = |coding: &str| {
            let found = self.items("accept-encoding").find_map(|item| {
                let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
                let is_it = name.trim().eq_ignore_ascii_case(coding);
                is_it.then(|| parameter.trim().to_ascii_lowercase())
            })?;
            Some(found.strip_prefix("q=").is_none_or(|weight| !is_zero(weight)))
        };
        weight_of("gzip").or_else(|| weight_of("*")).unwrap_or(false)
    }

    /// Returns true if the client has the version with this tag (RFC 9110, section 13.1.2). The comparison
    /// is the weak one.
    #[must_use]
    pub fn has_version(&self, etag: &str) -> bool {
        let opaque = |tag: &'a str| tag.strip_prefix("W/").unwrap_or(tag);
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        self.items("if-none-match").any(|tag| tag == "*" || opaque(tag) == etag)
    }

    /// Returns true if a field with a list has this item, in any case.
    #[must_use]
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.items(name).any(|listed| listed.eq_ignore_ascii_case(item))
    }

    /// Returns true if there is a field of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Returns the value of a field that exists once. It is `None` without the field.
    ///
    /// # Errors
    /// If there are several, or it is no text.
    pub fn value(&self, name: &str) -> Result<Option<&'a str>, Status> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                std::str::from_utf8(value).map(Some).map_err(|_| Status::BadRequest)
            }
            _ => Err(Status::BadRequest),
        }
    }

    /// Returns the items of all fields of this name. Those that are no text have none.
    fn items(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let texts = self.values(name).filter_map(|value| std::str::from_utf8(value).ok());
        texts.flat_map(|value| value.split(',')).map(str::trim)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields[..self.count].iter();
        fields.filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }
}

/// Returns true for the weight zero, which has at most three digits behind the point.
fn is_zero(weight: &str) -> bool {
    weight.starts_with('0') && weight.bytes().all(|byte| b"0.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Calls `check` with a head that has these lines of fields.
    fn with_fields<T>(fields: &str, check: impl FnOnce(&Head<'_>) -> T) -> T {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        let Decoded::Whole(head) = decode(request.as_bytes()) else { panic!("{request}") };
        assert_eq!(head.size(), request.len());
        check(&head)
    }

    #[test]
    fn h2_gzip_has_a_weight() {
        for (field, expected) in [
            ("", false),
            ("Accept-Encoding: gzip\r\n", true),
            ("accept-encoding: br\r\nAccept-Encoding: gzip ; Q=1\r\n", true),
            ("Accept-Encoding: gzip;q=0.001\r\n", true),
            ("Accept-Encoding: gzip;q=0.\r\n", false),
            ("Accept-Encoding: *;q=0, gzip\r\n", true),
            ("Accept-Encoding: *, gzip;q=0\r\n", false),
            ("Accept-Encoding: x-gzip\r\n", false),
            ("Accept-Encoding: \u{e9}\r\n", false),
        ] {
            assert_eq!(with_fields(field, |head| head.accepts_gzip()), expected, "{field}");
        }
    }

    #[test]
    fn h2_tag_is_compared_weakly() {
        let has = |field: &str| with_fields(field, |head| head.has_version("W/\"a\""));
        for field in [
            "If-None-Match: W/\"a\"\r\n",
            "If-None-Match: \"b\", \"a\"\r\n",
            "If-None-Match: *\r\n",
        ] {
            assert!(has(field), "{field}");
        }
        for field in ["", "If-None-Match: a\r\n", "If-None-Match: \"A\"\r\n", "If-Match: \"a\"\r\n"]
        {
            assert!(!has(field), "{field}");
        }
    }

    #[test]
    fn h4_field_exists_once() {
        let value = |fields: &str| {
            with_fields(fields, |head| head.value("x").map(|value| value.map(String::from)))
        };
        assert_eq!(value(""), Ok(None));
        assert_eq!(value("X:  y \r\n"), Ok(Some("y".into())));
        assert_eq!(value("X: y\r\nx: y\r\n"), Err(Status::BadRequest));
        assert_eq!(value("X: \u{e9}\r\n"), Ok(Some("\u{e9}".into())));
    }

    /// Bytes that often stand in heads, and some that must not.
    fn parts() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"GET / HTTP/1.1\r\n".to_vec()),
            Just(b"Host: a\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\0".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..20),
            (0..9000_usize).prop_map(|size| [b"X: ", &vec![b'y'; size][..], b"\r\n"].concat()),
        ];
        proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        /// No part of a head decides otherwise than the whole, so it does not matter how it is cut.
        #[test]
        fn h4_more_bytes_change_nothing(stream in parts(), cut in any::<prop::sample::Index>()) {
            let part = &stream[..cut.index(stream.len() + 1)];
            match (decode(part), decode(&stream)) {
                (Decoded::Incomplete, _) => prop_assert!(part.len() < MAX_HEAD),
                (Decoded::Whole(head), Decoded::Whole(whole)) => {
                    prop_assert_eq!(head.size(), whole.size());
                    prop_assert!((1..=part.len().min(MAX_HEAD)).contains(&head.size()));
                }
                (Decoded::Invalid(one), Decoded::Invalid(other)) => prop_assert_eq!(one, other),
                (one, other) => prop_assert!(false, "{one:?} then {other:?}"),
            }
        }
    }
}
