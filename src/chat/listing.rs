//! The list of rooms, in pages: a page that was cut says so, and the next one begins behind it
//! (W10).
//!
//! Requests that do not know of pages get as many entries as fit. The sign that a list was cut
//! costs them none: it is left out if it does not fit.

use std::ops::Bound;

use serde::Serialize;

use super::Chat;

/// Stands at the end of a page's last entry if there are more rooms, in place of the brace.
const MORE: &[u8] = br#","more":true}"#;

/// A room as it is listed.
#[derive(Serialize)]
struct ListedRoom<'a> {
    room: &'a str,
    members: usize,
    /// The limit in force; 0 is none.
    capacity: usize,
    password: bool,
}

impl Chat {
    /// Returns the rooms whose names begin with `prefix` and come behind `after`, by name, as a
    /// JSON array of at most `max` bytes. No name begins with the prefix `None`.
    ///
    /// A page costs a search in a tree and its own size, wherever it begins. It depends on no
    /// earlier page, so rooms that come and go meanwhile move no other room. With `after`, be it
    /// empty, a page that was cut says so in any case. A room that no page of this size can show is
    /// left out.
    pub(super) fn list(&self, prefix: Option<&str>, after: Option<&str>, max: usize) -> Vec<u8> {
        let mut page =
            Page { json: vec![b'['], max, markable: 1, is_always_marked: after.is_some() };
        let Some(prefix) = prefix else { return page.finish() };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let matching = self
            .listed
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix));
        for (name, id) in matching {
            let Some(room) = self.rooms.get(*id) else { continue };
            let goes_on = page.add(&ListedRoom {
                room: name,
                members: room.population(),
                capacity: self.capacity_of(room),
                password: room.has_password(),
            });
            if !goes_on {
                break;
            }
        }
        page.finish()
    }
}

/// A JSON array of bounded size.
struct Page {
    json: Vec<u8>,
    max: usize,
    /// The size up to the last entry with space for the sign that others follow.
    markable: usize,
    /// A cut gives up entries for the sign that there are more.
    is_always_marked: bool,
}

impl Page {
    /// Adds an entry, or cuts the page if the entry does not fit. Returns false if it was cut.
    ///
    /// An entry that does not fit an empty page is left out: it must not hide those behind it.
    fn add(&mut self, room: &ListedRoom<'_>) -> bool {
        let end = self.json.len();
        if end > 1 {
            self.json.push(b',');
        }
        // Strings, numbers and bools into a Vec: there is nothing to fail.
        let is_written = serde_json::to_writer(&mut self.json, room).is_ok();
        let is_first = end == 1;
        // The first entry can't be given up for the sign.
        let closing = if is_first && self.is_always_marked { MORE.len() } else { 1 };
        if !is_written || self.json.len() + closing > self.max {
            self.cut(end);
            return is_first;
        }
        // The brace is in both sizes.
        if self.json.len() + MORE.len() <= self.max {
            self.markable = self.json.len();
        }
        true
    }

    /// Cuts the page behind the entry that ends there, or an earlier one.
    fn cut(&mut self, end: usize) {
        let is_marked = self.is_always_marked || self.markable == end;
        self.json.truncate(if is_marked { self.markable } else { end });
        if is_marked && self.json.pop_if(|last| *last == b'}').is_some() {
            self.json.extend_from_slice(MORE);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.json.push(b']');
        self.json
    }
}
