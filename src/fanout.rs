//! What the chat hands to the datagram layer and what comes back: a [`Job`] and its [`Receipt`].
//!
//! The two do not see one another. The chat says which bytes there are and which members get which
//! of them, by id; the datagram layer knows the addresses. Bytes are encoded once however many
//! members get them, and a job borrows them: nothing is copied or allocated for a delivery.

use crate::ids::MemberId;

/// Who gets an entry, among the members whose [`Share`] covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everyone.
    All,
    /// Everyone but this member: a message does not go back to its sender.
    AllBut(MemberId),
    /// This member alone: an answer, a refusal, a good-bye.
    Only(MemberId),
}

impl Audience {
    /// Whether `member` is meant.
    pub fn includes(self, member: MemberId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(author) => author != member,
            Self::Only(one) => one == member,
        }
    }
}

/// One datagram's worth of a job's bytes: it begins where the entry before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where its bytes end.
    pub end: u32,
    /// Who gets it.
    pub audience: Audience,
}

/// The entries that one member is still to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub member: MemberId,
    /// The index of the next entry. The sender moves it on, and leaves it at the first entry that
    /// has to wait.
    pub next: u32,
    /// The index after the last entry.
    pub until: u32,
    /// The member's tag, in a job that is tagged.
    pub tag: Tag,
}

/// What IPv4 and UDP put in front of a datagram, in bytes (RFC 791, RFC 768): a short message is not
/// nearly free.
pub(crate) const HEADERS: usize = 28;

/// Bytes of a tag.
pub const TAG_SIZE: usize = 4;

/// First bytes of each datagram to one member.
pub type Tag = [u8; TAG_SIZE];

/// The tag in jobs that are not tagged.
pub const NO_TAG: Tag = [0; TAG_SIZE];

/// Output of one room in one form, for the members who take that form.
#[derive(Debug)]
pub struct Job<'a> {
    /// The encoded entries, one behind the other.
    pub bytes: &'a [u8],
    /// Where each ends and who gets it.
    pub entries: &'a [Extent],
    /// Who gets which of them; [`Share::next`] is written back.
    pub to: &'a mut [Share],
    /// True if the sender writes each member's tag over the first bytes of each datagram. No
    /// datagram is shorter than a tag.
    pub is_tagged: bool,
}

impl<'a> Job<'a> {
    /// The bytes of one entry.
    pub fn datagram(&self, index: u32) -> &'a [u8] {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.bytes[start as usize..self.entries[index].end as usize]
    }
}

/// What became of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Datagrams that the kernel took.
    pub sent: usize,
    /// Datagrams that the kernel refused for good.
    pub dropped: usize,
    /// Datagrams not sent because earlier ones to the same host stay in the send buffer, or because
    /// a silent member has reached its limit.
    pub withheld: usize,
    /// A socket was full: the shares of its members stay behind until it is writable.
    pub blocked: bool,
}

impl Receipt {
    /// Adds what became of another job.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.withheld += other.withheld;
        self.blocked |= other.blocked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;

    #[test]
    fn audiences() {
        let [a, b] = [1, 2].map(|slot| MemberId(Key { slot, generation: 0 }));
        assert!(Audience::All.includes(a));
        assert!(!Audience::AllBut(a).includes(a) && Audience::AllBut(a).includes(b));
        assert!(Audience::Only(a).includes(a) && !Audience::Only(a).includes(b));
    }

    #[test]
    fn entries_are_cut_at_their_ends() {
        let entries = [2, 2, 5].map(|end| Extent { end, audience: Audience::All });
        let job = Job { bytes: b"abcde", entries: &entries, to: &mut [], is_tagged: false };
        assert_eq!([0, 1, 2].map(|n| job.datagram(n)), [&b"ab"[..], b"", b"cde"]);
    }
}
