//! Fan-out: a [`Job`] from delivery to the datagram layer, and the [`Receipt`] that comes back.
//!
//! The two do not import one another. Delivery names the bytes and the members that get them, by id;
//! the datagram layer knows the addresses. Bytes are encoded once, for any number of members, and a
//! job borrows them: nothing is copied or allocated for a delivery.

use crate::ids::MemberId;

/// The members that get an entry, among those whose [`Share`] covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All of them.
    All,
    /// All but this member: a message does not go back to its sender.
    AllBut(MemberId),
    /// This member alone: a reply, a refusal, a farewell.
    Only(MemberId),
}

impl Audience {
    /// Returns true if `member` gets the entry.
    pub fn includes(self, member: MemberId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(author) => author != member,
            Self::Only(one) => one == member,
        }
    }
}

/// The extent of an entry, one datagram, in the bytes of a job. It begins at the end of the extent
/// before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// End of its bytes.
    pub end: u32,
    /// The members that get it.
    pub audience: Audience,
}

/// The entries that one member has still to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The member.
    pub member: MemberId,
    /// The index of the member's cursor in its lane, so that the lane takes shares back without a
    /// search.
    pub cursor: u32,
    /// The index of the next entry. The sender moves it on, and leaves it at the first entry that
    /// has to wait.
    pub next: u32,
    /// The index after the last entry.
    pub until: u32,
    /// The member's tag, in a job that is tagged.
    pub tag: Tag,
}

impl Share {
    /// Moves on to the next entry for its member, and returns the index of that.
    pub fn seek(&mut self, entries: &[Extent]) -> Option<u32> {
        while self.next < self.until {
            if entries[self.next as usize].audience.includes(self.member) {
                return Some(self.next);
            }
            self.next += 1;
        }
        None
    }

    /// Skips everything that is left.
    pub fn skip(&mut self) {
        self.next = self.until;
    }
}

/// Bytes that IPv4 and UDP put in front of a datagram (RFC 791, RFC 768). Limits count them, or
/// short messages would be nearly free.
pub(crate) const HEADERS: usize = 28;

/// Bytes of a tag.
pub const TAG_SIZE: usize = 4;

/// First bytes of each datagram to one member.
pub type Tag = [u8; TAG_SIZE];

/// The tag in jobs that are not tagged.
pub const NO_TAG: Tag = [0; TAG_SIZE];

/// Output of one lane of a room, for the members who get it.
#[derive(Debug)]
pub struct Job<'a> {
    /// The encoded entries, one behind the other.
    pub bytes: &'a [u8],
    /// The extents of the entries.
    pub entries: &'a [Extent],
    /// The shares of the members; [`Share::next`] is written back.
    pub to: &'a mut [Share],
    /// True if the sender writes each member's tag over the first bytes of each datagram. No
    /// datagram is shorter than a tag.
    pub is_tagged: bool,
}

impl<'a> Job<'a> {
    /// Returns the same job, for a sender that is not the last one.
    pub fn reborrow(&mut self) -> Job<'_> {
        Job { bytes: self.bytes, entries: self.entries, to: self.to, is_tagged: self.is_tagged }
    }

    /// Returns the job without its shares, and the shares.
    pub fn split(self) -> (Job<'a>, &'a mut [Share]) {
        (Job { to: &mut [], ..self }, self.to)
    }

    /// Returns the bytes of one entry.
    pub fn datagram(&self, index: u32) -> &'a [u8] {
        let index = index as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.bytes[start as usize..self.entries[index].end as usize]
    }
}

/// The outcome of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Datagrams that the kernel took.
    pub sent: usize,
    /// Datagrams that the kernel refused for good.
    pub dropped: usize,
    /// Datagrams not sent because earlier ones to the same host stay in the send buffer, or because
    /// a silent member has reached its limit.
    pub withheld: usize,
    /// Datagrams of both kinds that were sent to repair a loss.
    pub repairs: usize,
    /// A socket was full: the shares of its members stay behind until it is writable.
    pub blocked: bool,
    /// The job has shares of members that this sender has no route to. They are where they were.
    pub unrouted: bool,
}

impl Receipt {
    /// Adds the outcome of another job.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.withheld += other.withheld;
        self.repairs += other.repairs;
        self.blocked |= other.blocked;
        self.unrouted |= other.unrouted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;

    #[test]
    fn audience_includes_its_members() {
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
