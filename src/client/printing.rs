//! stdout and stderr, and what may be shown there.
//!
//! stdout carries messages, notices and lists and nothing else, so that it can be piped on. What
//! comes from the network is never shown as it is: a terminal obeys control characters, and the
//! server need not be one of ours that holds them back.

use std::io::{self, Write as _};

use super::entering::ListedRoom;
use super::plain::plain;

/// Says something about the client itself. A stderr that takes nothing leaves nobody to tell.
pub(super) fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "reactor-chat-client: {text}");
}

/// Lines for stdout that are written together.
pub(super) struct Lines {
    text: String,
    /// stdout has failed: what comes now is lost, once and for all.
    is_closed: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { text: String::new(), is_closed: false }
    }

    pub(super) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        self.add(&[&shown(name), ": ", &shown(message)]);
    }

    /// What the server has made into a line itself.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        self.add(&[&shown(line)]);
    }

    pub(super) fn add_notice(&mut self, text: &[u8]) {
        self.add(&["* ", &shown(text)]);
    }

    /// A table, its first column as wide as it needs to be.
    pub(super) fn add_rooms(&mut self, rooms: &[ListedRoom]) {
        const HEADER: [&str; 4] = ["ROOM", "MEMBERS", "CAPACITY", "PASSWORD"];
        let names: Vec<String> = rooms.iter().map(|room| plain(&room.room)).collect();
        let widths = names.iter().map(|name| name.chars().count());
        let width = widths.fold(HEADER[0].len(), usize::max);
        self.add_row(width, HEADER);
        for (name, room) in names.iter().zip(rooms) {
            let capacity = match room.capacity {
                0 => "-".into(),
                capacity => capacity.to_string(),
            };
            let password = if room.password { "yes" } else { "no" };
            self.add_row(width, [name, &room.members.to_string(), &capacity, password]);
        }
    }

    fn add_row(&mut self, width: usize, [room, members, capacity, password]: [&str; 4]) {
        self.add(&[&format!("{room:width$}  {members:>7}  {capacity:>8}  {password}")]);
    }

    fn add(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
        self.text.push('\n');
    }

    /// Writes the lines out. An error is told once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() || self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        self.is_closed = written.is_err();
        written
    }
}

fn shown(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, members: u64, capacity: u64, password: bool) -> ListedRoom {
        ListedRoom { room: name.into(), members, capacity, password }
    }

    #[test]
    fn a_message_is_one_line_whatever_is_in_it() {
        let mut lines = Lines::new();
        lines.add_message(b"bob", "a\nalice: b\u{2028}c\u{2029}d".as_bytes());
        lines.add_message(b"b\n* x", b"\xff");
        lines.add_notice(b"bob left\n* alice left");
        lines.add_line(b"bob: a\x1b");
        let messages = "bob: a alice: b c d\nb * x: \u{fffd}\n* bob left * alice left\n";
        assert_eq!(lines.text, [messages, "bob: a\\u{1b}\n"].concat());
    }

    #[test]
    fn rooms_stand_in_columns() {
        let mut lines = Lines::new();
        lines.add_rooms(&[room("a much longer name", 12, 0, true), room("r\x1b", 1, 5, false)]);
        let rows: Vec<&str> = lines.text.lines().collect();
        assert_eq!(
            rows,
            [
                "ROOM                MEMBERS  CAPACITY  PASSWORD",
                "a much longer name       12         -  yes",
                "r\\u{1b}                   1         5  no",
            ]
        );
    }
}
