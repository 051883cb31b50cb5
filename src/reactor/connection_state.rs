//! The state of a connection, as far as others than its session know it.

/// Defines an enum whose values have names in the figures, so that none can be without a name.
macro_rules! named {
    ($(#[$of_type:meta])* $name:ident { $($(#[$of_value:meta])* $value:ident: $text:literal,)* }) => {
        $(#[$of_type])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name {
            $($(#[$of_value])* $value,)*
        }

        #[cfg(feature = "web")]
        impl $name {
            /// The names of all values, in their order.
            pub(super) const NAMES: [&str; [$($text),*].len()] = [$($text),*];
        }
    };
}

named! {
    /// The cause of a wait. Each has its own deadline, counted from the start of the wait.
    Waiting {
        /// The rest of a handshake.
        Handshake: "handshake",
        /// The first byte of a request.
        Request: "idle",
        /// The rest of a frame.
        Frame: "in_request",
        /// The peer must read its replies.
        Reader: "not_reading",
        /// The peer must end its half.
        PeerEnd: "ending",
        /// The end of the delay of a request.
        Delay: "delayed",
        /// The last entries of a member whose connection the peer has ended.
        LastEntries: "last_entries",
        /// The member that it carries: the chat has the deadlines, besides those of pings.
        Member: "member",
        /// The next event for a viewer.
        Viewer: "viewer",
    }
}

named! {
    /// The kind of protocol on a connection.
    ProtocolKind {
        /// Its first bytes have not decided yet.
        Undecided: "undecided",
        /// TCRP.
        Tcrp: "tcrp",
        /// HTTP, or requests on a WebSocket.
        Http: "http",
        /// The messages of a member.
        Carried: "carried",
    }
}

/// The kind of connection that it counts as: its protocol and its wait.
pub(super) type Kind = (ProtocolKind, Waiting);
