//! The limits in force, in words.

use std::fmt::Display;
use std::time::Duration;

use super::Config;

impl Config {
    /// The limits in force, a line for each kind, for the log.
    pub fn limits(&self) -> [String; 6] {
        let (chat, connections) = (&self.chat, &self.connections);
        [
            format!("rooms {}, of one IP {}", or_off(chat.max_rooms), or_off(chat.max_rooms_ip)),
            format!(
                "members {}, of one room {}, of one IP {}, of those unproved {}",
                or_off(chat.max_members),
                or_off(chat.max_room_members),
                or_off(chat.max_members_ip),
                or_off(chat.max_unproved)
            ),
            format!(
                "connections {}, of one IP {}, payload {} bytes",
                or_off(connections.max_connections),
                or_off(connections.max_connections_ip),
                connections.max_payload
            ),
            format!(
                "messages a second {}, their bytes to all {}, wrong passwords a minute {}",
                or_off(chat.rate_limit),
                or_off(chat.fanout_limit),
                or_off(chat.wrong_passwords)
            ),
            format!(
                "idle members {}, silent members {}, connections {}, frames {}",
                seconds(chat.idle_timeout),
                seconds(chat.replace_silent),
                seconds(connections.connect_timeout),
                seconds(connections.handshake_timeout)
            ),
            self.memory(),
        ]
    }

    /// The ceiling of the memory, in words.
    fn memory(&self) -> String {
        match self.memory_ceiling() {
            Some(bytes) => format!("memory {} MiB, beside the kernel's buffers", bytes >> 20),
            None => "memory without a ceiling: a limit that it follows from is off".into(),
        }
    }
}

fn or_off(limit: Option<impl Display>) -> String {
    limit.map_or_else(|| "off".into(), |limit| limit.to_string())
}

fn seconds(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "off".into(), |limit| format!("{} s", limit.as_secs()))
}
