//! Ids of connections, members and rooms. Modules that do not import one another share them.
//!
//! An id is a slot and a generation. A free slot is reused with the next generation, so an id that a
//! timer, a room or an event still holds from an earlier life of the slot finds nothing.

/// A slot of a table, and the value in it that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Index of the slot.
    pub slot: u32,
    /// Number of the value among all that the slot has held: see [`GENERATIONS`].
    pub generation: u32,
}

/// Limit for the generations of a slot: 30 bits, so that a slot, a generation and the kind of a
/// source fit the 64 bits of a `mio::Token`. A slot is not reused after its last generation, so no id
/// is ever used twice.
pub const GENERATIONS: u32 = 1 << 30;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Key);

        impl From<Key> for $name {
            fn from(key: Key) -> Self {
                Self(key)
            }
        }

        impl From<$name> for Key {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id!(
    /// A TCP connection.
    ConnId
);
id!(
    /// A QUIC connection.
    QuicId
);
id!(
    /// A user in a room. The datagram layer finds its route by this id.
    MemberId
);
id!(
    /// A room.
    RoomId
);
