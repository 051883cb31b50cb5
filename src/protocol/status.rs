//! The status byte of an acknowledgement.

use std::fmt;

/// What an acknowledgement says. The order in which reasons win, when there are several, is not
/// that of the numbers: see [`crate::chat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// Done.
    Success = 0,
    /// Create: the name is taken by another room.
    RoomExists = 1,
    /// Join: no such room, or none that may be seen.
    RoomNotFound = 2,
    /// Join: the password is not the room's.
    WrongPassword = 3,
    /// The room name is empty, not UTF-8, or holds what a name must not.
    InvalidRoomName = 4,
    /// The user name is missing, not UTF-8, or holds what a name must not.
    InvalidUserName = 5,
    /// Somebody in that room has this name.
    NameTaken = 6,
    /// The room's capacity is reached.
    RoomFull = 7,
    /// The server's limit of rooms or members is reached.
    ServerFull = 8,
    /// The request could not be understood.
    Malformed = 9,
    /// Too many at once from this address: later it may work.
    RateLimited = 10,
    /// The host removed this name from the room.
    Kicked = 11,
}

impl Status {
    /// How many there are: they are numbered from 0 without a gap.
    pub const COUNT: usize = 12;

    const ALL: [Self; Self::COUNT] = [
        Self::Success,
        Self::RoomExists,
        Self::RoomNotFound,
        Self::WrongPassword,
        Self::InvalidRoomName,
        Self::InvalidUserName,
        Self::NameTaken,
        Self::RoomFull,
        Self::ServerFull,
        Self::Malformed,
        Self::RateLimited,
        Self::Kicked,
    ];

    /// The status of a byte from the wire.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::RoomExists => "a room of that name exists",
            Self::RoomNotFound => "there is no room of that name",
            Self::WrongPassword => "the password is wrong",
            Self::InvalidRoomName => "the room name is not valid",
            Self::InvalidUserName => "the user name is not valid",
            Self::NameTaken => "the user name is taken in that room",
            Self::RoomFull => "the room is full",
            Self::ServerFull => "the server is full",
            Self::Malformed => "the request is malformed or unknown to the server",
            Self::RateLimited => "too many requests from this address, try again later",
            Self::Kicked => "this name was removed from that room by its host",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w12_status_bytes_are_one_to_one() {
        for byte in 0..Status::COUNT as u8 {
            assert_eq!(Status::from_byte(byte).map(|status| status as u8), Some(byte));
        }
        assert_eq!(Status::from_byte(Status::COUNT as u8), None);
    }
}
