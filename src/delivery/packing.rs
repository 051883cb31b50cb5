//! Entries of a ring, packed into a train of datagrams.
//!
//! A datagram takes as many entries as fit, and padding makes all datagrams but the last equal in
//! size: so the kernel can take them as one message and cut it up (`UDP_SEGMENT`, udp(7)). A train
//! is packed once, for any number of members.

use super::ring::Ring;
use crate::fanout::{Audience, Extent, Job, Share};
use crate::protocol::stream::downstream::{ENTRY_OVERHEAD, HEADER_SIZE};
use crate::protocol::stream::{self, Header, MAX_PACKED};

/// Bytes of the entry that counts lost entries.
const GONE_SIZE: usize = ENTRY_OVERHEAD + 4;

/// Limit for the bytes of a train: it is one message to the kernel, and with its headers it must
/// stay below the 65,535 bytes of an IP packet.
const MAX_BYTES: usize = 60_000;

/// One datagram of a train.
#[derive(Clone, Copy, Debug)]
struct Packet {
    /// The number of its first entry.
    first: u64,
    /// Number of lost entries that it counts.
    gone: u32,
    /// The number after its last entry.
    until: u64,
    /// Its size in bytes without padding.
    size: usize,
}

/// Consecutive datagrams.
#[derive(Debug, Default)]
pub(super) struct PacketTrain {
    packets: Vec<Packet>,
    bytes: Vec<u8>,
    entries: Vec<Extent>,
    /// True if the last datagram has no entries and asks for a confirmation.
    asks: bool,
}

impl PacketTrain {
    /// Packs the entries from one number to before another, into at most `max` datagrams and one
    /// message to the kernel. Entries that the ring has lost become an entry of kind gone.
    pub(super) fn pack(&mut self, ring: &Ring, tag: u32, numbers: (u64, u64), max: usize) {
        self.plan(ring, numbers, (max, MAX_BYTES));
        self.write(ring, tag);
    }

    /// As [`PacketTrain::pack`], with a limit of `bytes` beside that of datagrams; the first datagram may
    /// exceed it. If entries are left, a last datagram without entries asks for a confirmation.
    pub(super) fn pack_late(
        &mut self,
        ring: &Ring,
        tag: u32,
        numbers: (u64, u64),
        (max, bytes): (usize, usize),
    ) {
        self.plan(ring, numbers, (max, bytes.saturating_sub(HEADER_SIZE).min(MAX_BYTES)));
        if let Some(last) = self.packets.last().filter(|last| last.until < numbers.1) {
            let end = last.until;
            self.asks = true;
            self.packets.push(Packet { first: end, gone: 0, until: end, size: HEADER_SIZE });
        }
        self.write(ring, tag);
    }

    /// Packs one datagram without entries, which announces the next number.
    pub(super) fn pack_sequence(&mut self, tag: u32, next: u64) {
        self.asks = false;
        self.packets.clear();
        self.packets.push(Packet { first: next, gone: 0, until: next, size: HEADER_SIZE });
        self.bytes.clear();
        self.entries.clear();
        Header { tag, sequence: next }.encode(&mut self.bytes);
        self.entries.push(Extent { end: HEADER_SIZE as u32, audience: Audience::All });
    }

    /// Returns the number of datagrams.
    pub(super) fn len(&self) -> u32 {
        // At most `max`, which is small.
        self.packets.len() as u32
    }

    /// Returns true if the last datagram has no entries and asks for a confirmation.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Returns the index of the datagram that begins with this number.
    pub(super) fn index(&self, number: u64) -> Option<u32> {
        let packets = &self.packets[..self.packets.len() - usize::from(self.asks)];
        let index = packets.binary_search_by_key(&number, |packet| packet.first).ok()?;
        Some(index as u32)
    }

    /// Returns the first number of a datagram by its index, or the end of the train.
    pub(super) fn number(&self, index: u32) -> u64 {
        match self.packets.get(index as usize) {
            Some(packet) => packet.first,
            None => self.packets.last().map_or(0, |packet| packet.until),
        }
    }

    /// Returns the bytes of the datagrams from one index to before another, with their padding.
    pub(super) fn size(&self, from: u32, until: u32) -> usize {
        let end = |index: u32| match index.checked_sub(1) {
            Some(before) => self.entries[before as usize].end as usize,
            None => 0,
        };
        end(until).saturating_sub(end(from))
    }

    /// Returns the datagrams with their padding, in order.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let job = Job { bytes: &self.bytes, entries: &self.entries, to: &mut [], is_tagged: false };
        (0..self.len()).map(move |index| job.datagram(index))
    }

    /// Returns the job for these members. The sender writes their tags.
    pub(super) fn job<'a>(&'a self, to: &'a mut [Share]) -> Job<'a> {
        Job { bytes: &self.bytes, entries: &self.entries, to, is_tagged: true }
    }

    fn plan(&mut self, ring: &Ring, (from, until): (u64, u64), (max, bytes): (usize, usize)) {
        self.asks = false;
        self.packets.clear();
        let (mut next, mut largest) = (from, 0);
        while next < until && self.packets.len() < max {
            let packet = next_car(ring, next, until);
            largest = packet.size.max(largest);
            if (self.packets.len() + 1) * largest > bytes && !self.packets.is_empty() {
                break;
            }
            next = packet.until;
            self.packets.push(packet);
        }
    }

    fn write(&mut self, ring: &Ring, tag: u32) {
        self.bytes.clear();
        self.entries.clear();
        let size = self.packets.iter().map(|packet| packet.size).max().unwrap_or_default();
        for (index, packet) in self.packets.iter().enumerate() {
            let start = self.bytes.len();
            Header { tag, sequence: packet.first }.encode(&mut self.bytes);
            if packet.gone > 0 {
                stream::Entry::Gone { count: packet.gone }.encode(&mut self.bytes);
            }
            let held = packet.first + u64::from(packet.gone);
            if held < packet.until {
                ring.copy(held, packet.until, &mut self.bytes);
            }
            if index + 1 < self.packets.len() && packet.size < size {
                self.bytes.resize(start + size, 0);
            }
            self.entries.push(Extent { end: self.bytes.len() as u32, audience: Audience::All });
        }
    }
}

/// Returns the datagram that begins with `first`. It has as many entries as fit. One always does
/// (S16), unless the datagram counts lost entries.
fn next_car(ring: &Ring, first: u64, until: u64) -> Packet {
    let missed = ring.first().min(until).saturating_sub(first);
    let gone = u32::try_from(missed).unwrap_or(u32::MAX);
    let next = first + u64::from(gone);
    let told = HEADER_SIZE + if gone > 0 { GONE_SIZE } else { 0 };
    if next < ring.first() || next == until {
        return Packet { first, gone, until: next, size: told };
    }
    let until = ring.fit(next, until, MAX_PACKED - told).max(first + 1);
    Packet { first, gone, until, size: told + ring.size(next, until) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stream::MAX_ENTRY;
    use crate::protocol::stream::downstream::parse;

    const TAG: u32 = 7;
    const MOST_GONE: u64 = u32::MAX as u64;

    fn message(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        stream::Entry::Message { member: 1, id: 1, name: b"bob", text }.encode(&mut out);
        out
    }

    fn ring_of(sizes: impl IntoIterator<Item = usize>) -> Ring {
        let mut ring = Ring::new();
        ring.set_capacity(1 << 20);
        sizes.into_iter().for_each(|size| ring.push(&message(&vec![b'x'; size])));
        ring
    }

    fn sizes(train: &PacketTrain) -> Vec<usize> {
        train.datagrams().map(<[u8]>::len).collect()
    }

    /// Reads a train, which must have every number once, in order. Returns the end and the number of
    /// lost entries.
    fn read(train: &PacketTrain, from: u64) -> (u64, u64) {
        let (mut next, mut gone) = (from, 0);
        for datagram in train.datagrams() {
            let (header, entries) = parse(datagram).unwrap();
            assert_eq!(header, Header { tag: TAG, sequence: next });
            for entry in entries {
                next += entry.numbers();
                if let stream::Entry::Gone { count } = entry {
                    gone += u64::from(count);
                }
            }
        }
        (next, gone)
    }

    #[test]
    fn s2_datagrams_have_one_size() {
        let ring = ring_of([64; 100]);
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (1, 101), 99);
        let sizes = sizes(&train);
        let entry = message(&[0; 64]).len();
        let each = (MAX_PACKED - HEADER_SIZE) / entry;
        assert_eq!(sizes.len(), 100usize.div_ceil(each));
        let (last, others) = sizes.split_last().unwrap();
        assert!(others.iter().all(|size| *size == HEADER_SIZE + each * entry), "{sizes:?}");
        assert!(*last <= others[0], "the last needs no padding");
        assert_eq!(read(&train, 1), (101, 0));
    }

    #[test]
    fn s2_mixed_entries_are_padded() {
        let ring = ring_of((0..200).map(|n| 10 + n * 37 % 290));
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (1, 201), 99);
        let sizes = sizes(&train);
        let (_, others) = sizes.split_last().unwrap();
        assert!(others.len() > 20 && others.iter().all(|size| *size == others[0]));
        assert!(others[0] <= MAX_PACKED);
        assert_eq!(read(&train, 1), (201, 0));
    }

    #[test]
    fn s2_s16_largest_entry_fills_a_datagram() {
        let largest = MAX_ENTRY - message(b"").len();
        let ring = ring_of([10, largest, 10, 700, 700, 10]);
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (1, 7), 99);
        let last = HEADER_SIZE + message(&[0; 700]).len() + message(&[0; 10]).len();
        assert_eq!(sizes(&train), [MAX_PACKED, MAX_PACKED, MAX_PACKED, last]);
        assert_eq!(read(&train, 1), (7, 0));
    }

    #[test]
    fn s7_train_counts_lost_entries() {
        let mut ring = ring_of([64; 1000]);
        ring.set_capacity(9_000);
        let (first, end) = (ring.first(), ring.end());
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (5, end), 99);
        assert_eq!(read(&train, 5), (end, first - 5));
        train.pack(&ring, TAG, (5, 20), 99);
        assert_eq!(read(&train, 5), (20, 15), "all of it is gone");
        assert_eq!(train.len(), 1);
    }

    #[test]
    fn a6_s7_large_gone_count_is_split() {
        let mut ring = ring_of([64; 100]);
        ring.skip_numbers(1 << 33);
        let (first, end) = (ring.first(), ring.end());
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (5, end), 99);
        assert_eq!(read(&train, 5), (end, first - 5));
        assert_eq!(train.number(1), 5 + MOST_GONE);
    }

    #[test]
    fn s7_gone_and_large_entry_are_split() {
        let mut ring = ring_of([64, MAX_ENTRY - message(b"").len()]);
        ring.set_capacity(1200);
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (1, 3), 99);
        assert!(sizes(&train).iter().all(|size| *size <= MAX_PACKED));
        assert_eq!((train.len(), read(&train, 1)), (2, (3, 1)));
    }

    #[test]
    fn a_train_is_indexed_by_number() {
        let ring = ring_of([500; 10]);
        let mut train = PacketTrain::default();
        train.pack(&ring, TAG, (1, 11), 3);
        assert_eq!((train.len(), train.number(0), train.number(3)), (3, 1, 7));
        assert_eq!(
            [1, 2, 3, 5, 7].map(|n| train.index(n)),
            [Some(0), None, Some(1), Some(2), None]
        );
    }
}
