//! The UDP sockets: datagrams in, jobs out, and the route to each member.
//!
//! This layer knows addresses and bytes, not their meaning. A member has a route once its address is
//! proved; without a route nothing is sent to it. Readiness is remembered: an event sets a bit, and
//! only a call that would have blocked clears it. All calls go through mio's `try_io`, which makes sure
//! that the next edge is reported.
//!
//! [`batch`] states the contract of one receive or send call. System calls, control messages and
//! address formats lie behind it (`batch/`, `sys.rs`), and this layer can be read without them.

mod batch;
mod copies;
mod hosts;
mod routes;
mod send;
mod send_buffer;
mod socket;
mod transmits;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;

use crate::address::Origin;
use crate::config::DatagramPath;
use crate::fanout::{Job, Receipt};
use crate::ids::MemberId;
use crate::sys::{Arrival, MAX_ARRIVAL, MAX_SEGMENTS};

use batch::Batch;
use routes::Routes;
use send::JobSender;
use socket::{ReceiveOutcome, Socket};
use transmits::Transmits;

pub use socket::bind;

/// Result of reading a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveReport {
    /// Datagrams that arrived.
    pub received: usize,
    /// Those of them that the flood guard skipped.
    pub skipped: usize,
    /// Errors. They are echoes of datagrams that were sent to a peer who is gone, and end nothing.
    pub errors: usize,
    /// Datagrams that the kernel had dropped because the receive buffer was full.
    pub overflow: u32,
}

/// The owner's verdict on a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// The member that sent it, if any.
    pub member: Option<MemberId>,
    /// True if it had no effect, and further ones with the same sender key would have none either.
    pub was_rejected: bool,
}

/// Returns the part of a datagram that names its sender. The owner knows the format.
pub type SenderKey = fn(&[u8]) -> &[u8];

/// Number of rejects in a row, with the same sender key, after which the rest of an arrival is skipped: a
/// flood must cost less than the traffic that it displaces.
const MAX_REJECTS: usize = 8;

/// Flood guard: counts rejects in a row among datagrams that arrived together.
struct RejectStreak<'a> {
    sender_key: SenderKey,
    /// The key of the last reject. One program may send for several members.
    key: &'a [u8],
    count: usize,
}

impl<'a> RejectStreak<'a> {
    fn new(sender_key: SenderKey) -> Self {
        Self { sender_key, key: &[], count: 0 }
    }

    fn skips(&self, bytes: &[u8]) -> bool {
        self.count >= MAX_REJECTS && (self.sender_key)(bytes) == self.key
    }

    fn note_reject(&mut self, bytes: &'a [u8]) {
        let key = (self.sender_key)(bytes);
        self.count = if key == self.key { self.count + 1 } else { 1 };
        self.key = key;
    }
}

/// The UDP sockets, in the order of `--bind`, and the routes to all members.
pub struct Datagrams {
    sockets: Vec<Socket>,
    routes: Routes,
    batch: Batch,
    transmits: Transmits,
    sender_key: SenderKey,
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
            // No arrival is longer, so a datagram that is too long is noticed and not cut.
            batch: Batch::new(path, MAX_ARRIVAL),
            transmits: Transmits::new(),
            sender_key,
            unblocked: false,
            backlog: Backlog::default(),
        }
    }

    /// Adds a socket made by [`bind`]. Its index is its position in `--bind`.
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
    pub fn len(&self) -> usize {
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

    /// Reads datagrams of one socket up to `budget`, and then the rest of the last arrival. `handle`
    /// names the member that sent a datagram; from then on its datagrams go back the same way.
    pub fn receive(
        &mut self,
        index: usize,
        budget: usize,
        mut handle: impl FnMut(&Origin, &[u8]) -> Disposition,
    ) -> ReceiveReport {
        let mut report = ReceiveReport::default();
        let Self { sockets, routes, batch, sender_key, .. } = self;
        let socket = &mut sockets[index];
        while socket.is_readable && report.received + report.errors < budget {
            let left = budget - report.received - report.errors;
            // With UDP_GRO an arrival may hold as many datagrams as one send, so a call must not take
            // more arrivals than the budget allows in that case.
            let max = if batch.can_segment() { left.div_ceil(MAX_SEGMENTS) } else { left };
            let outcome = socket.receive(batch, max, |arrival, dropped| {
                report.overflow = report.overflow.saturating_add(dropped);
                let remote = arrival.remote.into();
                let origin = Origin { socket: index, local: arrival.local, remote };
                let streak = RejectStreak::new(*sender_key);
                deliver_arrival(arrival, &origin, streak, routes, &mut report, &mut handle);
            });
            match outcome {
                ReceiveOutcome::Failed => report.errors += 1,
                ReceiveOutcome::Received | ReceiveOutcome::Empty => {}
            }
        }
        report
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

    /// Sends a member's datagrams to `origin` from now on.
    pub fn announce(&mut self, member: MemberId, origin: &Origin) {
        self.routes.announce(member, origin);
    }

    /// Sends nothing to this member from now on.
    pub fn forget(&mut self, member: MemberId) {
        self.routes.forget(member);
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
        let Self { sockets, routes, batch, transmits, .. } = self;
        let receipt = Receipt::default();
        JobSender { sockets, routes, batch, transmits, job, budget, receipt }.run()
    }

    /// Samples the send buffers that are due. Must be called before [`Datagrams::take_unblocked`].
    pub fn poll_send_buffers(&mut self, now: Instant) {
        for (index, socket) in self.sockets.iter().enumerate() {
            self.unblocked |= self.routes.hosts.poll_buffer(index, now, || socket.queued());
        }
    }

    /// Returns the time of the next [`Datagrams::poll_send_buffers`].
    pub fn next_deadline(&self) -> Option<Instant> {
        self.routes.hosts.next_deadline()
    }

    /// Returns true if a full socket has become writable since the last call.
    pub fn take_unblocked(&mut self) -> bool {
        std::mem::take(&mut self.unblocked)
    }
}

/// Hands the datagrams of one arrival to `handle`, except those that the flood guard skips.
fn deliver_arrival<'a>(
    arrival: Arrival<'a>,
    origin: &Origin,
    mut streak: RejectStreak<'a>,
    routes: &mut Routes,
    report: &mut ReceiveReport,
    handle: &mut impl FnMut(&Origin, &[u8]) -> Disposition,
) {
    let mut announced = None;
    let mut datagrams = arrival.datagrams().peekable();
    while let Some(bytes) = datagrams.next() {
        report.received += 1;
        // The last one is never skipped: it alone may have another size, and so be another kind of
        // message, such as a farewell.
        if streak.skips(bytes) && datagrams.peek().is_some() {
            report.skipped += 1;
            continue;
        }
        let Disposition { member, was_rejected } = handle(origin, bytes);
        if was_rejected {
            streak.note_reject(bytes);
        }
        if let Some(member) = member.filter(|_| member != announced) {
            routes.announce(member, origin);
            announced = Some(member);
        }
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

    fn datagrams(heard: &[Result<&'static [u8], i32>]) -> Datagrams {
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
            let report = datagrams.receive(0, 99, |_, bytes| {
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
            let received = datagrams.receive(0, 256, |_, _| OF_NOBODY).received;
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
            datagrams.receive(0, BUDGET, |_, _| OF_NOBODY);
            assert_eq!(datagrams.read_until(at(turn)), at(0), "there is more");
        }
        datagrams.receive(0, BUDGET, |_, _| OF_NOBODY);
        assert_eq!(datagrams.read_until(at(4)), at(4), "empty");

        // A socket that is never empty: after as many reads as it can hold, older datagrams were read.
        let (mut turn, mut until) = (4, at(4));
        while until == at(4) {
            let Batch::Played(played) = &mut datagrams.batch else { panic!("played") };
            played.heard.extend([Ok(&b"a"[..]); BUDGET + 1]);
            datagrams.note_readable(0);
            datagrams.receive(0, BUDGET, |_, _| OF_NOBODY);
            turn += 1;
            until = datagrams.read_until(at(turn));
            assert!(turn < 1_000, "no member would ever count as silent");
        }
        assert!(until < at(turn) && turn * BUDGET > 10_000, "{turn}");
    }

    #[test]
    fn d3_failing_socket_ends_its_turn() {
        let mut datagrams = datagrams(&[Err(libc::ENETDOWN); 1000]);
        assert_eq!(datagrams.receive(0, 64, |_, _| OF_NOBODY).errors, 64);
        assert!(datagrams.has_input(), "the next turn continues");
    }
}
