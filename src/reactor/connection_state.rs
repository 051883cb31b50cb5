//! The state of a connection, as far as others than its session know it.

/// The cause of a wait. Each has its own deadline, counted from the start of the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// The rest of a handshake.
    Handshake,
    /// The first byte of a request.
    Request,
    /// The rest of a frame.
    Frame,
    /// The peer must read its replies.
    Reader,
    /// The peer must end its half.
    PeerEnd,
    /// The end of the delay of a request.
    Delay,
    /// The last entries of a member whose connection the peer has ended.
    LastEntries,
    /// The member that it carries: the chat has the deadlines.
    Member,
    /// The next event for a viewer.
    Viewer,
}

/// The kind of protocol on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProtocolKind {
    /// Its first bytes have not decided yet.
    Undecided,
    Tcrp,
    Http,
    /// The messages of a member.
    Carried,
}

/// The kind of connection that it counts as: its protocol and its wait.
pub(super) type Kind = (ProtocolKind, Waiting);
