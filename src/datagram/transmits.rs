//! The messages of the next send call, planned from the shares of a job.
//!
//! Several entries for one member are sent as one message, which the kernel cuts into datagrams of one
//! size, of which the last may be shorter (`UDP_SEGMENT`, udp(7)). This makes busy rooms cheap: a path
//! through the kernel costs the same for one datagram and for many.
//!
//! All messages of a call are in the clear, or all are sealed. Sealed datagrams are made here, once for
//! each member and entry, one behind the other. If a message is not sent, its entries are sealed again
//! later, so no number is used twice.

use std::net::IpAddr;

use super::copies::Copies;
use super::routes::{MAX_MESSAGE, Route};
use super::seals::Seals;
use crate::fanout::{Extent, Job, Share, TAG_SIZE, Tag};
use crate::ids::MemberId;
use crate::sys::{Address, BATCH, MAX_SEGMENTS, Outgoing};

/// One message to one member.
pub(super) struct Transmit {
    /// Index of the share that it was taken from.
    pub(super) share: usize,
    /// Position of that share before.
    pub(super) rewind: u32,
    pub(super) datagrams: usize,
    pub(super) bytes: usize,
    to: Address,
    local: Option<IpAddr>,
    segment: Option<u16>,
    first_piece: usize,
    last_piece: usize,
}

impl Transmit {
    /// Returns true if the kernel has to cut it into datagrams.
    pub(super) fn is_segmented(&self) -> bool {
        self.segment.is_some()
    }
}

/// Messages for one socket, at most as many as one call takes.
pub(super) struct Transmits {
    pub(super) list: Vec<Transmit>,
    /// Number of datagrams in `list`.
    pub(super) datagrams: usize,
    pieces: Vec<(u32, u32)>,
    copies: Copies,
    /// The datagrams of sealed messages.
    sealed: Vec<u8>,
}

/// Limit for the bytes of sealed datagrams, beyond which no other message is planned for a call. They
/// should stay in the CPU cache until the kernel copies them, and a call should send enough messages to
/// be worth its cost.
const MAX_SEALED: usize = 128 * 1024;

impl Transmits {
    pub(super) fn new() -> Self {
        let (list, pieces) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        Self { list, datagrams: 0, pieces, copies: Copies::default(), sealed: Vec::new() }
    }

    /// Starts a job: drops everything of the previous one.
    pub(super) fn begin(&mut self, job: &Job<'_>) {
        self.clear();
        self.copies.begin(job);
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.pieces.clear();
        self.sealed.clear();
        self.datagrams = 0;
    }

    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= self.copies.max_messages() || self.sealed.len() >= MAX_SEALED
    }

    /// Returns the messages from the one with this index on, and the bytes that their pieces refer to.
    pub(super) fn outgoing<'a>(
        &'a self,
        from: usize,
        job: &Job<'a>,
    ) -> (impl Iterator<Item = Outgoing<'a>> + Clone, &'a [u8]) {
        let messages = self.list[from..].iter().map(|transmit| Outgoing {
            to: &transmit.to,
            local: transmit.local,
            pieces: &self.pieces[transmit.first_piece..transmit.last_piece],
            segment: transmit.segment,
        });
        let is_sealed = !self.sealed.is_empty();
        (messages, if is_sealed { &self.sealed } else { self.copies.source(job) })
    }

    /// Plans the next message of a share, and advances the share: entries of one size, then perhaps a
    /// shorter one, at most `max` datagrams and `max_bytes`, but one datagram at least. Returns the
    /// message, or `None` if the share has nothing for its member.
    pub(super) fn plan(
        &mut self,
        job: &mut Job<'_>,
        index: usize,
        (route, seals): (&Route, &mut Seals),
        (max, max_bytes): (usize, usize),
    ) -> Option<&Transmit> {
        let (rewind, first_piece) = (job.to[index].next, self.pieces.len());
        let (datagrams, bytes, size) = self.collect(job, index, (route, seals), (max, max_bytes));
        if datagrams == 0 {
            return None;
        }
        self.datagrams += datagrams;
        self.list.push(Transmit {
            share: index,
            rewind,
            datagrams,
            bytes,
            to: route.remote,
            local: route.local,
            // A size with several datagrams fits a segment, and that fits 16 bits.
            segment: (datagrams > 1).then_some(size as u16),
            first_piece,
            last_piece: self.pieces.len(),
        });
        self.list.last()
    }

    /// Collects the pieces of the next message of a share, and advances the share. Returns the number
    /// of datagrams, the bytes of all, and the bytes of each but the last.
    fn collect(
        &mut self,
        job: &mut Job<'_>,
        index: usize,
        (route, seals): (&Route, &mut Seals),
        (max, max_bytes): (usize, usize),
    ) -> (usize, usize, usize) {
        let (share, first_piece) = (&mut job.to[index], self.pieces.len());
        let (mut datagrams, mut bytes, mut size) = (0, 0, 0);
        while let Some((start, end)) = next_entry(share, job.entries) {
            let length = (end - start) as usize + route.overhead();
            if datagrams == 0 {
                size = length;
            } else if length > size || bytes + length > MAX_MESSAGE as usize {
                break;
            }
            share.next += 1;
            let place = if route.exit.is_sealed {
                let content = &job.bytes[start as usize..end as usize];
                let tag = job.is_tagged.then_some(share.tag);
                let Some(place) = self.seal(share.member, content, tag, seals) else {
                    share.skip();
                    break;
                };
                place
            } else {
                self.copies.write_tag(self.list.len(), job.bytes, (start, end), share.tag)
            };
            self.push_piece(first_piece, place);
            datagrams += 1;
            bytes += length;
            let can_grow = datagrams < max.min(MAX_SEGMENTS)
                && size <= route.largest_segment as usize
                && (datagrams + 1) * size <= max_bytes;
            if length < size || !can_grow {
                break;
            }
        }
        (datagrams, bytes, size)
    }

    /// Seals an entry for a member, and returns the range of the datagram in the sealed bytes. Returns
    /// `None` if the member has no seal, or has used it up.
    fn seal(
        &mut self,
        member: MemberId,
        entry: &[u8],
        tag: Option<Tag>,
        seals: &mut Seals,
    ) -> Option<(u32, u32)> {
        // The sealed bytes of a call are a few hundred KiB at most.
        let start = self.sealed.len() as u32;
        let is_sealed = match tag {
            Some(tag) => seals.seal(member, [&tag, &entry[TAG_SIZE..]], &mut self.sealed),
            None => seals.seal(member, [entry, &[]], &mut self.sealed),
        };
        is_sealed.then_some((start, self.sealed.len() as u32))
    }

    /// Adds bytes to the message whose pieces begin at `first`. Bytes that follow those of its last
    /// piece extend that piece.
    fn push_piece(&mut self, first: usize, (start, end): (u32, u32)) {
        match self.pieces[first..].last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => self.pieces.push((start, end)),
        }
    }
}

/// Advances the share to its next entry for its member, and returns the range of that entry's bytes.
fn next_entry(share: &mut Share, entries: &[Extent]) -> Option<(u32, u32)> {
    let index = share.seek(entries)? as usize;
    let start = index.checked_sub(1).map_or(0, |before| entries[before].end);
    Some((start, entries[index].end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::time::Instant;

    use crate::address::Origin;
    use crate::fanout::{Audience, NO_TAG};
    use crate::ids::Key;

    fn member(slot: u32) -> MemberId {
        MemberId(Key { slot, generation: 0 })
    }

    fn route(address: &str) -> Route {
        let remote: SocketAddr = address.parse().expect("an address");
        Route::new(0, &Origin { socket: 0, local: None, remote: remote.into() }, false)
    }

    /// Plans everything for member 1, and returns the datagrams and segment size of each message.
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
        let mut shares = [Share { member: member(1), cursor: 0, next: 0, until, tag: NO_TAG }];
        let (mut transmits, bytes) = (Transmits::new(), vec![0; end as usize]);
        let mut seals = Seals::new(Instant::now());
        let (to, is_tagged) = (&mut shares[..], false);
        let mut job = Job { bytes: &bytes, entries: &entries, to, is_tagged };
        while transmits.plan(&mut job, 0, (route, &mut seals), (max, usize::MAX)).is_some() {}
        let datagrams: usize = transmits.list.iter().map(|transmit| transmit.datagrams).sum();
        assert_eq!(datagrams, transmits.datagrams);
        transmits.list.iter().map(|transmit| (transmit.datagrams, transmit.segment)).collect()
    }

    fn to_all(sizes: &[u32]) -> Vec<(u32, Audience)> {
        sizes.iter().map(|size| (*size, Audience::All)).collect()
    }

    #[test]
    fn equal_sizes_share_a_message() {
        let route = route("127.0.0.1:9");
        let planned = plan(&route, &to_all(&[64, 64, 64, 10, 64, 70, 70]), 99);
        assert_eq!(planned, [(4, Some(64)), (1, None), (2, Some(70))]);
    }

    #[test]
    fn entries_of_others_are_skipped() {
        let own = (64, Audience::AllBut(member(1)));
        let for_all = (64, Audience::All);
        let for_other = (200, Audience::Only(member(2)));
        let entries = [for_all, own, for_all, for_other, for_all];
        assert_eq!(plan(&route("127.0.0.1:9"), &entries, 99), [(3, Some(64))]);
        assert_eq!(plan(&route("127.0.0.1:9"), &[own, for_other], 99), []);
    }

    #[test]
    fn message_keeps_the_kernels_limits() {
        let loopback = route("127.0.0.1:9");
        let planned = plan(&loopback, &to_all(&[8; 130]), 999);
        assert_eq!(planned, [(64, Some(8)), (64, Some(8)), (2, Some(8))]);
        let planned = plan(&loopback, &to_all(&[4000; 17]), 999);
        assert_eq!(planned, [(16, Some(4000)), (1, None)]);
    }

    #[test]
    fn oversize_for_path_goes_alone() {
        let planned = plan(&route("192.0.2.1:9"), &to_all(&[1472, 1472, 1473, 1473]), 99);
        assert_eq!(planned, [(2, Some(1472)), (1, None), (1, None)]);
        let planned = plan(&route("[2001:db8::1]:9"), &to_all(&[1453, 1453, 1452, 1452]), 99);
        assert_eq!(planned, [(1, None), (1, None), (2, Some(1452))]);
    }

    #[test]
    fn budget_ends_a_message() {
        let planned = plan(&route("127.0.0.1:9"), &to_all(&[64; 5]), 2);
        assert_eq!(planned, [(2, Some(64)), (2, Some(64)), (1, None)]);
    }

    #[test]
    fn refused_path_gets_datagrams() {
        let mut route = route("127.0.0.1:9");
        route.refuse_segments();
        assert_eq!(plan(&route, &to_all(&[64; 2]), 99), [(1, None), (1, None)]);
    }
}
