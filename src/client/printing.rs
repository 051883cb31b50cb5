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
pub(super) struct Page {
    lines: String,
    /// stdout has failed: what comes now is lost, once and for all.
    is_closed: bool,
}

impl Page {
    pub(super) fn new() -> Self {
        Self { lines: String::new(), is_closed: false }
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

    /// In their place: so many entries are gone for good.
    pub(super) fn add_gone(&mut self, count: u64) {
        let messages = if count == 1 { "message" } else { "messages" };
        self.add(&[&format!("* {count} {messages} could not be recovered")]);
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
        self.lines.extend(parts.iter().copied());
        self.lines.push('\n');
    }

    /// Writes the lines out. An error is told once.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() || self.is_closed {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
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
        let mut page = Page::new();
        page.add_message(b"bob", "a\nalice: b\u{2028}c\u{2029}d".as_bytes());
        page.add_message(b"b\n* x", b"\xff");
        page.add_notice(b"bob left\n* alice left");
        page.add_line(b"bob: a\x1b");
        let messages = "bob: a alice: b c d\nb * x: \u{fffd}\n* bob left * alice left\n";
        assert_eq!(page.lines, [messages, "bob: a\\u{1b}\n"].concat());
    }

    #[test]
    fn what_is_gone_is_counted() {
        let mut page = Page::new();
        page.add_gone(1);
        page.add_gone(3);
        let lines = "* 1 message could not be recovered\n* 3 messages could not be recovered\n";
        assert_eq!(page.lines, lines);
    }

    #[test]
    fn rooms_stand_in_columns() {
        let mut page = Page::new();
        page.add_rooms(&[room("a much longer name", 12, 0, true), room("r\x1b", 1, 5, false)]);
        let lines: Vec<&str> = page.lines.lines().collect();
        assert_eq!(
            lines,
            [
                "ROOM                MEMBERS  CAPACITY  PASSWORD",
                "a much longer name       12         -  yes",
                "r\\u{1b}                   1         5  no",
            ]
        );
    }
}
