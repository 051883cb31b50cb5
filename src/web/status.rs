//! The statuses of responses (RFC 9110, section 15).

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The connection is a WebSocket from now on.
    SwitchingProtocols,
    /// The content follows.
    Ok,
    /// The client has this version.
    NotModified,
    /// The request belongs on an encrypted connection.
    TemporaryRedirect,
    /// The head breaks the rules of HTTP.
    BadRequest,
    /// The peer, or the page that it comes from, may not have this.
    Forbidden,
    /// There is no such target.
    NotFound,
    /// The method is neither GET nor HEAD.
    MethodNotAllowed,
    /// The rest of the head did not come in time.
    RequestTimeout,
    /// A request with content.
    ContentTooLarge,
    /// The name in `Host` is none of this server's.
    MisdirectedRequest,
    /// The target is a WebSocket, and the request asks for none of version 13.
    UpgradeRequired,
    /// The head is over a limit.
    HeadTooLarge,
    /// A limit of the server is reached.
    ServiceUnavailable,
    /// A version of HTTP other than 1.0 and 1.1.
    VersionNotSupported,
}

impl Status {
    /// Returns the code and the reason, as a status line has them.
    #[must_use]
    pub fn line(self) -> &'static str {
        match self {
            Self::SwitchingProtocols => "101 Switching Protocols",
            Self::Ok => "200 OK",
            Self::NotModified => "304 Not Modified",
            Self::TemporaryRedirect => "307 Temporary Redirect",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::MisdirectedRequest => "421 Misdirected Request",
            Self::UpgradeRequired => "426 Upgrade Required",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::ServiceUnavailable => "503 Service Unavailable",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }

    /// Returns true for a code from 400 on.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        self.line().starts_with(['4', '5'])
    }

    /// Returns true if the connection ends behind the response. A browser asks for files that do not exist,
    /// such as an icon, so 404 is no reason.
    #[must_use]
    pub fn ends(self) -> bool {
        !matches!(
            self,
            Self::SwitchingProtocols
                | Self::Ok
                | Self::NotModified
                | Self::TemporaryRedirect
                | Self::NotFound
        )
    }
}
