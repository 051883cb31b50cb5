//! Waiting output of a room: encoded entries, each with its audience.
//!
//! Entries are numbered from the room's start and never again, so that a member's cursor stays
//! valid while the log is filled at one end and emptied at the other.

use std::mem;

use super::shrink::shrink_list;
use crate::fanout::{Audience, Extent};

/// What a log is written in. Rooms that are quiet hold none.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    entries: Vec<Extent>,
    bytes: Vec<u8>,
}

/// Spare buffers, waiting for a room that speaks: relaying in the steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    spare: Vec<Buffers>,
    spare_bytes: usize,
}

/// What spare buffers may hold together. More is freed, so that a burst of busy rooms does not keep
/// its memory for ever: enough for a thousand rooms that speak, or thirty that flood.
const MAX_SPARE_BYTES: usize = 8 << 20;

/// What a turn of a room that is not flooded fits in: a page of bytes, and the entries in it.
const FIRST_BYTES: usize = 4096;
const FIRST_ENTRIES: usize = 64;

impl Buffers {
    fn with_room() -> Self {
        let (entries, bytes) = (FIRST_ENTRIES, FIRST_BYTES);
        Self { entries: Vec::with_capacity(entries), bytes: Vec::with_capacity(bytes) }
    }

    /// Bytes of memory.
    fn capacity(&self) -> usize {
        self.bytes.capacity() + size_of::<Extent>() * self.entries.capacity()
    }
}

impl Pool {
    fn take(&mut self) -> Buffers {
        let Some(buffers) = self.spare.pop() else { return Buffers::with_room() };
        self.spare_bytes -= buffers.capacity();
        buffers
    }

    /// Takes buffers back.
    pub(crate) fn give_back(&mut self, mut buffers: Buffers) {
        let size = buffers.capacity();
        if size > 0 && self.spare_bytes + size <= MAX_SPARE_BYTES {
            buffers.entries.clear();
            buffers.bytes.clear();
            self.spare_bytes += size;
            self.spare.push(buffers);
        }
    }
}

/// Waiting output, oldest first.
#[derive(Debug, Default)]
pub(crate) struct EntryLog {
    /// The number of the first entry that is held.
    first: u64,
    buffers: Buffers,
    /// Bytes at the front that everyone has passed and that were not won back yet.
    passed_bytes: usize,
}

impl EntryLog {
    /// The number that the next entry gets.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.buffers.entries.len() as u64
    }

    /// The index of an entry by its number.
    pub(crate) fn index(&self, number: u64) -> u32 {
        // A cursor is never below the first entry that is held, and a log holds far fewer than 2^32.
        (number - self.first) as u32
    }

    /// The number of an entry by its index.
    pub(crate) fn number(&self, index: u32) -> u64 {
        self.first + u64::from(index)
    }

    /// Returns the size of an entry by its number.
    pub(crate) fn size(&self, number: u64) -> usize {
        let index = self.index(number) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.buffers.entries[before].end);
        (self.buffers.entries[index].end - start) as usize
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffers.bytes
    }

    /// Bytes that somebody has still to get.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.buffers.bytes.len() - self.passed_bytes
    }

    /// Bytes of memory in use: also for what was passed and not won back, and for where each entry
    /// ends, which is more than the bytes of a short one.
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffers.bytes.len() + size_of::<Extent>() * self.buffers.entries.len()
    }

    pub(crate) fn entries(&self) -> &[Extent] {
        &self.buffers.entries
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffers.entries.is_empty()
    }

    /// Appends an entry that `encode` writes behind what is there.
    pub(crate) fn push(
        &mut self,
        audience: Audience,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.buffers.entries.capacity() == 0 {
            self.buffers = pool.take();
        }
        encode(&mut self.buffers.bytes);
        // A room's waiting output is bounded far below 4 GiB: see `room.rs`.
        let end = self.buffers.bytes.len() as u32;
        self.buffers.entries.push(Extent { end, audience });
    }

    /// Forgets the entries before `number`: everyone has passed them. Gives the buffers back when
    /// nothing is left. While members lag behind, the room for what went is won back only when it is
    /// half of all, so that each byte is moved once on average.
    pub(crate) fn forget_before(&mut self, number: u64) -> Option<Buffers> {
        if self.is_empty() {
            return None;
        }
        if number == self.end() {
            self.first = number;
            self.passed_bytes = 0;
            return Some(mem::take(&mut self.buffers));
        }
        let passed = self.index(number) as usize;
        if passed > 0 {
            let cut = self.buffers.entries[passed - 1].end;
            self.passed_bytes = cut as usize;
            if cut as usize * 2 >= self.buffers.bytes.len() {
                self.drop_front(passed, cut);
            }
        }
        None
    }

    /// Forgets all entries but those with these indices, in order: for a log whose entries have one
    /// reader each. Gives the buffers back when nothing is left.
    pub(crate) fn retain(&mut self, kept: impl Iterator<Item = u32>, pool: &mut Pool) {
        let old = mem::take(&mut self.buffers);
        self.first += old.entries.len() as u64;
        for index in kept.map(|index| index as usize) {
            let start = index.checked_sub(1).map_or(0, |before| old.entries[before].end);
            let Extent { end, audience } = old.entries[index];
            let bytes = &old.bytes[start as usize..end as usize];
            self.push(audience, pool, |out| out.extend_from_slice(bytes));
        }
        pool.give_back(old);
    }

    fn drop_front(&mut self, passed: usize, cut: u32) {
        self.buffers.bytes.drain(..cut as usize);
        self.buffers.entries.drain(..passed);
        for entry in &mut self.buffers.entries {
            entry.end -= cut;
        }
        shrink_list(&mut self.buffers.bytes, FIRST_BYTES);
        shrink_list(&mut self.buffers.entries, FIRST_ENTRIES);
        self.first += passed as u64;
        self.passed_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(texts: &[&str]) -> EntryLog {
        let mut log = EntryLog::default();
        for text in texts {
            log.push(Audience::All, &mut Pool::default(), |out| {
                out.extend_from_slice(text.as_bytes());
            });
        }
        log
    }

    #[test]
    fn numbers_stay_valid_while_the_front_goes() {
        let mut log = log_of(&["aaaa", "bb", "c"]);
        assert_eq!((log.end(), log.index(2), log.number(2)), (3, 2, 2));
        assert!(log.forget_before(1).is_none());
        assert_eq!((log.end(), log.bytes()), (3, &b"bbc"[..]));
        assert_eq!((log.index(2), log.entries()[1].end), (1, 3));
    }

    #[test]
    fn a_little_is_not_worth_moving_the_rest() {
        let mut log = log_of(&["a", "bbbbbbbb"]);
        assert!(log.forget_before(1).is_none());
        assert_eq!((log.bytes().len(), log.waiting_bytes()), (9, 8));
        assert_eq!(log.index(1), 1);
    }

    #[test]
    fn what_is_retained_keeps_its_bytes_and_its_order() {
        let mut log = log_of(&["aa", "b", "ccc", "d"]);
        let mut pool = Pool::default();
        log.retain([1, 3].into_iter(), &mut pool);
        assert_eq!((log.bytes(), log.entries().len()), (&b"bd"[..], 2));
        assert_eq!(log.entries()[1].end, 2);
        log.retain([].into_iter(), &mut pool);
        assert!(log.is_empty());
    }

    #[test]
    fn an_emptied_log_gives_its_buffers_back() {
        let mut log = log_of(&["a"]);
        let buffers = log.forget_before(1).expect("the buffers");
        assert_eq!((log.end(), log.is_empty()), (1, true));
        assert!(log.forget_before(1).is_none());
        let mut pool = Pool::default();
        pool.give_back(buffers);
        log.push(Audience::All, &mut pool, |out| out.push(b'x'));
        assert!(pool.spare.is_empty(), "taken from the pool");
        assert_eq!((log.end(), log.bytes()), (2, &b"x"[..]));
    }
}
