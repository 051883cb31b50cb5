//! Prints the list of rooms: a table for terminals, fixed columns for pipes, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use reactor_chat::protocol::RoomInfo;

use crate::blocking::write_all;
use crate::explain;
use crate::options::ListOptions;
use crate::room_list::RoomList;
use crate::sanitize::{plain, visible};
use crate::stdout::notify;
use crate::tty::{self, columns, columns_of};

/// The least width of a name on a narrow terminal.
const LEAST_NAME: usize = 8;

/// Prints the list in the form that suits stdout and the options.
pub(crate) fn print(list: &RoomList, listing: &ListOptions) -> io::Result<()> {
    let text = match io::stdout().is_terminal() {
        _ if listing.is_json => one_line(&list.json()),
        _ if list.rooms.is_empty() => {
            notify(&explain::no_rooms(&listing.server));
            return Ok(());
        }
        true => table(&list.rooms, tty::width()),
        false => lines(&list.rooms),
    };
    write_all(io::stdout(), text.as_bytes())
}

/// Returns the JSON on one line without control characters. Outside of strings JSON is ASCII, and
/// its only control characters are white space. So any other one is inside a string, where an
/// escape can replace it.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.trim().chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if is_invisible(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// Returns true for control and format characters, private and unassigned ones, and line and
/// paragraph separators.
fn is_invisible(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Other
        || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Returns the table for a terminal of this width. Long names are cut.
fn table(rooms: &[RoomInfo<'_>], width: usize) -> String {
    let names: Vec<String> = rooms.iter().map(|room| visible(&room.room)).collect();
    let members = digits(rooms.iter().map(|room| room.members));
    let capacity = digits(rooms.iter().filter_map(limit));
    let counts: Vec<String> = rooms.iter().map(|room| counts(room, members, capacity)).collect();
    let counts_width = counts.iter().map(String::len).fold("MEMBERS".len(), usize::max);
    let room_left = width.saturating_sub(counts_width + "PASSWORD".len() + 4).max(LEAST_NAME);
    let widest = names.iter().map(|name| columns(name)).fold("ROOM".len(), usize::max);
    let name_width = widest.min(room_left);
    let mut text = format!("{:name_width$}  {:counts_width$}  PASSWORD\n", "ROOM", "MEMBERS");
    for ((name, counts), room) in names.iter().zip(&counts).zip(rooms) {
        let name = cut(name, name_width);
        let blanks = name_width.saturating_sub(columns(&name));
        let password = password(room);
        let _ = writeln!(text, "{name}{:blanks$}  {counts:counts_width$}  {password}", "");
    }
    text
}

/// Returns "2 of 10", or "2" if the room has no limit.
fn counts(room: &RoomInfo<'_>, members: usize, capacity: usize) -> String {
    match limit(room) {
        Some(limit) => format!("{:>members$} of {limit:>capacity$}", room.members),
        None => format!("{:>members$}", room.members),
    }
}

fn limit(room: &RoomInfo<'_>) -> Option<u64> {
    (room.capacity > 0).then_some(room.capacity)
}

/// Returns the number of digits of the largest number.
fn digits(numbers: impl Iterator<Item = u64>) -> usize {
    numbers.map(|number| number.to_string().len()).max().unwrap_or_default()
}

/// Returns the part of the name that fits into this width, with an ellipsis if it is cut.
fn cut(name: &str, width: usize) -> String {
    if columns(name) <= width {
        return name.into();
    }
    let mut taken = 0;
    let fits = |c: &char| {
        taken += columns_of(*c);
        taken < width
    };
    name.chars().take_while(fits).chain(['…']).collect()
}

/// Returns a header and four columns, for pipes. Names are whole.
fn lines(rooms: &[RoomInfo<'_>]) -> String {
    let names: Vec<String> = rooms.iter().map(|room| plain(&room.room)).collect();
    let width = names.iter().map(|name| name.chars().count()).fold("ROOM".len(), usize::max);
    let mut text = format!("{:width$}  MEMBERS  CAPACITY  PASSWORD\n", "ROOM");
    for (name, room) in names.iter().zip(rooms) {
        let capacity = limit(room).map_or("-".into(), |limit| limit.to_string());
        let (members, password) = (room.members, password(room));
        let _ = writeln!(text, "{name:width$}  {members:>7}  {capacity:>8}  {password}");
    }
    text
}

fn password(room: &RoomInfo<'_>) -> &'static str {
    if room.password { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str, members: u64, capacity: u64, password: bool) -> RoomInfo<'_> {
        RoomInfo { room: name.into(), members, capacity, password, sealed: false, more: false }
    }

    fn rows(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn pipe_gets_whole_names() {
        let rooms = [room("a much longer name", 12, 0, true), room("r\x1b", 1, 5, false)];
        assert_eq!(
            rows(&super::lines(&rooms)),
            [
                "ROOM                MEMBERS  CAPACITY  PASSWORD",
                "a much longer name       12         -  yes",
                "r\\u{1b}                   1         5  no",
            ]
        );
    }

    #[test]
    fn table_fits_the_terminal() {
        let rooms = [
            room("lobby", 2, 10_000, false),
            room("日本語の部屋です", 112, 500, true),
            room("e\u{301}te\u{301}", 7, 0, false),
        ];
        assert_eq!(
            rows(&table(&rooms, 80)),
            [
                "ROOM              MEMBERS       PASSWORD",
                "lobby               2 of 10000  no",
                "日本語の部屋です  112 of   500  yes",
                "e\u{301}te\u{301}                 7           no",
            ]
        );
        let narrow = table(&rooms, 36);
        assert_eq!(
            rows(&narrow),
            [
                "ROOM          MEMBERS       PASSWORD",
                "lobby           2 of 10000  no",
                "日本語の部…   112 of   500  yes",
                "e\u{301}te\u{301}             7           no",
            ]
        );
        assert!(narrow.lines().all(|line| columns(line) <= 36));
    }

    #[test]
    fn narrow_table_shows_beginnings() {
        let text = table(&[room("a_long_name", 1, 2, false)], 10);
        assert_eq!(rows(&text), ["ROOM      MEMBERS  PASSWORD", "a_long_…  1 of 2   no"]);
    }

    #[test]
    fn names_are_cut_between_letters() {
        let cuts = |name, widths: &[usize]| -> Vec<String> {
            widths.iter().map(|width| cut(name, *width)).collect()
        };
        assert_eq!(cuts("abcd", &[4, 3, 1]), ["abcd", "ab…", "…"]);
        assert_eq!(cuts("日本語", &[6, 5, 4, 3, 2]), ["日本語", "日本…", "日…", "日…", "…"]);
        assert_eq!(
            cuts("e\u{301}e\u{301}e\u{301}", &[3, 2]),
            ["e\u{301}e\u{301}e\u{301}", "e\u{301}…"]
        );
    }

    #[test]
    fn t6_room_names_are_sanitized() {
        let text = table(&[room("a\x1b[2J\tb\u{9b}\nc", 1, 2, false)], 80);
        assert_eq!(
            rows(&text)[1].split("  1 of").next().map(str::trim_end),
            Some(r"a\u{1b}[2J    b\u{9b} c")
        );
    }

    #[test]
    fn t6_json_is_one_harmless_line() {
        let json =
            "[\n{\"room\":\"a\\n\u{7f}\u{9b}\u{202e}\u{2028}日本\u{e0001}\",\r\n\t\"new\":1}]\n";
        let line = one_line(json);
        assert_eq!(
            line,
            "[ {\"room\":\"a\\n\\u007f\\u009b\\u202e\\u2028日本\\udb40\\udc01\",   \"new\":1}]\n"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(&line), value(json));
    }
}
