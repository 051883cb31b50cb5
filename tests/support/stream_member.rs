//! The library's state machines of one stream member, and the promises that they check (S5 to S16).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reactor_chat::protocol::stream::{Completion, downstream, parts};
use reactor_chat::stream::{Event, StreamReceiver, StreamSender};

/// A member with its state machines. The caller has the network.
pub struct StreamMember {
    first: u64,
    pub receiver: StreamReceiver,
    pub sender: StreamSender,
    /// Lines that wait for space in the sender.
    unsent: Vec<String>,
    /// Delivered events by number: the text of a message, or `None` for a notice.
    received: BTreeMap<u64, Option<String>>,
    /// The number of entries that these took.
    entries: u64,
    pub gone: u64,
    next: u64,
    is_leaving: bool,
    pub has_ended: bool,
    /// True if it has learnt its end by a resume that was refused: then it gets no more repairs.
    is_refused: bool,
}

impl StreamMember {
    pub fn new(completion: &Completion, room: &str, now: Instant) -> Self {
        let keep_alive = Duration::from_secs(completion.keep_alive);
        let next = completion.next;
        Self {
            first: next,
            receiver: StreamReceiver::new(completion.tag, next, keep_alive, now),
            sender: StreamSender::new(completion.member, completion.expected, room),
            unsent: Vec::new(),
            received: BTreeMap::new(),
            entries: 0,
            gone: 0,
            next,
            is_leaving: false,
            has_ended: false,
            is_refused: false,
        }
    }

    /// Notes that a resume was refused, because the token is dead.
    pub fn refuse(&mut self) {
        (self.has_ended, self.is_refused) = (true, true);
    }

    /// Says a line as soon as there is space.
    pub fn say(&mut self, text: String) {
        self.is_leaving |= text == "/exit";
        self.unsent.push(text);
    }

    /// Handles a datagram in the clear.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) {
        let Self { receiver, sender, received, entries, gone, next, has_ended, .. } = self;
        receiver.handle_datagram(bytes, now, |event| {
            sender.handle_event(&event, now);
            *has_ended |= event.ends_membership().is_some();
            let (end, count, text) = match event {
                Event::Message { number, name, text, .. } => {
                    let [name, text] =
                        [name, text].map(|text| str::from_utf8(text).expect("UTF-8"));
                    (number + 1, entries_of(name, text), Some(Some(text.to_string())))
                }
                Event::Notice { number, .. } => (number + 1, 1, Some(None)),
                Event::Gone { first, count } => (first + count, count, None),
                Event::Aside { .. } => return,
            };
            assert_eq!(end, *next + count, "in order, and exactly once");
            *next = end;
            match text {
                Some(text) => {
                    *entries += count;
                    assert!(received.insert(end - 1, text).is_none());
                }
                None => *gone += count,
            }
        });
    }

    /// Returns the bodies that are due: the datagrams without room and token.
    pub fn bodies(&mut self, now: Instant) -> Vec<Vec<u8>> {
        while let Some(text) = self.unsent.first()
            && self.sender.push(text.as_bytes()).is_ok()
        {
            self.unsent.remove(0);
        }
        let (mut body, mut sent) = (Vec::new(), Vec::new());
        while self.receiver.poll_transmit(now, &mut body)
            || self.sender.poll_transmit(now, &mut body)
        {
            sent.push(body.clone());
            assert!(sent.len() < 200, "the client never stops sending");
        }
        sent
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.receiver.handle_timeout(now);
        self.sender.handle_timeout(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.receiver.poll_timeout().into_iter().chain(self.sender.poll_timeout()).min()
    }
}

/// Asserts the final state of all members of a room, the host first. Returns the texts in their order.
pub fn assert_promises(members: &[&StreamMember], history: &str) -> Vec<String> {
    let mut all: BTreeMap<u64, &Option<String>> = BTreeMap::new();
    let is_closed = members.first().is_some_and(|host| host.is_leaving);
    for member in members {
        for (number, text) in &member.received {
            let known = all.entry(*number).or_insert(text);
            assert_eq!(*known, text, "{history}: one order for all");
        }
        let missing = member.receiver.resume_at() - member.first - member.entries;
        assert_eq!(member.gone, missing, "{history}: the exact count of what is gone");
        assert_eq!(member.receiver.gone(), missing, "{history}");
        // A member that has left an open room gets no more repairs.
        let may_miss = member.is_leaving || member.is_refused;
        let is_complete = member.receiver.is_complete() || may_miss;
        assert!(is_complete, "{history}: everything");
        let has_to_end = member.is_leaving || is_closed;
        assert_eq!(member.has_ended, has_to_end, "{history}: confirmed");
        // A closed room takes no more messages.
        let all_taken = member.sender.open() == 0 || is_closed || member.is_refused;
        assert!(all_taken, "{history}: all was taken");
    }
    let end = *all.last_key_value().expect("something was said").0 + 1;
    for member in members.iter().filter(|member| !member.is_leaving && !member.is_refused) {
        assert_eq!(member.receiver.next(), end, "{history}: up to the last");
    }
    let said: Vec<String> = all.values().filter_map(|text| (*text).clone()).collect();
    let once: BTreeSet<&String> = said.iter().collect();
    assert_eq!(once.len(), said.len(), "{history}: no message twice");
    said
}

/// Returns the number of entries of a message.
fn entries_of(name: &str, text: &str) -> u64 {
    let mut bytes = Vec::new();
    parts::encode_message((0, 0), name, text, &mut bytes);
    downstream::entries(&bytes).count() as u64
}
