//! The simulated network and the receiving end of a member.

use super::*;

/// Everything that a member has received.
#[derive(Default)]
pub(super) struct Received {
    /// Number of the next expected entry.
    pub(super) next: u64,
    pub(super) tag: u32,
    /// Messages and notices in order, with their sequence numbers.
    pub(super) entries: Vec<(u64, String)>,
    /// Parts of an incomplete message.
    pub(super) begun: Vec<u8>,
    /// Number of messages that arrived in parts.
    pub(super) joined: usize,
    /// Code, expected id, id and text of each aside.
    pub(super) asides: Vec<(u8, u32, u32, String)>,
    pub(super) gone: u64,
    /// Number of entries received more than once.
    pub(super) repeated: u64,
    /// Number of entries lost without a `gone` entry.
    pub(super) skipped: u64,
    /// Size of each datagram.
    pub(super) sizes: Vec<usize>,
    /// Lines received by a member without stream delivery.
    pub(super) lines: Vec<String>,
    /// True if the last datagram was a probe: it had no entries.
    pub(super) is_probed: bool,
}

impl Received {
    pub(super) fn take(&mut self, datagram: &[u8]) {
        self.sizes.push(datagram.len());
        if self.tag == 0 {
            return self.lines.push(String::from_utf8(datagram.to_vec()).expect("UTF-8"));
        }
        let (header, entries) = parse(datagram).expect("a header");
        assert_eq!(header.tag, self.tag);
        assert!(datagram.len() <= 1150, "{} bytes", datagram.len());
        self.is_probed = datagram.len() == 12;
        let mut number = header.sequence;
        for entry in entries {
            let first = number;
            number += entry.numbers();
            let text = match entry {
                Entry::Aside { code, expected, id, text } => {
                    let text = String::from_utf8(text.to_vec()).expect("UTF-8");
                    self.asides.push((code, expected, id, text));
                    continue;
                }
                Entry::Message { text, .. }
                | Entry::Part { text, .. }
                | Entry::Notice { text, .. } => text,
                Entry::Gone { .. } => b"",
                Entry::Unknown => panic!("unknown kind"),
            };
            if first < self.next {
                self.repeated += 1;
                continue;
            }
            self.skipped += first - self.next;
            self.next = number;
            match entry {
                Entry::Gone { count } => {
                    self.gone += u64::from(count);
                    self.begun.clear();
                }
                Entry::Part { .. } => self.begun.extend_from_slice(text),
                _ => self.complete(first, text),
            }
        }
    }

    fn complete(&mut self, number: u64, last: &[u8]) {
        self.joined += usize::from(!self.begun.is_empty());
        self.begun.extend_from_slice(last);
        let text = String::from_utf8(std::mem::take(&mut self.begun)).expect("UTF-8");
        self.entries.push((number, text));
    }

    /// Returns the texts of `entries`.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.entries.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// Simulates a network that loses nothing and has some full sockets.
pub(super) fn transmit(
    job: Job<'_>,
    budget: usize,
    received: &mut HashMap<MemberId, Received>,
    blocked: &HashSet<MemberId>,
    reachable: &HashSet<MemberId>,
) -> Receipt {
    let mut receipt = Receipt::default();
    let Job { bytes, entries, to, is_tagged } = job;
    for share in to {
        if !reachable.contains(&share.member) {
            share.next = share.until;
        }
        while share.next < share.until && receipt.sent < budget {
            if entries[share.next as usize].audience.includes(share.member) {
                if blocked.contains(&share.member) {
                    receipt.blocked = true;
                    break;
                }
                let job = Job { bytes, entries, to: &mut [], is_tagged };
                let mut datagram = job.datagram(share.next).to_vec();
                if is_tagged {
                    datagram[..TAG_SIZE].copy_from_slice(&share.tag);
                }
                received.get_mut(&share.member).expect("a known member").take(&datagram);
                receipt.sent += 1;
            }
            share.next += 1;
        }
    }
    receipt
}
