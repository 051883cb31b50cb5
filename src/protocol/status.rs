//! The status byte of an acknowledgement (W10).

use std::fmt;

/// The status in an acknowledgement. If several reasons for a refusal apply, W12 says which status is
/// sent: it is not the lowest number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// The request is granted.
    Success = 0,
    /// Create: another room has this name.
    RoomExists = 1,
    /// Join or resume: there is no such room, or it is hidden from the sender.
    RoomNotFound = 2,
    /// Join: the password is wrong.
    WrongPassword = 3,
    /// The room name is empty, not UTF-8, or contains characters that a name must not (W7).
    InvalidRoomName = 4,
    /// The user name is missing, not UTF-8, or contains characters that a name must not (W7).
    InvalidUserName = 5,
    /// Another member of the room has this name.
    NameTaken = 6,
    /// The room has as many members as it may have.
    RoomFull = 7,
    /// The server has as many rooms or members as it may have.
    ServerFull = 8,
    /// The request can't be parsed.
    Malformed = 9,
    /// There were too many requests from this address. A later one may work.
    RateLimited = 10,
    /// The host removed this name from the room.
    Kicked = 11,
    /// The server, or the room, takes only requests inside TLS and members on encrypted paths (E3,
    /// E9).
    EncryptionRequired = 12,
}

impl Status {
    /// The number of statuses, which are numbered from 0 without a gap.
    pub const COUNT: usize = 13;

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
        Self::EncryptionRequired,
    ];

    /// Returns the status of a byte from the wire, or `None` if it is unknown.
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
            Self::EncryptionRequired => "encryption is required here",
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
