//! Warnings about a peer: a limit that it has reached, or a problem that an operator should know.
//!
//! The lines are stable, so that programs such as fail2ban can match them. They contain an address
//! and a count, and nothing that a peer has sent.

use crate::address::PeerAddr;

/// An act of a peer, or a limit that it has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// It gave a wrong password.
    WrongPassword,
    /// It has tried too many passwords and must wait.
    WrongPasswords,
    /// Too many wrong passwords for one room. The peer's password is checked late, or not at all.
    RoomPasswords,
    /// Rooms in all.
    Rooms,
    /// Rooms created from one IP.
    RoomsIp,
    /// Members in all.
    Members,
    /// Members of one IP.
    MembersIp,
    /// Members of one room.
    RoomMembers,
    /// Members of one IP without a proved address.
    Unproved,
    /// Messages of a member.
    Rate,
    /// Bytes that a member's messages cost.
    Fanout,
    /// The backlog of one room.
    RoomBacklog,
    /// The backlog of all rooms.
    BacklogMemory,
    /// History for the members of one subnet.
    HistoryIp,
    /// Members in all whose messages travel on connections.
    Carried,
    /// Replies to a stream member.
    Answers,
    /// Connections in all.
    Connections,
    /// Connections of one IP. A user of Unix sockets counts as one (U3).
    ConnectionsIp,
    /// The payload of a request.
    Payload,
    /// Memory of pending requests and replies.
    BufferMemory,
    /// It has a member, but no datagram came from it.
    Unheard,
}

impl Alert {
    /// Returns the line for the log: `peer` was the last one, and it happened `count` times.
    pub fn line(self, peer: PeerAddr, count: u64) -> String {
        match self.limit() {
            Some(limit) => format!("limit {limit} reached by {peer} (count {count})"),
            None if self == Self::WrongPassword => {
                format!("wrong password from {peer} (count {count})")
            }
            None => format!(
                "no datagram from {peer} for a member that entered over TCP (count {count}); \
                 is the UDP port open?"
            ),
        }
    }

    /// Returns the option that sets the limit, or the limit's name where no option does.
    fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::WrongPasswords => "--wrong-passwords",
            Self::RoomPasswords => "room-passwords",
            Self::Rooms => "--max-rooms",
            Self::RoomsIp => "--max-rooms-ip",
            Self::Members => "--max-members",
            Self::MembersIp => "--max-members-ip",
            Self::RoomMembers => "--max-room-members",
            Self::Unproved => "--max-unproved",
            Self::Rate => "--rate-limit",
            Self::Fanout => "--fanout-limit",
            Self::RoomBacklog => "room-backlog",
            Self::BacklogMemory => "--backlog-memory",
            Self::HistoryIp => "history-ip",
            Self::Carried => "--max-carried",
            Self::Answers => "stream-answers",
            Self::Connections => "--max-connections",
            Self::ConnectionsIp => "--max-connections-ip",
            Self::Payload => "--max-payload",
            Self::BufferMemory => "--buffer-memory",
            Self::WrongPassword | Self::Unheard => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn field_l_lines_are_for_fail2ban() {
        let peer = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().into();
        let line = Alert::WrongPasswords.line(peer, 3);
        assert_eq!(line, "limit --wrong-passwords reached by 192.0.2.7 (count 3)");
        let peer = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into();
        assert_eq!(Alert::WrongPassword.line(peer, 1), "wrong password from 2001:db8::1 (count 1)");
    }
}
