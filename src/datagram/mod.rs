//! The UDP sockets: datagrams in, jobs out, and the route to each member.
//!
//! This layer knows addresses and bytes, not their meaning. A member has a route once its address is
//! proved; without a route nothing is sent to it. Readiness is remembered: an event sets a bit, and
//! only a call that would have blocked clears it. All calls go through mio's `try_io`, which makes sure
//! that the next edge is reported.
//!
//! The keys of sealed members stand beside the routes. [`seals`] opens their datagrams and decides on their
//! addresses; `intake.rs` and `transmits.rs` are the two places that pass datagrams through it. The
//! owner sees members and contents.
//!
//! [`batch`] states the contract of one receive or send call. System calls, control messages and
//! address formats lie behind it (`batch/`, `sys/`), and this layer can be read without them.

mod batch;
mod copies;
mod hosts;
mod intake;
#[cfg(feature = "webtransport")]
mod packets;
mod rejections;
mod routes;
#[cfg(all(test, feature = "tls"))]
mod sealed_tests;
#[cfg_attr(not(feature = "tls"), path = "no_seals.rs")]
pub mod seals;
mod send;
mod send_buffer;
mod socket;
mod transmits;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;

use crate::address::{Origin, PeerAddr};
use crate::config::DatagramPath;
use crate::fanout::{Job, Receipt};
use crate::ids::MemberId;
use crate::protocol::{Ciphers, SealTerms};
use crate::sys::{MAX_ARRIVAL, MAX_SEGMENTS};

use batch::Batch;
use intake::Intake;
use routes::Routes;
use seals::Seals;
use send::JobSender;
use socket::{ReceiveOutcome, Socket};
use transmits::Transmits;

#[cfg(feature = "webtransport")]
pub use packets::PacketReport;

pub use intake::{Disposition, Incoming, ReceiveReport, SenderKey};
pub use rejections::Rejected;
pub use socket::{bind, take};

/// The UDP sockets, in the order of `--bind`, the routes to all members, and the seals of some.
pub struct Datagrams {
    sockets: Vec<Socket>,
    routes: Routes,
    seals: Seals,
    batch: Batch,
    transmits: Transmits,
    sender_key: SenderKey,
    /// True if datagrams of QUIC are handed over as such.
    takes_quic: bool,
    #[cfg(feature = "webtransport")]
    packets: packets::Packets,
    /// Space for a challenge.
    challenge: Vec<u8>,
    /// True if a full socket has become writable.
    unblocked: bool,
    backlog: Backlog,
}

/// Time up to which the sockets were read.
///
/// Under a flood a socket is never empty. But the kernel keeps datagrams in order, and its buffer has a
/// limit: after as many reads as it can hold, everything that had arrived before was read.
#[derive(Debug, Default)]
struct Backlog {
    /// Everything that arrived before this time was read.
    read_until: Option<Instant>,
    /// Time at which the sockets' counts of unread arrivals were set.
    mark: Option<Instant>,
}

impl Datagrams {
    /// Creates the layer without sockets.
    pub fn new(path: DatagramPath, sender_key: SenderKey) -> Self {
        Self {
            sockets: Vec::new(),
            routes: Routes::default(),
            seals: Seals::new(Instant::now()),
            // No arrival is longer, so a datagram that is too long is noticed and not cut.
            batch: Batch::new(path, MAX_ARRIVAL),
            transmits: Transmits::new(),
            sender_key,
            takes_quic: false,
            #[cfg(feature = "webtransport")]
            packets: packets::Packets::default(),
            challenge: Vec::new(),
            unblocked: false,
            backlog: Backlog::default(),
        }
    }

    /// Adds a socket made by [`bind`] or [`take`]. Its index is its position in `--bind`.
    ///
    /// # Errors
    /// If the socket does not know its own address.
    pub fn add(&mut self, socket: UdpSocket) -> io::Result<()> {
        if self.batch.can_segment() {
            socket::enable_gro(&socket);
        }
        let socket = Socket::new(socket)?;
        self.routes.hosts.add_socket(socket.send_buffer(), Instant::now());
        self.sockets.push(socket);
        Ok(())
    }

    /// Returns the sockets, to register them.
    pub fn sockets_mut(&mut self) -> impl Iterator<Item = &mut UdpSocket> {
        self.sockets.iter_mut().map(Socket::inner_mut)
    }

    /// Returns the addresses of the sockets, with their real ports.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(Socket::local_addr)
    }

    /// Returns the number of sockets.
    pub fn socket_count(&self) -> usize {
        self.sockets.len()
    }

    /// Notes an event: reading this socket will not block.
    pub fn note_readable(&mut self, index: usize) {
        self.sockets[index].is_readable = true;
    }

    /// Notes that events may still be in the kernel: any socket may be readable.
    pub fn note_all_readable(&mut self) {
        self.sockets.iter_mut().for_each(|socket| socket.is_readable = true);
    }

    /// Notes an event: writing to this socket will not block.
    pub fn note_writable(&mut self, index: usize) {
        self.unblocked |= !self.sockets[index].is_writable;
        self.sockets[index].is_writable = true;
    }

    /// Returns true if a socket has datagrams that were not read yet.
    pub fn has_input(&self) -> bool {
        self.sockets.iter().any(|socket| socket.is_readable)
    }

    /// Returns the number of sockets with input that was not read yet, and of full ones.
    pub fn busy_sockets(&self) -> (usize, usize) {
        let count =
            |is: fn(&Socket) -> bool| self.sockets.iter().filter(|socket| is(socket)).count();
        (count(|socket| socket.is_readable), count(|socket| !socket.is_writable))
    }

    /// Reads datagrams of one socket up to `budget`, and then the rest of the last arrival. `handle`
    /// names the member that sent a datagram; from then on its datagrams go back the same way. Those of a
    /// sealed member do so only from a proved address. Datagrams that do not open are counted, and
    /// `handle` does not see them.
    pub fn receive(
        &mut self,
        index: usize,
        budget: usize,
        now: Instant,
        mut handle: impl FnMut(&Origin, Incoming<'_>) -> Disposition,
    ) -> ReceiveReport {
        let mut report = ReceiveReport::default();
        let Self { sockets, routes, seals, batch, sender_key, takes_quic, .. } = self;
        let socket = &mut sockets[index];
        while socket.is_readable && report.received + report.errors < budget {
            let left = budget - report.received - report.errors;
            // With UDP_GRO an arrival may hold as many datagrams as one send, so a call must not take
            // more arrivals than the budget allows in that case.
            let max = if batch.can_segment() { left.div_ceil(MAX_SEGMENTS) } else { left };
            let (report, handle) = (&mut report, &mut handle);
            let outcome = socket.receive(batch, max, |arrival, dropped| {
                report.overflow = report.overflow.saturating_add(dropped);
                let remote = arrival.remote.into();
                let origin = Origin { socket: index, local: arrival.local, remote };
                let (sender_key, takes_quic) = (*sender_key, *takes_quic);
                Intake { routes, seals, sender_key, takes_quic, now, report, handle }
                    .deliver(arrival, &origin);
            });
            match outcome {
                ReceiveOutcome::Failed => report.errors += 1,
                ReceiveOutcome::Received | ReceiveOutcome::Empty => {}
            }
        }
        report
    }

    /// Sends the challenges that are due to addresses that sealed members have not proved (E10), and
    /// returns their number. `random` makes their values.
    pub fn send_challenges(&mut self, mut random: impl FnMut() -> Option<[u8; 8]>) -> usize {
        let Self { sockets, seals, batch, challenge, .. } = self;
        let mut sent = 0;
        while let Some(origin) = seals.poll_challenge(&mut random, challenge) {
            let is_sent = sockets[origin.socket].send_alone(batch, challenge, &origin);
            sent += usize::from(is_sent);
        }
        sent
    }

    /// Returns the latest time such that everything that had arrived before was read. Must be called
    /// after all sockets were read in a turn that began at `now`.
    pub fn read_until(&mut self, now: Instant) -> Instant {
        let Self { sockets, backlog, .. } = self;
        if sockets.iter().all(|socket| socket.unread == 0) {
            let is_empty = sockets.iter().all(|socket| !socket.is_readable);
            backlog.read_until = if is_empty { Some(now) } else { backlog.mark };
            backlog.mark = Some(now);
            sockets.iter_mut().for_each(Socket::mark_unread);
        }
        *backlog.read_until.get_or_insert(now)
    }

    /// Returns true if a peer's address is that of one of our own sockets. A member with such an address
    /// would make the server talk to itself, endlessly if its replies are valid requests.
    pub fn is_own_address(&self, origin: &Origin) -> bool {
        self.sockets.iter().any(|socket| socket.is_at(origin))
    }

    /// Sends a member's datagrams to `origin` from now on. A sealed member has no announced address: its
    /// datagrams alone prove one.
    pub fn announce(&mut self, member: MemberId, origin: &Origin) {
        if !self.seals.contains(member) {
            self.routes.announce(member, origin, false);
        }
    }

    /// Makes terms for a sealed member with one of these ciphers. `draw` returns random bits. Returns
    /// `None` if it fails, or if this build has no encryption.
    pub fn make_terms(
        &self,
        ciphers: Ciphers,
        draw: impl FnMut() -> Option<[u8; 16]>,
    ) -> Option<SealTerms> {
        self.seals.make_terms(ciphers, draw)
    }

    /// Seals a member's datagrams with these terms, which `peer` has got inside TLS. Nothing is sent to it
    /// in the clear any more. A member that is sealed already keeps its seal and its route until the
    /// first datagram under the new terms comes.
    pub fn seal_member(
        &mut self,
        member: MemberId,
        terms: &SealTerms,
        peer: PeerAddr,
        now: Instant,
    ) {
        if !self.seals.contains(member) {
            self.routes.forget(member);
        }
        self.seals.seal_member(member, terms, peer, now);
    }

    /// Sends nothing to this member until its address is proved again.
    pub fn forget_route(&mut self, member: MemberId) {
        self.routes.forget(member);
    }

    /// Forgets everything about a member: it has ended, or has no datagrams any more.
    pub fn remove(&mut self, member: MemberId) {
        self.routes.forget(member);
        self.seals.remove(member);
    }

    /// Returns true if a member can be sent to.
    pub fn has_route(&self, member: MemberId) -> bool {
        self.routes.get(member).is_some()
    }

    /// Sends at most `budget` datagrams of a job and advances its shares. The shares of members without
    /// a route stay where they are: see [`Receipt::unrouted`]. If a socket is full, the shares of its
    /// members stay too.
    pub fn send(&mut self, job: Job<'_>, budget: usize) -> Receipt {
        self.transmits.begin(&job);
        let Self { sockets, routes, seals, batch, transmits, .. } = self;
        // Without a socket the loop over the shares does not run, and no member has a route.
        let receipt = Receipt { unrouted: sockets.is_empty(), ..Receipt::default() };
        let has_others = false;
        JobSender { sockets, routes, seals, batch, transmits, job, budget, has_others, receipt }
            .run()
    }

    /// Samples the send buffers that are due, and frees the keys of idle members. Must be called before
    /// [`Datagrams::take_unblocked`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.seals.drop_idle_keys(now);
        for (index, socket) in self.sockets.iter().enumerate() {
            self.unblocked |= self.routes.hosts.poll_buffer(index, now, || socket.queued());
        }
    }

    /// Returns the time of the next [`Datagrams::handle_timeout`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.routes.hosts.next_deadline(), self.seals.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Returns true if a full socket has become writable since the last call.
    pub fn take_unblocked(&mut self) -> bool {
        std::mem::take(&mut self.unblocked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::fd::AsFd;
    use std::time::Duration;

    use batch::played::Played;

    use crate::sys::{Address, Outgoing, SendBatch};

    const OF_NOBODY: Disposition = Disposition { member: None, was_rejected: false };

    pub(super) fn datagrams(heard: &[Result<&'static [u8], i32>]) -> Datagrams {
        let mut datagrams = Datagrams::new(DatagramPath::Mmsg, |bytes| bytes);
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        datagrams.add(socket).expect("an address");
        datagrams.batch =
            Batch::Played(Played { heard: heard.iter().copied().collect(), ..Played::default() });
        datagrams
    }

    #[test]
    fn d3_receive_errors_hide_no_datagram() {
        let errors = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::ENOMEM];
        for errno in errors {
            let mut datagrams =
                datagrams(&[Err(errno), Ok(b"a"), Err(errno), Err(errno), Ok(b"b")]);
            let mut heard = Vec::new();
            let report = datagrams.receive(0, 99, Instant::now(), |_, incoming| {
                let Incoming::Clear(bytes) = incoming else { panic!("sealed") };
                heard.push(bytes.to_vec());
                OF_NOBODY
            });
            let expected = ReceiveReport { received: 2, errors: 3, ..ReceiveReport::default() };
            assert_eq!(report, expected, "errno {errno}");
            assert_eq!(heard, [b"a", b"b"]);
            assert!(!datagrams.has_input(), "read to the end");
        }
    }

    #[test]
    fn field_p3_budget_counts_segments() {
        const PIECES: usize = 64;
        let mut datagrams = Datagrams::new(DatagramPath::Mmsg, |bytes| bytes);
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let to = Address::from(socket.local_addr().expect("an address"));
        datagrams.add(socket).expect("an address");
        let from = UdpSocket::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let outgoing =
            Outgoing { to: &to, local: None, pieces: &[(0, PIECES as u32)], segment: Some(1) };
        let mut batch = SendBatch::new();
        for _ in 0..20 {
            let sent = batch.send(from.as_fd(), &[b'x'; PIECES], std::iter::once(outgoing));
            assert_eq!(sent.expect("sent"), 1);
        }
        let mut left = 20 * PIECES;
        while left > 0 {
            let received = datagrams.receive(0, 256, Instant::now(), |_, _| OF_NOBODY).received;
            assert!((1..256 + PIECES).contains(&received), "{received}");
            left -= received;
        }
    }

    #[test]
    fn field_i_read_until_ignores_the_flood() {
        const BUDGET: usize = 256;
        let start = Instant::now();
        let at = |turn: usize| start + Duration::from_secs(turn as u64);
        let mut datagrams = datagrams(&[Ok(&b"a"[..]); 3 * BUDGET]);
        assert_eq!(datagrams.read_until(at(0)), at(0));
        for turn in 1..=3 {
            datagrams.receive(0, BUDGET, Instant::now(), |_, _| OF_NOBODY);
            assert_eq!(datagrams.read_until(at(turn)), at(0), "there is more");
        }
        datagrams.receive(0, BUDGET, Instant::now(), |_, _| OF_NOBODY);
        assert_eq!(datagrams.read_until(at(4)), at(4), "empty");

        // A socket that is never empty: after as many reads as it can hold, older datagrams were read.
        let (mut turn, mut until) = (4, at(4));
        while until == at(4) {
            let Batch::Played(played) = &mut datagrams.batch else { panic!("played") };
            played.heard.extend([Ok(&b"a"[..]); BUDGET + 1]);
            datagrams.note_readable(0);
            datagrams.receive(0, BUDGET, Instant::now(), |_, _| OF_NOBODY);
            turn += 1;
            until = datagrams.read_until(at(turn));
            assert!(turn < 1_000, "no member would ever count as silent");
        }
        assert!(until < at(turn) && turn * BUDGET > 10_000, "{turn}");
    }

    #[test]
    fn d3_failing_socket_ends_its_turn() {
        let mut datagrams = datagrams(&[Err(libc::ENETDOWN); 1000]);
        assert_eq!(datagrams.receive(0, 64, Instant::now(), |_, _| OF_NOBODY).errors, 64);
        assert!(datagrams.has_input(), "the next turn continues");
    }
}
