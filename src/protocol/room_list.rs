//! The list of rooms in pages of JSON: the payload of the completion of a list request (W10).
//!
//! A page that was cut says so, and the next page begins behind its last room. Requests that do not
//! ask for pages get as many rooms as fit. The mark of a cut page costs them no room: it is left
//! out if it does not fit.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::name::MAX_NAME;

/// The mark of a cut page. It replaces the closing brace of the last room.
const MORE: &[u8] = br#","more":true}"#;

/// A room in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo<'a> {
    /// The room's name, in the form in which it is kept.
    pub room: Cow<'a, str>,
    /// The number of members.
    pub members: u64,
    /// The most members that the room may have; 0 is no limit.
    pub capacity: u64,
    /// True if the room has a password.
    pub password: bool,
    /// True if only members on encrypted paths may enter (E9). Older servers do not send it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sealed: bool,
    /// True in the last room of a page that was cut: more rooms follow it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

// serde passes a reference.
fn is_false(value: &bool) -> bool {
    !value
}

/// Parses a page. Returns `None` if it is not one, or if a name is longer than [`MAX_NAME`] bytes.
///
/// If the last room has [`RoomInfo::more`], request the next page with this room's name as
/// [`after`](super::Request::List::after). A server may make up rooms without end, so a client
/// needs a limit of its own, and should stop at a page whose names do not come behind the last one.
///
/// ```
/// use reactor_chat::protocol::room_list;
///
/// let page = br#"[{"room":"lobby","members":2,"capacity":0,"password":false,"more":true}]"#;
/// let rooms = room_list::parse_page(page).expect("a page");
/// assert_eq!((&*rooms[0].room, rooms[0].members), ("lobby", 2));
/// let after = rooms.last().filter(|last| last.more).map(|last| last.room.to_string());
/// assert_eq!(after.as_deref(), Some("lobby"));
/// ```
pub fn parse_page(payload: &[u8]) -> Option<Vec<RoomInfo<'static>>> {
    let rooms: Vec<RoomInfo<'_>> = serde_json::from_slice(payload).ok()?;
    rooms.iter().all(|room| room.room.len() <= MAX_NAME).then_some(rooms)
}

/// A page of bounded size that is being written.
#[derive(Debug)]
pub struct PageWriter {
    json: Vec<u8>,
    max: usize,
    /// The size up to the last room behind which [`MORE`] fits.
    markable: usize,
    /// A cut page gives up rooms to make space for [`MORE`].
    is_always_marked: bool,
}

impl PageWriter {
    /// Creates a writer of a page of at most `max` bytes. If `is_always_marked`, the page says that
    /// it was cut even if that costs it rooms.
    pub fn new(max: usize, is_always_marked: bool) -> Self {
        Self { json: vec![b'['], max, markable: 1, is_always_marked }
    }

    /// Appends a room, or cuts the page if the room does not fit. Returns false if the page was
    /// cut and takes no more rooms.
    ///
    /// A room that does not fit an empty page is left out: it must not hide those behind it.
    pub fn add(&mut self, room: &RoomInfo<'_>) -> bool {
        let end = self.json.len();
        if end > 1 {
            self.json.push(b',');
        }
        // Writing strings, numbers and bools into a Vec cannot fail.
        let is_written = serde_json::to_writer(&mut self.json, room).is_ok();
        let is_first = end == 1;
        // The first room can't be given up for the mark.
        let closing = if is_first && self.is_always_marked { MORE.len() } else { 1 };
        if !is_written || self.json.len() + closing > self.max {
            self.cut(end);
            return is_first;
        }
        // Both sizes count the closing brace, which the mark replaces.
        if self.json.len() + MORE.len() <= self.max {
            self.markable = self.json.len();
        }
        true
    }

    /// Cuts the page behind the room that ends at `end`, or behind an earlier one.
    fn cut(&mut self, end: usize) {
        let is_marked = self.is_always_marked || self.markable == end;
        self.json.truncate(if is_marked { self.markable } else { end });
        if is_marked && self.json.pop_if(|last| *last == b'}').is_some() {
            self.json.extend_from_slice(MORE);
        }
    }

    /// Returns the page as a JSON array.
    pub fn finish(mut self) -> Vec<u8> {
        self.json.push(b']');
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomInfo<'_> {
        RoomInfo {
            room: name.into(),
            members: 1,
            capacity: 2,
            password: true,
            sealed: false,
            more: false,
        }
    }

    #[test]
    fn w10_page_has_fixed_keys() {
        let mut page = PageWriter::new(4096, false);
        assert!(page.add(&room("a")) && page.add(&room("b c")));
        let json = page.finish();
        let a = br#"[{"room":"a","members":1,"capacity":2,"password":true},"#;
        let b = br#"{"room":"b c","members":1,"capacity":2,"password":true}]"#;
        assert_eq!(json, [&a[..], b].concat());
        assert_eq!(parse_page(&json), Some(vec![room("a"), room("b c")]));
    }

    #[test]
    fn w10_cut_page_says_so() {
        let mut whole = PageWriter::new(4096, true);
        assert!(whole.add(&room("a")));
        let size = whole.finish().len();
        for max in size..2 * size - 1 {
            let mut page = PageWriter::new(max, false);
            assert!(page.add(&room("a")) && !page.add(&room("b")));
            let json = page.finish();
            let more = max + 1 >= size + MORE.len();
            assert!(json.len() <= max);
            assert_eq!(parse_page(&json), Some(vec![RoomInfo { more, ..room("a") }]), "{max}");
        }
    }

    #[test]
    fn w10_other_json_is_no_page() {
        let long = format!(
            r#"[{{"room":"{}","members":1,"capacity":2,"password":false}}]"#,
            "x".repeat(MAX_NAME + 1)
        );
        for payload in [&b"[{}]"[..], b"[]\xff", b"{}", b"", long.as_bytes()] {
            assert_eq!(parse_page(payload), None);
        }
        assert_eq!(parse_page(b"[]"), Some(Vec::new()));
    }
}
