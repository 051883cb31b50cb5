//! A model of the server for one member, as far as the member can observe it.

use std::time::Duration;

use super::{MEMBER, TAG};
use crate::protocol::stream::downstream::{self, parse_entry};
use crate::protocol::stream::upstream::{self, Range, Upstream};
use crate::protocol::stream::{Code, Entry, Header, MAX_PACKED, MAX_REPAIR, parts};

/// The most bytes that it repairs at once, and what it gives back each second (S10).
const REPAIR_BUDGET: usize = 64 << 10;
const REFILL_IN_A_SECOND: f64 = 16384.0;

/// The server.
pub(in crate::stream) struct Server {
    pub(in crate::stream) first: u64,
    /// All entries so far.
    entries: Vec<Vec<u8>>,
    /// Entries below this number are no longer held.
    pub(super) floor: u64,
    /// The next entry to send, after the member's first datagram.
    pub(super) cursor: u64,
    proved: bool,
    confirmed: u64,
    repair_budget: f64,
    refilled: Duration,
    expected: u32,
    /// The texts that were taken, and the parts of the next one so far.
    pub(super) taken: Vec<Vec<u8>>,
    begun: Vec<u8>,
    /// Repair requests so far.
    pub(super) requests: usize,
    pub(super) refused: usize,
    /// The time of the next message that is taken, and the time between two.
    pub(in crate::stream) pace: Option<(Duration, Duration)>,
}

impl Server {
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            entries: Vec::new(),
            floor: first,
            cursor: first,
            proved: false,
            confirmed: first,
            repair_budget: REPAIR_BUDGET as f64,
            refilled: Duration::ZERO,
            expected: 1,
            taken: Vec::new(),
            begun: Vec::new(),
            requests: 0,
            refused: 0,
            pace: None,
        }
    }

    pub(in crate::stream) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn entry(&self, number: u64) -> &[u8] {
        &self.entries[usize::try_from(number - self.first).unwrap()]
    }

    pub(in crate::stream) fn say(&mut self, member: u32, id: u32, text: &[u8]) {
        let mut bytes = Vec::new();
        let text = str::from_utf8(text).expect("UTF-8");
        parts::encode_message((member, id), "somebody", text, &mut bytes);
        let mut entries = downstream::entries(&bytes);
        while let Some((entry, _)) = entries.next_with_bytes() {
            self.entries.push(entry.to_vec());
        }
    }

    /// Forgets the oldest entries, in whole messages.
    pub(in crate::stream) fn forget_before(&mut self, number: u64) {
        self.floor = number.max(self.floor);
        while self.floor > self.first && self.is_part(self.floor - 1) {
            self.floor += 1;
        }
    }

    fn is_part(&self, number: u64) -> bool {
        matches!(parse_entry(self.entry(number)), Some(Entry::Part { .. }))
    }

    /// Returns datagrams with the entries that were not sent yet.
    pub(in crate::stream) fn deliver(&mut self) -> Vec<Vec<u8>> {
        if !self.proved {
            return Vec::new();
        }
        let datagrams = self.pack(self.cursor, self.next());
        self.cursor = self.next();
        datagrams
    }

    fn pack(&self, from: u64, to: u64) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        let mut number = from;
        if from < self.floor {
            let count = u32::try_from(self.floor.min(to) - from).unwrap();
            datagrams.push(datagram(from, &[Entry::Gone { count }]));
            number = self.floor;
        }
        while number < to {
            let mut out = datagram(number, &[]);
            out.extend_from_slice(self.entry(number));
            number += 1;
            while number < to && out.len() + self.entry(number).len() <= MAX_PACKED {
                out.extend_from_slice(self.entry(number));
                number += 1;
            }
            assert!(out.len() <= MAX_PACKED);
            datagrams.push(out);
        }
        datagrams
    }

    pub(super) fn answer(&mut self, body: &[u8], now: Duration) -> Vec<Vec<u8>> {
        self.proved = true;
        let mut answers = match upstream::parse(body).expect("a valid message") {
            Upstream::KeepAlive => Vec::new(),
            Upstream::Have { next } => self.answer_have(next),
            Upstream::Message { id, text } => self.answer_message(id, text, now),
            Upstream::Part { id, text } => vec![self.keep_part(id, text)],
            Upstream::Repair(ranges) => self.answer_repair(&ranges.iter().collect::<Vec<_>>(), now),
        };
        answers.extend(self.deliver());
        answers
    }

    fn answer_have(&mut self, next: u64) -> Vec<Vec<u8>> {
        assert!(next <= self.next());
        for number in self.confirmed..next {
            self.repair_budget += self.entry(number).len() as f64;
        }
        self.repair_budget = self.repair_budget.min(REPAIR_BUDGET as f64);
        self.confirmed = self.confirmed.max(next);
        vec![self.aside(Code::State, 0)]
    }

    fn answer_message(&mut self, id: u32, text: &[u8], now: Duration) -> Vec<Vec<u8>> {
        if id != self.expected {
            return vec![self.aside(Code::State, id)];
        }
        if !self.has_token(now) {
            self.refused += 1;
            return vec![self.aside(Code::RateLimited, id)];
        }
        self.expected += 1;
        let text = [std::mem::take(&mut self.begun), text.to_vec()].concat();
        if text.starts_with(b"/") {
            self.taken.push(text);
            return vec![self.aside(Code::Answer, id)];
        }
        self.say(MEMBER, id, &text);
        self.taken.push(text);
        Vec::new()
    }

    fn keep_part(&mut self, id: u32, text: &[u8]) -> Vec<u8> {
        if id == self.expected {
            self.expected += 1;
            self.begun.extend_from_slice(text);
        }
        self.aside(Code::State, id)
    }

    fn has_token(&mut self, now: Duration) -> bool {
        let Some((at, every)) = self.pace else { return true };
        if now >= at {
            self.pace = Some((at.max(now.saturating_sub(every)) + every, every));
        }
        now >= at
    }

    fn aside(&self, code: Code, id: u32) -> Vec<u8> {
        let aside = Entry::Aside { code: code as u8, expected: self.expected, id, text: b"" };
        datagram(self.next(), &[aside])
    }

    fn answer_repair(&mut self, ranges: &[Range], now: Duration) -> Vec<Vec<u8>> {
        self.requests += 1;
        self.repair_budget += (now - self.refilled).as_secs_f64() * REFILL_IN_A_SECOND;
        self.repair_budget = self.repair_budget.min(REPAIR_BUDGET as f64);
        self.refilled = now;
        let mut datagrams = Vec::new();
        for Range { from, count } in ranges {
            let to = from + u64::from(*count);
            assert!(*from >= self.first && to <= self.next() && *count > 0);
            datagrams.extend(self.pack(*from, to));
        }
        datagrams.truncate(MAX_REPAIR);
        datagrams.retain(|datagram| {
            let sent = self.repair_budget >= datagram.len() as f64;
            self.repair_budget -= if sent { datagram.len() as f64 } else { 0.0 };
            sent
        });
        datagrams
    }
}

/// Encodes a datagram.
pub(super) fn datagram(sequence: u64, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { tag: TAG, sequence }.encode(&mut out);
    entries.iter().for_each(|entry| entry.encode(&mut out));
    out
}
