//! The network and the receiving ends of the tests.

use super::*;

/// What a member has got.
#[derive(Default)]
pub(super) struct Ear {
    /// The number of the next entry that it misses.
    pub(super) next: u64,
    pub(super) tag: u32,
    /// What was said, in order, with the numbers.
    pub(super) entries: Vec<(u64, String)>,
    /// The parts of a message that has begun, and how many messages came in parts.
    pub(super) begun: Vec<u8>,
    pub(super) joined: usize,
    /// Codes, expected ids, ids and texts of asides.
    pub(super) asides: Vec<(u8, u32, u32, String)>,
    pub(super) gone: u64,
    /// Entries that came again.
    pub(super) repeated: u64,
    /// Entries that were passed over without a word.
    pub(super) skipped: u64,
    /// Sizes of the datagrams.
    pub(super) sizes: Vec<usize>,
    /// What came to a member without a stream.
    pub(super) lines: Vec<String>,
    /// True if the last datagram had no entries.
    pub(super) is_asked: bool,
}

impl Ear {
    pub(super) fn hear(&mut self, datagram: &[u8]) {
        self.sizes.push(datagram.len());
        if self.tag == 0 {
            return self.lines.push(String::from_utf8(datagram.to_vec()).expect("UTF-8"));
        }
        let (header, entries) = parse(datagram).expect("a header");
        assert_eq!(header.tag, self.tag);
        assert!(datagram.len() <= 1200, "{} bytes", datagram.len());
        self.is_asked = datagram.len() == 12;
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
                Entry::Unknown => panic!("an unknown kind"),
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

    /// What was said, without the numbers.
    pub(super) fn said(&self) -> Vec<&str> {
        self.entries.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// A network with full sockets, which loses nothing.
pub(super) fn carry(
    job: Job<'_>,
    budget: usize,
    ears: &mut HashMap<MemberId, Ear>,
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
                ears.get_mut(&share.member).expect("a known member").hear(&datagram);
                receipt.sent += 1;
            }
            share.next += 1;
        }
    }
    receipt
}
