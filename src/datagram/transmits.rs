//! What goes out in the next call: messages, planned from the shares of a job.
//!
//! Several entries that wait for one member go as one message, which the kernel cuts into datagrams
//! of one size, the last of which may be shorter (`UDP_SEGMENT`, udp(7)). That is what makes busy
//! rooms cheap: the way through the kernel is gone once a message, not once a datagram.

use std::net::IpAddr;

use super::copies::Copies;
use super::routes::{MAX_MESSAGE, Route};
use crate::fanout::{Extent, Job, Share};
use crate::sys::{Address, BATCH, MAX_SEGMENTS, Outgoing};

/// One message to one member.
pub(super) struct Transmit {
    /// The index of the share that it was taken from.
    pub(super) share: usize,
    /// Where that share stood before.
    pub(super) rewind: u32,
    /// Number of its datagrams, and their bytes.
    pub(super) datagrams: usize,
    pub(super) bytes: usize,
    to: Address,
    local: Option<IpAddr>,
    segment: Option<u16>,
    first_piece: usize,
    last_piece: usize,
}

impl Transmit {
    /// Whether the kernel has to cut it up.
    pub(super) fn is_segmented(&self) -> bool {
        self.segment.is_some()
    }
}

/// Transmits for one socket, at most a call's worth.
pub(super) struct Transmits {
    transmits: Vec<Transmit>,
    pieces: Vec<(u32, u32)>,
    copies: Copies,
    datagrams: usize,
}

impl Transmits {
    pub(super) fn new() -> Self {
        let (transmits, pieces) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        Self { transmits, pieces, copies: Copies::default(), datagrams: 0 }
    }

    /// Starts a job: drops everything of the previous one.
    pub(super) fn begin(&mut self, job: &Job<'_>) {
        self.clear();
        self.copies.begin(job);
    }

    pub(super) fn clear(&mut self) {
        self.transmits.clear();
        self.pieces.clear();
        self.datagrams = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.transmits.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.transmits.len() >= self.copies.max_messages()
    }

    /// Datagrams planned.
    pub(super) fn datagrams(&self) -> usize {
        self.datagrams
    }

    pub(super) fn transmits(&self) -> &[Transmit] {
        &self.transmits
    }

    /// Returns the bytes to which the pieces of the messages refer.
    pub(super) fn source<'a>(&'a self, job: &Job<'a>) -> &'a [u8] {
        self.copies.source(job)
    }

    /// The messages from the one with this index on, ready for the call.
    pub(super) fn outgoing(&self, from: usize) -> impl Iterator<Item = Outgoing<'_>> + Clone {
        self.transmits[from..].iter().map(|transmit| Outgoing {
            to: &transmit.to,
            local: transmit.local,
            pieces: &self.pieces[transmit.first_piece..transmit.last_piece],
            segment: transmit.segment,
        })
    }

    /// Takes the next message for a member from its share, and advances the share: at most `max`
    /// datagrams and `most_bytes`, more than one datagram only if `can_segment`. Returns true if
    /// there was anything to take.
    pub(super) fn plan(
        &mut self,
        (index, share): (usize, &mut Share),
        (bytes, entries): (&[u8], &[Extent]),
        route: &Route,
        can_segment: bool,
        (max, most_bytes): (usize, usize),
    ) -> bool {
        let first_piece = self.pieces.len();
        let rewind = share.next;
        let Some((start, end)) = next_entry(share, entries) else { return false };
        share.next += 1;
        let message = self.transmits.len();
        self.pieces.push(self.copies.write_tag(message, bytes, (start, end), share.tag));
        let size = end - start;
        let max = if can_segment && size <= route.largest_segment { max } else { 1 };
        let fitting = (most_bytes / size.max(1) as usize).max(1);
        let max = max.min(MAX_SEGMENTS).min(fitting);
        let (more, total) = self.extend(share, (bytes, entries), size, max);
        let datagrams = 1 + more;
        self.datagrams += datagrams;
        self.transmits.push(Transmit {
            share: index,
            rewind,
            datagrams,
            bytes: total,
            to: route.remote,
            local: route.local,
            // A size that is split fits a segment, and that fits 16 bits.
            segment: (datagrams > 1).then_some(size as u16),
            first_piece,
            last_piece: self.pieces.len(),
        });
        true
    }

    /// Adds entries of this size to the message that was begun, and a last one that is shorter.
    /// Returns the number of added entries and the bytes of the message.
    fn extend(
        &mut self,
        share: &mut Share,
        (bytes, entries): (&[u8], &[Extent]),
        size: u32,
        max: usize,
    ) -> (usize, usize) {
        let message = self.transmits.len();
        let (mut count, mut total) = (0, size);
        while 1 + count < max
            && let Some((start, end)) = next_entry(share, entries)
            && end - start <= size
            && total + (end - start) <= MAX_MESSAGE
        {
            share.next += 1;
            let piece = self.copies.write_tag(message, bytes, (start, end), share.tag);
            self.push_piece(piece);
            count += 1;
            total += end - start;
            if end - start < size {
                break;
            }
        }
        (count, total as usize)
    }

    /// Adds bytes to the message; what lies behind what is there already needs no piece of its own.
    fn push_piece(&mut self, (start, end): (u32, u32)) {
        match self.pieces.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.pieces.push((start, end)),
        }
    }
}

/// Moves the share to its next entry that is meant for its member, and gives where its bytes are.
fn next_entry(share: &mut Share, entries: &[Extent]) -> Option<(u32, u32)> {
    while share.next < share.until {
        let index = share.next as usize;
        if entries[index].audience.includes(share.member) {
            let start = index.checked_sub(1).map_or(0, |before| entries[before].end);
            return Some((start, entries[index].end));
        }
        share.next += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    use crate::address::Origin;
    use crate::fanout::{Audience, NO_TAG};
    use crate::ids::{Key, MemberId};

    fn member(slot: u32) -> MemberId {
        MemberId(Key { slot, generation: 0 })
    }

    fn route(address: &str) -> Route {
        let remote: SocketAddr = address.parse().expect("an address");
        Route::new(0, &Origin { socket: 0, local: None, remote: remote.into() })
    }

    /// Plans everything for member 1; gives each message's datagrams and segment size.
    fn plan(route: &Route, sizes: &[(u32, Audience)], max: usize) -> Vec<(usize, Option<u16>)> {
        let mut end = 0;
        let entries: Vec<Extent> = sizes
            .iter()
            .map(|(size, audience)| {
                end += size;
                Extent { end, audience: *audience }
            })
            .collect();
        let until = entries.len() as u32;
        let mut share = Share { member: member(1), next: 0, until, tag: NO_TAG };
        let (mut transmits, bytes) = (Transmits::new(), vec![0; end as usize]);
        let most = (max, usize::MAX);
        while transmits.plan((0, &mut share), (&bytes, &entries), route, true, most) {}
        let datagrams: usize =
            transmits.transmits().iter().map(|transmit| transmit.datagrams).sum();
        assert_eq!(datagrams, transmits.datagrams());
        transmits
            .transmits()
            .iter()
            .map(|transmit| (transmit.datagrams, transmit.segment))
            .collect()
    }

    fn to_all(sizes: &[u32]) -> Vec<(u32, Audience)> {
        sizes.iter().map(|size| (*size, Audience::All)).collect()
    }

    #[test]
    fn neighbours_of_one_size_go_together_and_the_last_may_be_shorter() {
        let route = route("127.0.0.1:9");
        let planned = plan(&route, &to_all(&[64, 64, 64, 10, 64, 70, 70]), 99);
        assert_eq!(planned, [(4, Some(64)), (1, None), (2, Some(70))]);
    }

    #[test]
    fn what_is_not_for_a_member_is_left_out_and_does_not_part_the_others() {
        let own = (64, Audience::AllBut(member(1)));
        let for_all = (64, Audience::All);
        let for_other = (200, Audience::Only(member(2)));
        let entries = [for_all, own, for_all, for_other, for_all];
        assert_eq!(plan(&route("127.0.0.1:9"), &entries, 99), [(3, Some(64))]);
        assert_eq!(plan(&route("127.0.0.1:9"), &[own, for_other], 99), []);
    }

    #[test]
    fn no_message_has_more_segments_or_bytes_than_the_kernel_takes() {
        let loopback = route("127.0.0.1:9");
        let planned = plan(&loopback, &to_all(&[8; 130]), 999);
        assert_eq!(planned, [(64, Some(8)), (64, Some(8)), (2, Some(8))]);
        let planned = plan(&loopback, &to_all(&[4000; 17]), 999);
        assert_eq!(planned, [(16, Some(4000)), (1, None)]);
    }

    #[test]
    fn what_does_not_fit_the_path_goes_alone() {
        let planned = plan(&route("192.0.2.1:9"), &to_all(&[1472, 1472, 1473, 1473]), 99);
        assert_eq!(planned, [(2, Some(1472)), (1, None), (1, None)]);
        let planned = plan(&route("[2001:db8::1]:9"), &to_all(&[1453, 1453, 1452, 1452]), 99);
        assert_eq!(planned, [(1, None), (1, None), (2, Some(1452))]);
    }

    #[test]
    fn a_budget_ends_a_message() {
        let planned = plan(&route("127.0.0.1:9"), &to_all(&[64; 5]), 2);
        assert_eq!(planned, [(2, Some(64)), (2, Some(64)), (1, None)]);
    }

    #[test]
    fn a_path_that_refused_segments_gets_single_datagrams() {
        let mut route = route("127.0.0.1:9");
        route.refuse_segments();
        assert_eq!(plan(&route, &to_all(&[64; 2]), 99), [(1, None), (1, None)]);
    }
}
