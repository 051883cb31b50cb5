//! A room as the model knows it, and its stream as the members see it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::bans::Ban;
use super::presence::Arrivals;

/// What finding an entry costs the ring beside its bytes.
const INDEX_SIZE: usize = 4;

/// Every ring may have so much, so below half of it no message is put off, and below almost all of it
/// no notice is dropped.
pub const RING: usize = 6 * 1024;

/// What may wait in a room for those who get a datagram for each entry, and what notices get beyond.
const WAITING: usize = 256 * 1024;

/// What was said, and perhaps dropped because too much was waiting.
pub struct Owed {
    pub bytes: Rc<[u8]>,
    pub may_be_missing: bool,
}

/// A room from its creation on.
pub struct Room {
    pub name: String,
    pub is_open: bool,
    pub host: usize,
    pub creator: IpAddr,
    pub password: Option<String>,
    pub hidden: bool,
    pub capacity: Option<u32>,
    pub history: u32,
    /// Bans, oldest first.
    pub bans: Vec<Ban>,
    /// Subnets from which somebody has shown the password.
    pub visitors: BTreeSet<IpAddr>,
    /// Live members in the order of joining.
    pub members: Vec<usize>,
    pub last_number: u32,
    pub arrivals: Arrivals,
    pub life: Option<u32>,
    /// Bytes that were appended since nothing waited.
    pub stream_load: usize,
    pub each_load: usize,
    /// What the stream has to hold, in order.
    script: Vec<Owed>,
    /// What it was seen to hold, by number.
    seen: BTreeMap<u64, Rc<[u8]>>,
    /// Up to where the one was held against the other: a number and an index.
    checked: (u64, usize),
}

impl Room {
    pub fn new(name: &str, creator: IpAddr) -> Self {
        Self {
            name: name.into(),
            is_open: true,
            host: usize::MAX,
            creator,
            password: None,
            hidden: false,
            capacity: None,
            history: 0,
            bans: Vec::new(),
            visitors: BTreeSet::new(),
            members: Vec::new(),
            last_number: 0,
            arrivals: Arrivals::default(),
            life: None,
            stream_load: 0,
            each_load: 0,
            script: Vec::new(),
            seen: BTreeMap::new(),
            checked: (1, 0),
        }
    }

    pub fn banned_names(&self) -> impl Iterator<Item = String> {
        self.bans.iter().map(|ban| ban.name.clone())
    }

    pub fn may_be_busy(&self, entry: usize) -> bool {
        let of_stream = self.life.is_some()
            && self.stream_load > 0
            && self.stream_load + entry + INDEX_SIZE > RING / 2;
        of_stream || self.each_load + entry > WAITING
    }

    pub fn may_drop_notice(&self, entry: usize) -> bool {
        let of_stream =
            self.life.is_some() && self.stream_load > 0 && self.stream_load + 2 * entry > RING;
        of_stream || self.may_drop_aside()
    }

    pub fn may_drop_aside(&self) -> bool {
        self.each_load > WAITING
    }

    /// Appends an entry to the stream, if there is one.
    pub fn append(&mut self, bytes: &[u8], may_be_missing: bool) {
        if self.life.is_some() {
            self.stream_load += bytes.len() + INDEX_SIZE;
            self.script.push(Owed { bytes: bytes.into(), may_be_missing });
        }
    }

    /// No message begins before this number and goes on behind it, as far as entries were seen.
    pub fn check_boundary(&self, number: u64) {
        if let Some(before) = self.seen.get(&(number - 1)) {
            assert_ne!(before[2], 3, "number {number} is within a message");
        }
    }

    /// The most that the stream can have given as its next number.
    pub fn highest_end(&self) -> u64 {
        1 + self.script.len() as u64
    }

    /// The number after the last entry that was seen.
    pub fn seen_end(&self) -> u64 {
        self.seen.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    pub fn entry_size(&self, number: u64) -> Option<usize> {
        Some(self.seen.get(&number)?.len())
    }

    /// An entry was sent to somebody: it is the same for everyone, and it is what was said.
    pub fn see(&mut self, number: u64, bytes: &[u8]) {
        if let Some(known) = self.seen.get(&number) {
            assert_eq!(&**known, bytes, "one order for all, number {number}");
            return;
        }
        assert!(number < self.highest_end(), "an entry that nobody said, number {number}");
        self.seen.insert(number, bytes.into());
        while let Some(bytes) = self.seen.get(&self.checked.0) {
            let (number, from) = self.checked;
            self.checked = (number + 1, 1 + find(&self.script, from, 0, bytes));
        }
    }

    /// How much was seen from this number on, at least.
    pub fn seen_since(&self, number: u64) -> usize {
        self.seen.range(number..).map(|(_, bytes)| bytes.len()).sum()
    }

    /// Holds what was seen behind numbers that nobody was sent against what was said.
    pub fn check_rest(&self) {
        let (mut next, mut from) = self.checked;
        for (number, bytes) in self.seen.range(next..) {
            from = 1 + find(&self.script, from, number - next, bytes);
            next = number + 1;
        }
    }
}

/// Where in the script the entry is, from an index on, behind so many numbers that nobody was sent. What
/// may be missing is passed over, and as many others as there are such numbers.
fn find(script: &[Owed], from: usize, unsent: u64, bytes: &[u8]) -> usize {
    let mut left = unsent;
    for (index, owed) in script.iter().enumerate().skip(from) {
        if (index - from) as u64 >= unsent && *owed.bytes == *bytes {
            return index;
        }
        if !owed.may_be_missing {
            let text = String::from_utf8_lossy(bytes);
            assert!(
                left > 0,
                "{:?} is missing before {text:?}",
                String::from_utf8_lossy(&owed.bytes)
            );
            left -= 1;
        }
    }
    panic!("in the wrong order or twice: {:?}", String::from_utf8_lossy(bytes));
}
