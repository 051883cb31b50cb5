//! The most memory that the server can be made to use, as it follows from the limits.
//!
//! What each thing costs is rounded up; `tests/limits.rs` holds a server that is filled against it.

use super::Config;

/// A connection: 4 KiB of input and 4 KiB of output, which it may have in any case, in buffers that grow
/// by doubling, and its places in the tables.
const CONNECTION: u64 = 18 * 1024;

/// A room: 8 KiB of waiting output, which it may have in any case, and a message of the longest, in
/// buffers that grow by doubling; the least ring; its name, its password and its places in the tables.
/// A closed one counts until it is forgotten, and there may be as many of those as open ones.
const ROOM: u64 = (2 * (8 + 4) + 16 + 4) * 1024;

/// An open room: its bans, the subnets from which it was entered, and one message of which parts
/// have come.
const OPEN_ROOM: u64 = (32 + 2 + 4) * 1024;

/// A member with the longest name, which is kept as it was given, as it is compared, and in what it leaves
/// behind. Most take a quarter of this.
const MEMBER: u64 = 2 * 1024;

/// A subnet in a table of debts and in its timers, doubled for the free space of both.
const DEBTOR: u64 = 160;

/// Number of tables of debts: for wrong passwords and for history one for each of three prefix
/// lengths, and one for rooms.
const DEBTOR_TABLES: u64 = 7;

/// Spare buffers, receive buffers, the program itself.
const FIXED: u64 = 32 << 20;

impl Config {
    /// The most memory in bytes, beside what the kernel keeps for sockets. `None` where a limit that it
    /// follows from is off.
    pub fn memory_ceiling(&self) -> Option<u64> {
        let (chat, connections) = (&self.chat, &self.connections);
        let wide = |limit: Option<usize>| limit.map(|limit| limit as u64);
        // What all share, beyond what each may have in any case, lies in buffers that grow by doubling.
        let backlog = wide(chat.backlog_memory)?.saturating_mul(2);
        let buffers = wide(connections.buffer_memory)?.saturating_mul(2);
        let parts = [
            wide(connections.max_connections)?.saturating_mul(CONNECTION),
            wide(chat.max_rooms)?.saturating_mul(2 * ROOM + OPEN_ROOM),
            wide(chat.max_members)?.saturating_mul(MEMBER),
            wide(chat.history_memory)?,
            backlog,
            buffers,
            (chat.debtors as u64).saturating_mul(DEBTOR_TABLES * DEBTOR),
            FIXED,
        ];
        Some(parts.into_iter().fold(0, u64::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ChatConfig, ConnectionConfig};

    fn config(chat: ChatConfig) -> Config {
        Config {
            bind: Vec::new(),
            tcp_port: 0,
            udp_port: 0,
            chat,
            connections: ConnectionConfig::default(),
            budgets: crate::config::Budgets::default(),
            datagram_path: crate::config::DatagramPath::default(),
        }
    }

    #[test]
    fn the_ceiling_follows_from_the_limits() {
        let whole = config(ChatConfig::default()).memory_ceiling().expect("a ceiling");
        let fewer = ChatConfig { max_rooms: Some(9_000), ..ChatConfig::default() };
        assert_eq!(config(fewer).memory_ceiling(), Some(whole - 1_000 * (2 * ROOM + OPEN_ROOM)));
        let endless = ChatConfig { max_members: None, ..ChatConfig::default() };
        assert_eq!(config(endless).memory_ceiling(), None);
    }
}
