//! Result of taking a piece of the input of a member's connection.

/// Result of taking the next piece of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "web"), expect(dead_code, reason = "some come from WebSockets alone"))]
pub(super) enum Taken {
    /// A whole message.
    Message,
    /// A sign of life that is no message.
    Alive,
    /// Something without an effect.
    Nothing,
    /// Something that ends the connection.
    End,
    /// A message over the limit, which ends the connection.
    TooLong,
}
