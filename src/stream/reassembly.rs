//! Joins the parts of long messages (S16).
//!
//! Entries come in order and without gaps. If a part of a message is gone, the message can't be
//! shown, so its other parts count as gone too.

use super::event::Event;
use crate::protocol::stream::{Entry, MAX_TEXT};

/// The state between two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Assembly {
    /// No message has begun: the next entry is a message, its first part, or a notice.
    Between,
    /// Parts of this message have come, and more follow.
    Within { first: u64, member: u32, id: u32, is_late: bool },
    /// The next entry may belong to a message that is lost from the entry `first` on.
    Lost { first: u64 },
}

/// The received parts of a message.
#[derive(Debug)]
pub(super) struct Reassembler {
    assembly: Assembly,
    text: Vec<u8>,
}

impl Reassembler {
    pub(super) fn new() -> Self {
        Self { assembly: Assembly::Between, text: Vec::new() }
    }

    /// Returns the number of the first entry of the message whose last part is still to come.
    pub(super) fn first(&self) -> Option<u64> {
        match self.assembly {
            Assembly::Between => None,
            Assembly::Within { first, .. } | Assembly::Lost { first } => Some(first),
        }
    }

    /// Accepts the next entry (a message, a part or a notice) and delivers the event that it
    /// completes. Returns the number of entries that turn out to be gone.
    pub(super) fn accept(
        &mut self,
        number: u64,
        entry: Entry<'_>,
        is_late: bool,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> u64 {
        let gone = if self.continues(&entry) { 0 } else { self.give_up(number, deliver) };
        match entry {
            Entry::Part { member, id, text, .. } => {
                self.append((number, member, id), text, is_late);
                gone
            }
            Entry::Message { member, id, name, text } => {
                gone + self.complete(number, (member, id), (name, text), is_late, deliver)
            }
            Entry::Notice { code, member, name, text } => {
                deliver(Event::Notice { number, code, member, name, text });
                gone
            }
            Entry::Aside { .. } | Entry::Gone { .. } | Entry::Unknown => gone,
        }
    }

    /// Accepts that the next `count` entries, from `first` on, are gone. If they are aligned, no
    /// message goes on behind them. Returns the number of entries that are gone, including earlier
    /// parts of the same message.
    pub(super) fn accept_gone(
        &mut self,
        (first, count): (u64, u64),
        is_aligned: bool,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> u64 {
        let end = first + count;
        let first = self.first().unwrap_or(first);
        self.text.clear();
        self.assembly = if is_aligned { Assembly::Between } else { Assembly::Lost { first: end } };
        deliver(Event::Gone { first, count: end - first });
        end - first
    }

    /// Returns true if an entry can belong to the message that has begun.
    fn continues(&self, entry: &Entry<'_>) -> bool {
        match (self.assembly, entry) {
            (
                Assembly::Within { member, id, .. },
                Entry::Part { member: its_member, id: its_id, .. }
                | Entry::Message { member: its_member, id: its_id, .. },
            ) => (member, id) == (*its_member, *its_id),
            (Assembly::Lost { .. }, Entry::Part { .. } | Entry::Message { .. }) => true,
            _ => false,
        }
    }

    fn append(&mut self, (number, member, id): (u64, u32, u32), text: &[u8], is_late: bool) {
        let (first, was_late) = match self.assembly {
            Assembly::Lost { .. } => return,
            Assembly::Between => (number, false),
            Assembly::Within { first, is_late, .. } => (first, is_late),
        };
        if self.text.len() + text.len() > MAX_TEXT {
            // No server relays a message this long.
            self.text.clear();
            self.assembly = Assembly::Lost { first };
            return;
        }
        self.text.extend_from_slice(text);
        self.assembly = Assembly::Within { first, member, id, is_late: is_late || was_late };
    }

    /// Delivers the message that this entry ends.
    fn complete(
        &mut self,
        number: u64,
        (member, id): (u32, u32),
        (name, text): (&[u8], &[u8]),
        is_late: bool,
        deliver: &mut impl FnMut(Event<'_>),
    ) -> u64 {
        match self.assembly {
            Assembly::Lost { .. } => return self.give_up(number + 1, deliver),
            Assembly::Between => {
                deliver(Event::Message { number, member, id, name, text, is_late })
            }
            Assembly::Within { is_late: was_late, .. } => {
                self.text.extend_from_slice(text);
                let (text, is_late) = (&self.text[..], is_late || was_late);
                deliver(Event::Message { number, member, id, name, text, is_late });
                self.text.clear();
                self.assembly = Assembly::Between;
            }
        }
        0
    }

    /// Drops the message that has begun, up to the entry `end`. Returns the number of lost entries.
    fn give_up(&mut self, end: u64, deliver: &mut impl FnMut(Event<'_>)) -> u64 {
        let Some(first) = self.first() else { return 0 };
        self.text.clear();
        self.assembly = Assembly::Between;
        if first < end {
            deliver(Event::Gone { first, count: end - first });
        }
        end - first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn part(member: u32, id: u32, text: &[u8]) -> Entry<'_> {
        Entry::Part { member, id, name: b"ann", text }
    }

    const fn message(member: u32, id: u32, text: &[u8]) -> Entry<'_> {
        Entry::Message { member, id, name: b"ann", text }
    }

    const NOTICE: Entry<'static> = Entry::Notice { code: 1, member: 1, name: b"", text: b"joined" };

    /// Accepts entries, the first with the number 1, and returns the delivered events.
    fn joined(entries: &[Entry<'_>]) -> Vec<String> {
        let (mut reassembler, mut out, mut gone) = (Reassembler::new(), Vec::new(), 0);
        for (number, entry) in (1..).zip(entries) {
            let mut deliver = |event: Event<'_>| out.push(shown(&event));
            gone += match entry {
                // Each stands for one entry; here the count 2 marks an aligned one.
                Entry::Gone { count } => {
                    reassembler.accept_gone((number, 1), *count == 2, &mut deliver)
                }
                entry => reassembler.accept(number, *entry, false, &mut deliver),
            };
        }
        let told = out.iter().filter_map(|line| line.strip_prefix("gone ")?.split_once("x"));
        assert_eq!(gone, told.map(|(_, count)| count.parse::<u64>().unwrap()).sum::<u64>());
        out
    }

    fn shown(event: &Event<'_>) -> String {
        match event {
            Event::Message { number, text, .. } => format!("{number} {}", text.escape_ascii()),
            Event::Notice { number, text, .. } => format!("{number} {}", text.escape_ascii()),
            Event::Gone { first, count } => format!("gone {first}x{count}"),
            Event::Aside { .. } => "aside".into(),
        }
    }

    #[test]
    fn s16_parts_are_joined() {
        let entries = [
            message(1, 1, b"one"),
            part(1, 4, b"\xe9\x83"),
            part(1, 4, b"\xa8 "),
            message(1, 4, b"two"),
            NOTICE,
            part(2, 0, b"a"),
            message(2, 0, b"b"),
        ];
        assert_eq!(joined(&entries), ["1 one", "4 \\xe9\\x83\\xa8 two", "5 joined", "7 ab"]);
    }

    #[test]
    fn s16_message_without_a_part_is_gone() {
        const GONE: Entry<'static> = Entry::Gone { count: 1 };
        const ALIGNED: Entry<'static> = Entry::Gone { count: 2 };
        let (first, last) = (part(1, 4, b"a"), message(1, 4, b"z"));
        assert_eq!(joined(&[first, first, ALIGNED, last]), ["gone 1x3", "4 z"]);
        assert_eq!(joined(&[first, GONE, last, last]), ["gone 1x2", "gone 3x1", "4 z"]);
        assert_eq!(joined(&[GONE, first, last, last]), ["gone 1x1", "gone 2x2", "4 z"]);
        assert_eq!(joined(&[GONE, NOTICE, last]), ["gone 1x1", "2 joined", "3 z"]);
        assert_eq!(joined(&[GONE, first, GONE, last]), ["gone 1x1", "gone 2x2", "gone 4x1"]);
    }

    #[test]
    fn s16_impossible_parts_do_no_harm() {
        let long = [b'x'; 1000];
        let (first, last) = (part(1, 4, &long), message(1, 4, b"z"));
        let other = [part(2, 0, b"a"), message(2, 0, b"b")];
        assert_eq!(joined(&[first, other[0], other[1]]), ["gone 1x1", "3 ab"]);
        assert_eq!(joined(&[first, message(1, 5, b"b")]), ["gone 1x1", "2 b"]);
        assert_eq!(joined(&[first, NOTICE, last]), ["gone 1x1", "2 joined", "3 z"]);
        let endless = [vec![first; 9], vec![last, last]].concat();
        assert_eq!(joined(&endless), ["gone 1x10", "11 z"]);
    }
}
