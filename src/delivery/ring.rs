//! Ring buffer of the last entries of a room's stream, encoded as in datagrams.
//!
//! A new entry drops the oldest ones, whole messages of them: with one part of a long message all of
//! its parts go, so that the ring never begins within a message. No number of an entry is used
//! twice, so a cursor below the ring tells how many entries it has missed.

use std::collections::VecDeque;

use crate::protocol::stream::downstream::{KIND_AT, KIND_PART, entries};

/// Bytes of the index of an entry, beside its own.
const INDEX_SIZE: usize = size_of::<u32>();

/// First capacity of a ring. It doubles as the room speaks, so a quiet room takes little memory.
pub(super) const FIRST_CAPACITY: usize = 768;

/// Encoded entries, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    /// The number of the first entry in memory.
    first: u64,
    /// Start of each entry, in bytes since the start of the stream, modulo 2^32: a ring is far
    /// smaller than that.
    starts: VecDeque<u32>,
    /// Start of the next entry.
    end: u32,
    bytes: VecDeque<u8>,
    capacity: usize,
}

impl Ring {
    /// Returns an empty ring. Its first entry gets the number 1.
    pub(super) fn new() -> Self {
        let (starts, bytes) = (VecDeque::new(), VecDeque::new());
        Self { first: 1, starts, end: 0, bytes, capacity: FIRST_CAPACITY }
    }

    /// Numbers the entries as if `numbers` others had come before them.
    #[cfg(test)]
    pub(super) fn skip_numbers(&mut self, numbers: u64) {
        self.first += numbers;
    }

    /// Returns the number of the first entry in memory.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number of the next entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.starts.len() as u64
    }

    /// Returns the bytes that it may hold, with the index.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns true if an entry of so many bytes drops no other.
    pub(super) fn has_space_for(&self, entry: usize) -> bool {
        self.used() + entry + INDEX_SIZE <= self.capacity
    }

    /// Returns the number of the first entry that is left if one of so many bytes is appended.
    pub(super) fn first_after(&self, entry: usize) -> u64 {
        let mut free = self.capacity.saturating_sub(self.used());
        let mut first = self.first;
        while free < entry + INDEX_SIZE && first < self.end() {
            let next = self.message_end(first);
            free += self.size(first, next) + INDEX_SIZE * (next - first) as usize;
            first = next;
        }
        first
    }

    /// Returns the number after the last entry of the message that the entry `number` belongs to.
    pub(super) fn message_end(&self, number: u64) -> u64 {
        let mut last = number;
        while self.is_part(last) {
            last += 1;
        }
        (last + 1).min(self.end())
    }

    /// Returns `number`, or the end of the message if `number` is within one.
    pub(super) fn align(&self, number: u64) -> u64 {
        match number.checked_sub(1) {
            Some(before) if number > self.first => self.message_end(before),
            _ => number,
        }
    }

    /// Returns true if more parts of the message follow this entry. The ring must hold the entry.
    fn is_part(&self, number: u64) -> bool {
        self.bytes.get(self.size(self.first, number) + KIND_AT) == Some(&KIND_PART)
    }

    /// Returns the bytes of a ring that consecutive entries take, without the index of the first.
    pub(super) fn size_of(message: &[u8]) -> usize {
        message.len() + INDEX_SIZE * entries(message).count().saturating_sub(1)
    }

    /// Appends a message, which is one entry or several parts.
    pub(super) fn push_message(&mut self, message: &[u8]) {
        let mut parts = entries(message);
        while let Some((entry, _)) = parts.next_with_bytes() {
            self.push(entry);
        }
    }

    /// Appends an entry. It drops the oldest ones if they leave no space.
    pub(super) fn push(&mut self, entry: &[u8]) {
        while !self.has_space_for(entry.len()) && !self.starts.is_empty() {
            self.drop_first();
        }
        self.starts.push_back(self.end);
        self.end = self.end.wrapping_add(entry.len() as u32);
        self.bytes.extend(entry);
    }

    /// Sets the capacity in bytes. A smaller one drops the oldest entries.
    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.used() > capacity && !self.starts.is_empty() {
            self.drop_first();
        }
        // Exactly, because a deque that grows by itself doubles.
        let len = self.bytes.len();
        self.bytes.reserve_exact(capacity.saturating_sub(len));
        self.bytes.shrink_to(capacity);
        self.starts.shrink_to(2 * self.starts.len());
    }

    /// Returns the bytes of the entries from one number to before another. Both are in memory or the
    /// end.
    pub(super) fn size(&self, from: u64, until: u64) -> usize {
        self.start(until).wrapping_sub(self.start(from)) as usize
    }

    /// Returns the number, at most `until`, before which the entries from `from` on fit so many bytes.
    pub(super) fn fit(&self, from: u64, until: u64, space: usize) -> u64 {
        let mut next = from;
        while next < until && self.size(from, next + 1) <= space {
            next += 1;
        }
        next
    }

    /// Appends entries to `out`.
    pub(super) fn copy(&self, from: u64, until: u64, out: &mut Vec<u8>) {
        let start = self.size(self.first, from);
        let end = self.size(self.first, until);
        let (front, back) = self.bytes.as_slices();
        let split = front.len();
        out.extend_from_slice(&front[start.min(split)..end.min(split)]);
        out.extend_from_slice(&back[start.max(split) - split..end.max(split) - split]);
    }

    fn used(&self) -> usize {
        self.bytes.len() + INDEX_SIZE * self.starts.len()
    }

    /// Returns the start of an entry in memory, or of the next one.
    fn start(&self, number: u64) -> u32 {
        self.starts.get((number - self.first) as usize).copied().unwrap_or(self.end)
    }

    /// Drops the oldest message, with all of its parts.
    fn drop_first(&mut self) {
        let next = self.message_end(self.first);
        let size = self.size(self.first, next);
        self.bytes.drain(..size);
        self.starts.drain(..(next - self.first) as usize);
        self.first = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(ring: &Ring, from: u64, until: u64) -> Vec<u8> {
        let mut out = Vec::new();
        ring.copy(from, until, &mut out);
        out
    }

    #[test]
    fn s12_ring_drops_the_oldest() {
        let mut ring = Ring::new();
        ring.set_capacity(3 * (10 + INDEX_SIZE));
        for number in 1..=100u8 {
            assert!(ring.first_after(10) <= u64::from(number));
            let first_after = ring.first_after(10);
            ring.push(&[number; 10]);
            assert_eq!(ring.first(), first_after);
        }
        assert_eq!((ring.first(), ring.end()), (98, 101));
        assert_eq!(copied(&ring, 98, 100), [[98; 10], [99; 10]].concat());
        assert_eq!(copied(&ring, 101, 101), b"");
        assert_eq!((ring.size(98, 101), ring.fit(98, 101, 29)), (30, 100));
    }

    #[test]
    fn s12_ring_holds_one_large_entry() {
        let mut ring = Ring::new();
        ring.push(b"small");
        ring.push(&[7; 4082]);
        assert_eq!((ring.first(), ring.end()), (2, 3));
        assert_eq!(copied(&ring, 2, 3), [7; 4082]);
    }

    #[test]
    fn s12_shrunk_ring_keeps_the_newest() {
        let mut ring = Ring::new();
        ring.set_capacity(10_000);
        (0..50u8).for_each(|n| ring.push(&[n; 100]));
        ring.set_capacity(1_000);
        assert_eq!((ring.first(), ring.end()), (42, 51));
        assert!(ring.bytes.capacity() <= 1_000);
        assert_eq!(copied(&ring, 50, 51), [49; 100]);
    }

    #[test]
    fn s12_offsets_wrap_at_2_to_the_32() {
        let mut ring = Ring::new();
        ring.end = u32::MAX - 5;
        ring.push(&[1; 10]);
        ring.push(&[2; 10]);
        assert_eq!((ring.size(1, 2), ring.size(2, 3)), (10, 10));
        assert_eq!(copied(&ring, 2, 3), [2; 10]);
    }
}
