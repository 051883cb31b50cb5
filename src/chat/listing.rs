//! The room list (W10). [`PageWriter`] decides how many rooms fit.

use std::ops::Bound;

use super::Chat;
use crate::protocol::room_list::{PageWriter, RoomInfo};

impl Chat {
    /// Returns the rooms whose names begin with `prefix` and come behind `after`, by name, as a
    /// JSON array of at most `max` bytes. No name begins with the prefix `None`.
    ///
    /// A page costs a search in a tree and its own size, wherever it begins. It depends on no
    /// earlier page, so rooms that come and go meanwhile move no other room. With `after`, be it
    /// empty, a page that was cut says so in any case. A room that no page of this size can show is
    /// left out.
    pub(super) fn list(&self, prefix: Option<&str>, after: Option<&str>, max: usize) -> Vec<u8> {
        let mut page = PageWriter::new(max, after.is_some());
        let Some(prefix) = prefix else { return page.finish() };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let matching = self
            .directory
            .listed
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix));
        for (name, id) in matching {
            let Some(room) = self.directory.rooms.get(*id) else { continue };
            let goes_on = page.add(&RoomInfo {
                room: name.as_ref().into(),
                members: room.population() as u64,
                capacity: self.capacity_of(room) as u64,
                password: room.has_password(),
                sealed: room.sealed_only,
                more: false,
            });
            if !goes_on {
                break;
            }
        }
        page.finish()
    }
}
