//! The ids that the siblings share: what the chat, the connections and the datagrams call one
//! another's things by without seeing them.
//!
//! An id is a slot and a generation. A slot is used again as soon as it is free; the generation is
//! not, so an id kept by a timer, a room or an event from an earlier life of the slot finds nobody.

/// A place in a table and which of its tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The place.
    pub slot: u32,
    /// Which tenant of the place: see [`GENERATIONS`].
    pub generation: u32,
}

/// Limit for the generations of a slot: 30 bits, so that a slot, a generation and the kind of a
/// source fit the 64 bits of a `mio::Token`. A slot is not used again after its last generation, so
/// that no id is ever used twice.
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
    /// A user in a room; also the row of the datagram layer's address table.
    MemberId
);
id!(
    /// A room.
    RoomId
);
