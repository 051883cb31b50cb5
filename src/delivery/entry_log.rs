//! A log of encoded entries that wait to be sent, each with its audience.
//!
//! No number of an entry is used twice in a log, so a cursor stays valid while the log is filled at
//! one end and emptied at the other.

use std::mem;

use super::shrink::shrink_list;
use crate::fanout::{Audience, Extent, Job, Share};

/// The memory of a log. Quiet rooms have none.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    entries: Vec<Extent>,
    bytes: Vec<u8>,
}

/// Spare buffers for rooms that speak: relaying in the steady state allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Pool {
    spare: Vec<Buffers>,
    spare_bytes: usize,
}

/// Limit for the bytes of all spare buffers. It is enough for a thousand rooms that speak, or thirty
/// that flood. More is freed, so that a burst of busy rooms does not keep its memory for ever.
const MAX_SPARE_BYTES: usize = 8 << 20;

/// Size of new buffers: enough for a turn of a room that is not flooded, a page of bytes and the
/// entries in it.
const FIRST_BYTES: usize = 4096;
const FIRST_ENTRIES: usize = 64;

impl Buffers {
    fn with_room() -> Self {
        let (entries, bytes) = (FIRST_ENTRIES, FIRST_BYTES);
        Self { entries: Vec::with_capacity(entries), bytes: Vec::with_capacity(bytes) }
    }

    /// Returns the bytes of memory.
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

    /// Keeps buffers for later, unless there are enough.
    pub(super) fn give_back(&mut self, mut buffers: Buffers) {
        let size = buffers.capacity();
        if size > 0 && self.spare_bytes + size <= MAX_SPARE_BYTES {
            buffers.entries.clear();
            buffers.bytes.clear();
            self.spare_bytes += size;
            self.spare.push(buffers);
        }
    }
}

/// Waiting entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct EntryLog {
    /// The number of the first entry in memory.
    first: u64,
    buffers: Buffers,
    /// Bytes at the front that everybody has got and that are not freed yet.
    passed_bytes: usize,
}

impl EntryLog {
    /// Returns the number of the next entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.buffers.entries.len() as u64
    }

    /// Returns the index of an entry by its number.
    pub(super) fn index(&self, number: u64) -> u32 {
        // No cursor is below the first entry in memory, and a log has far fewer than 2^32 entries.
        (number - self.first) as u32
    }

    /// Returns the number of an entry by its index.
    pub(super) fn number(&self, index: u32) -> u64 {
        self.first + u64::from(index)
    }

    /// Returns the size of an entry by its number.
    pub(super) fn size(&self, number: u64) -> usize {
        let index = self.index(number) as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.buffers.entries[before].end);
        (self.buffers.entries[index].end - start) as usize
    }

    /// Returns the bytes that somebody has still to get.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.buffers.bytes.len() - self.passed_bytes
    }

    /// Returns the bytes of memory in use. They include entries that are not freed yet, and the
    /// extents, which take more than the bytes of short entries.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffers.bytes.len() + size_of::<Extent>() * self.buffers.entries.len()
    }

    /// Returns the extents of the entries.
    pub(super) fn extents(&self) -> &[Extent] {
        &self.buffers.entries
    }

    /// Returns the job for these shares.
    pub(super) fn job<'a>(&'a self, to: &'a mut [Share]) -> Job<'a> {
        let Buffers { entries, bytes } = &self.buffers;
        Job { bytes, entries, to, is_tagged: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffers.entries.is_empty()
    }

    /// Appends an entry that `encode` writes.
    pub(super) fn push(
        &mut self,
        audience: Audience,
        pool: &mut Pool,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.buffers.entries.capacity() == 0 {
            self.buffers = pool.take();
        }
        encode(&mut self.buffers.bytes);
        // The waiting bytes of a room are limited far below 4 GiB: see `feed.rs`.
        let end = self.buffers.bytes.len() as u32;
        self.buffers.entries.push(Extent { end, audience });
    }

    /// Forgets the entries before `number`, which everybody has got. Returns the buffers if nothing is
    /// left. While some members are behind, memory is freed only when it is half of all, so that each
    /// byte is moved once on average.
    pub(super) fn forget_before(&mut self, number: u64) -> Option<Buffers> {
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

    /// Forgets all entries but those with these indices, in order. Returns the buffers to the pool if
    /// nothing is left.
    pub(super) fn retain(&mut self, kept: impl Iterator<Item = u32>, pool: &mut Pool) {
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
    fn numbers_outlive_the_front() {
        let mut log = log_of(&["aaaa", "bb", "c"]);
        assert_eq!((log.end(), log.index(2), log.number(2)), (3, 2, 2));
        assert!(log.forget_before(1).is_none());
        assert_eq!((log.end(), log.buffers.bytes.as_slice()), (3, &b"bbc"[..]));
        assert_eq!((log.index(2), log.extents()[1].end), (1, 3));
    }

    #[test]
    fn small_front_is_not_moved() {
        let mut log = log_of(&["a", "bbbbbbbb"]);
        assert!(log.forget_before(1).is_none());
        assert_eq!((log.buffers.bytes.as_slice().len(), log.waiting_bytes()), (9, 8));
        assert_eq!(log.index(1), 1);
    }

    #[test]
    fn retain_keeps_bytes_and_order() {
        let mut log = log_of(&["aa", "b", "ccc", "d"]);
        let mut pool = Pool::default();
        log.retain([1, 3].into_iter(), &mut pool);
        assert_eq!((log.buffers.bytes.as_slice(), log.extents().len()), (&b"bd"[..], 2));
        assert_eq!(log.extents()[1].end, 2);
        log.retain([].into_iter(), &mut pool);
        assert!(log.is_empty());
    }

    #[test]
    fn empty_log_returns_its_buffers() {
        let mut log = log_of(&["a"]);
        let buffers = log.forget_before(1).expect("the buffers");
        assert_eq!((log.end(), log.is_empty()), (1, true));
        assert!(log.forget_before(1).is_none());
        let mut pool = Pool::default();
        pool.give_back(buffers);
        log.push(Audience::All, &mut pool, |out| out.push(b'x'));
        assert!(pool.spare.is_empty(), "taken from the pool");
        assert_eq!((log.end(), log.buffers.bytes.as_slice()), (2, &b"x"[..]));
    }
}
