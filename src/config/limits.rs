//! The limits in force, as text for the log.

use std::fmt::Display;
use std::time::Duration;

use super::Config;

impl Config {
    /// Returns the limits in force, one line for each kind.
    pub fn limits(&self) -> [String; 5] {
        let (chat, connections) = (&self.chat, &self.connections);
        [
            format!("rooms {}, per IP {}", or_off(chat.max_rooms), or_off(chat.max_rooms_ip)),
            format!(
                "members {}, per room {}, per IP {}, unproved per IP {}",
                or_off(chat.max_members),
                or_off(chat.max_room_members),
                or_off(chat.max_members_ip),
                or_off(chat.max_unproved)
            ),
            format!(
                "connections {}, per IP {}, carried members {}, payload {} bytes",
                or_off(connections.max_connections),
                or_off(connections.max_connections_ip),
                or_off(chat.max_carried),
                connections.max_payload
            ),
            format!(
                "per member {} messages and {} relayed bytes a second, wrong passwords a minute {}",
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
        ]
    }
}

fn or_off(limit: Option<impl Display>) -> String {
    limit.map_or_else(|| "off".into(), |limit| limit.to_string())
}

fn seconds(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "off".into(), |limit| format!("{} s", limit.as_secs()))
}
