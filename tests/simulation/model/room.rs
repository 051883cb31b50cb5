//! A room of the model, and the entries of its stream.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::bans::Ban;
use super::presence::Presence;

/// Size of the index of an entry in the ring, beside its bytes.
const INDEX_SIZE: usize = 4;

/// Guaranteed size of every ring. Below half of it no message is put off, and below almost all of it
/// no notice is dropped.
pub const RING: usize = 6 * 1024;

/// Backlog that a room may have for plain delivery before notices are dropped.
const WAITING: usize = 256 * 1024;

/// An entry that a member is owed. It may be missing if too much was waiting.
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
    pub sealed_only: bool,
    pub capacity: Option<u32>,
    pub history: u32,
    /// Bans, oldest first.
    pub bans: Vec<Ban>,
    /// Subnets from which somebody has shown the password.
    pub visitors: BTreeSet<IpAddr>,
    /// Live members in the order of joining.
    pub members: Vec<usize>,
    pub last_number: u32,
    pub presence: Presence,
    pub life: Option<u32>,
    /// Bytes that were appended since nothing was waiting.
    pub stream_load: usize,
    pub each_load: usize,
    /// Entries that the stream must hold, in order.
    script: Vec<Owed>,
    /// Entries that the stream was seen to hold, by number.
    seen: BTreeMap<u64, Rc<[u8]>>,
    /// The first number and the first index in `script` that were not compared yet.
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
            sealed_only: false,
            capacity: None,
            history: 0,
            bans: Vec::new(),
            visitors: BTreeSet::new(),
            members: Vec::new(),
            last_number: 0,
            presence: Presence::default(),
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

    /// Checks that no message begins before this number and continues behind it.
    pub fn check_boundary(&self, number: u64) {
        if let Some(before) = self.seen.get(&(number - 1)) {
            assert_ne!(before[2], 3, "number {number} is within a message");
        }
    }

    /// Returns the upper bound of the stream's next number.
    pub fn highest_end(&self) -> u64 {
        1 + self.script.len() as u64
    }

    /// Returns the number after the last entry that was seen.
    pub fn seen_end(&self) -> u64 {
        self.seen.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    pub fn entry_size(&self, number: u64) -> Option<usize> {
        Some(self.seen.get(&number)?.len())
    }

    /// Notes an entry that was sent. It must be the same for everyone, and one of the script.
    pub fn see(&mut self, number: u64, bytes: &[u8]) {
        if let Some(known) = self.seen.get(&number) {
            assert_eq!(&**known, bytes, "one order for all, number {number}");
            return;
        }
        assert!(number < self.highest_end(), "an unexpected entry, number {number}");
        self.seen.insert(number, bytes.into());
        while let Some(bytes) = self.seen.get(&self.checked.0) {
            let (number, from) = self.checked;
            self.checked = (number + 1, 1 + find(&self.script, from, 0, bytes));
        }
    }

    /// Returns the lower bound of the bytes from this number on.
    pub fn seen_since(&self, number: u64) -> usize {
        self.seen.range(number..).map(|(_, bytes)| bytes.len()).sum()
    }

    /// Compares the entries behind numbers that nobody was sent.
    pub fn check_rest(&self) {
        let (mut next, mut from) = self.checked;
        for (number, bytes) in self.seen.range(next..) {
            from = 1 + find(&self.script, from, number - next, bytes);
            next = number + 1;
        }
    }
}

/// Returns the index of an entry in the script, from an index on, behind `unsent` numbers that
/// nobody was sent. Skips entries that may be missing, and as many others as there are such numbers.
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
