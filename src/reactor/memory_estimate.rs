//! Upper bound for the server's memory, derived from its limits.
//!
//! Each cost is rounded up. `tests/limits.rs` fills a server and compares its memory with this bound.

use crate::config::{Config, TlsMode};
use crate::tls;

/// Worst case per connection: the guaranteed 4 KiB in each direction, doubled by `Vec` growth, plus
/// table entries.
const CONNECTION: u64 = 18 * 1024;

/// Additional cost of a connection with TLS: the session, an incomplete record with the read that goes
/// beyond the guaranteed 4 KiB, and as many bytes of ciphertext.
const TLS: u64 = tls::IDLE_SESSION as u64 + (8 + 4) * 1024;

/// Additional cost of a connection that carries a member: an incomplete unit with the read that goes
/// beyond it, doubled by `Vec` growth.
const CARRIED: u64 = 8 * 1024;

/// Additional cost of a connection of QUIC. Each may have a member, so there are no more than carried members.
#[cfg(feature = "webtransport")]
const QUIC: u64 = crate::quic::MAX_MEMORY;
#[cfg(not(feature = "webtransport"))]
const QUIC: u64 = 0;

/// Worst case per room: the guaranteed 8 KiB of waiting output and one message of the maximum length,
/// doubled by `Vec` growth, plus the smallest ring, the name, the password and table entries. A closed
/// room counts until it is forgotten, and there may be as many closed rooms as open ones.
const ROOM: u64 = (2 * (8 + 4) + 16 + 4) * 1024;

/// Additional cost of an open room: its bans, the subnets of its members, and one message that is
/// assembled from parts.
const OPEN_ROOM: u64 = (32 + 2 + 4) * 1024;

/// Worst case per member: the longest name, stored as given, in its comparison form, and in the member's
/// tombstone. Most members take a quarter of this.
const MEMBER: u64 = 2 * 1024;

/// Additional cost of a sealed member: two seals during a resume, an address that is not proved, and
/// table entries. Keys have a limit of their own, and are part of [`FIXED`].
const SEALED: u64 = 768;

/// A subnet in a table of debts and in its timers, doubled for the free space of both.
const DEBTOR: u64 = 160;

/// Number of tables of debts: for wrong passwords and for history one for each of three prefix
/// lengths, and one for rooms.
const DEBTOR_TABLES: u64 = 7;

/// Spare buffers, receive buffers, the keys of sealed members and the program itself.
const FIXED: u64 = 32 << 20;

/// Describes the estimate for the log.
pub(super) fn describe(config: &Config) -> String {
    match estimate(config) {
        Some(bytes) => format!("memory {} MiB, without the kernel's buffers", bytes >> 20),
        None => "memory is unlimited, because a limit that it depends on is off".into(),
    }
}

/// Returns the bound in bytes, without what the kernel keeps for sockets, or `None` if a limit that it
/// depends on is off.
pub(super) fn estimate(config: &Config) -> Option<u64> {
    let (chat, connections) = (&config.chat, &config.connections);
    let wide = |limit: Option<usize>| limit.map(|limit| limit as u64);
    // Memory shared beyond each one's guaranteed part lies in buffers that grow by doubling.
    let backlog = wide(chat.backlog_memory)?.saturating_mul(2);
    let buffers = wide(connections.buffer_memory)?.saturating_mul(2);
    let (encryption, seal) = match config.tls.mode {
        TlsMode::Off => (0, 0),
        TlsMode::On | TlsMode::Required => (TLS, SEALED),
    };
    let has_quic = config.web.webtransport && config.tls.mode != TlsMode::Off;
    let carried = CARRIED + if has_quic { QUIC } else { 0 };
    let parts = [
        wide(connections.max_connections)?.saturating_mul(CONNECTION + encryption),
        wide(chat.max_carried.or(connections.max_connections))?.saturating_mul(carried),
        wide(chat.max_rooms)?.saturating_mul(2 * ROOM + OPEN_ROOM),
        wide(chat.max_members)?.saturating_mul(MEMBER + seal),
        wide(chat.history_memory)?,
        backlog,
        buffers,
        (chat.debtors as u64).saturating_mul(DEBTOR_TABLES * DEBTOR),
        FIXED,
    ];
    Some(parts.into_iter().fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Budgets, ChatConfig, ConnectionConfig, DatagramPath, TlsConfig, UNIX_MODE, WebConfig,
    };

    fn config(chat: ChatConfig) -> Config {
        Config {
            bind: Vec::new(),
            unix: Vec::new(),
            unix_mode: UNIX_MODE,
            tcp_port: 0,
            udp_port: 0,
            chat,
            connections: ConnectionConfig::default(),
            tls: TlsConfig::default(),
            web: WebConfig::default(),
            budgets: Budgets::default(),
            datagram_path: DatagramPath::default(),
        }
    }

    #[test]
    fn estimate_follows_from_the_limits() {
        let whole = estimate(&config(ChatConfig::default())).expect("an estimate");
        let fewer = ChatConfig { max_rooms: Some(9_000), ..ChatConfig::default() };
        assert_eq!(estimate(&config(fewer)), Some(whole - 1_000 * (2 * ROOM + OPEN_ROOM)));
        let endless = ChatConfig { max_members: None, ..ChatConfig::default() };
        assert_eq!(estimate(&config(endless)), None);
    }
}
