//! The UDP sockets: datagrams in, jobs out, and where each member's datagrams go.
//!
//! It knows addresses and bytes, not what they mean. A member has a route in the routes once its
//! address is proved; without a route nothing is sent to it. Readiness is remembered: a bit is set by
//! an event and cleared only by a call that would have blocked. All calls go through mio's `try_io`,
//! which sees to it that the next edge is told.

mod batch;
mod copies;
mod hosts;
mod routes;
mod send;
mod socket;
mod transmits;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;

use crate::config::DatagramPath;
use crate::fanout::{Job, Receipt};
use crate::ids::{MemberId, Origin};
use crate::protocol::datagram::sender_key;
use crate::sys::{Arrival, MAX_ARRIVAL, MAX_SEGMENTS};

use batch::Batch;
use hosts::Hosts;
use routes::Routes;
use send::JobSender;
use socket::{ReceiveOutcome, Socket};
use transmits::Transmits;

pub use socket::bind;

/// What came of reading a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveReport {
    /// Datagrams that came.
    pub received: usize,
    /// Those of them that were not handed over, behind others of one sender that came in vain.
    pub unheard: usize,
    /// Errors met: echoes of what was sent to somebody who is gone. They end nothing.
    pub errors: usize,
    /// Datagrams that the kernel had dropped before, for lack of room.
    pub overflow: u32,
}

/// What became of a datagram that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// Whose it was.
    pub member: Option<MemberId>,
    /// It came to nothing, as will more of the kind.
    pub was_rejected: bool,
}

/// When so many of those that one sender has sent at once, in one name, came in vain, the rest of them is
/// not handed over: a flood is to cost less than what it drives out.
const MAX_IN_VAIN: usize = 8;

/// What came in vain of what one sender has sent at once.
#[derive(Default)]
struct RejectStreak<'a> {
    /// In whose name it was sent; the names of several members may come from one program.
    sender_key: &'a [u8],
    count: usize,
}

impl<'a> RejectStreak<'a> {
    fn is_one_more(&self, bytes: &[u8]) -> bool {
        self.count >= MAX_IN_VAIN && sender_key(bytes) == self.sender_key
    }

    fn note(&mut self, bytes: &'a [u8]) {
        let sender_key = sender_key(bytes);
        self.count = if sender_key == self.sender_key { self.count + 1 } else { 1 };
        self.sender_key = sender_key;
    }
}

/// Hands over what one sender has sent at once, or most of it. The last is always heard: it alone may
/// have another size, and so be another kind of message, such as a good-bye.
fn deliver_arrival(
    arrival: Arrival<'_>,
    origin: &Origin,
    (routes, hosts): (&mut Routes, &mut Hosts),
    report: &mut ReceiveReport,
    hear: &mut impl FnMut(&Origin, &[u8]) -> Disposition,
) {
    let (mut announced, mut vain) = (None, RejectStreak::default());
    let mut datagrams = arrival.datagrams().peekable();
    while let Some(bytes) = datagrams.next() {
        report.received += 1;
        if vain.is_one_more(bytes) && datagrams.peek().is_some() {
            report.unheard += 1;
            continue;
        }
        let Disposition { member, was_rejected } = hear(origin, bytes);
        if was_rejected {
            vain.note(bytes);
        }
        if let Some(member) = member.filter(|_| member != announced) {
            routes.announce(member, origin, hosts);
            announced = Some(member);
        }
    }
}

/// The UDP sockets, in the order of `--bind`, and the routes of addresses.
pub struct Datagrams {
    sockets: Vec<Socket>,
    routes: Routes,
    hosts: Hosts,
    batch: Batch,
    transmits: Transmits,
    /// A socket that was full is so no more.
    unblocked: bool,
    backlog: Backlog,
}

/// The time up to which the sockets were read.
///
/// A flood keeps a socket from ever being empty. But the kernel keeps datagrams in order and has
/// room for so many: when as many were read as it can hold, everything that had arrived before was.
#[derive(Debug, Default)]
struct Backlog {
    /// Everything that arrived before was read.
    read_until: Option<Instant>,
    /// When the sockets' counts of unread arrivals were set.
    mark: Option<Instant>,
}

impl Datagrams {
    /// No sockets yet.
    pub fn new(path: DatagramPath) -> Self {
        Self {
            sockets: Vec::new(),
            routes: Routes::default(),
            hosts: Hosts::default(),
            // Nothing that comes is longer: what is too long is seen and not cut.
            batch: Batch::new(path, MAX_ARRIVAL),
            transmits: Transmits::new(),
            unblocked: false,
            backlog: Backlog::default(),
        }
    }

    /// Takes a socket that [`bind`] has made; its index is its place in `--bind`.
    ///
    /// # Errors
    /// If the socket does not know its own address.
    pub fn add(&mut self, socket: UdpSocket) -> io::Result<()> {
        if self.batch.can_segment() {
            socket::enable_gro(&socket);
        }
        let socket = Socket::new(socket)?;
        self.hosts.add_socket(socket.send_buffer(), Instant::now());
        self.sockets.push(socket);
        Ok(())
    }

    /// The sockets, to register them.
    pub fn sockets_mut(&mut self) -> impl Iterator<Item = &mut UdpSocket> {
        self.sockets.iter_mut().map(Socket::inner_mut)
    }

    /// An event said that reading this socket will not block.
    pub fn note_readable(&mut self, index: usize) {
        self.sockets[index].is_readable = true;
    }

    /// Any socket may have datagrams: an event may not have been seen yet.
    pub fn note_all_readable(&mut self) {
        self.sockets.iter_mut().for_each(|socket| socket.is_readable = true);
    }

    /// Returns the latest time up to which everything that had arrived was read. To be called after
    /// all sockets were read in a turn that began at `now`.
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

    /// An event said that writing to this socket will not block.
    pub fn note_writable(&mut self, index: usize) {
        self.unblocked |= !self.sockets[index].is_writable;
        self.sockets[index].is_writable = true;
    }

    /// Looks at the send buffers for which that is due. Must be called before
    /// [`Datagrams::take_unblocked`].
    pub fn look(&mut self, now: Instant) {
        for (index, socket) in self.sockets.iter().enumerate() {
            if self.hosts.is_due(index, now) {
                self.hosts.note_look(index, socket.queued(), now);
                self.unblocked |= self.hosts.take_waiting(index);
            }
        }
    }

    /// Returns the time when [`Datagrams::look`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.hosts.next_deadline()
    }

    /// Whether a socket that was full has become writable since this was last asked.
    pub fn take_unblocked(&mut self) -> bool {
        std::mem::take(&mut self.unblocked)
    }

    /// Whether a socket has datagrams that were not read yet.
    pub fn has_input(&self) -> bool {
        self.sockets.iter().any(|socket| socket.is_readable)
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Reads datagrams of one socket until there were `budget` of them, and those that have come in
    /// one piece with the last. `hear` says whose each is; from then on that member's datagrams go
    /// back the way this one came.
    pub fn receive(
        &mut self,
        index: usize,
        budget: usize,
        mut hear: impl FnMut(&Origin, &[u8]) -> Disposition,
    ) -> ReceiveReport {
        let mut report = ReceiveReport::default();
        let (routes, hosts) = (&mut self.routes, &mut self.hosts);
        while self.sockets[index].is_readable && report.received + report.errors < budget {
            let left = budget - report.received - report.errors;
            // An arrival may hold as many datagrams as one send (UDP_GRO): no call takes more
            // arrivals than the budget allows if each does.
            let max = if self.batch.can_segment() { left.div_ceil(MAX_SEGMENTS) } else { left };
            let outcome = self.sockets[index].receive(&mut self.batch, max, |arrival, dropped| {
                report.overflow = report.overflow.saturating_add(dropped);
                let origin = Origin { socket: index, local: arrival.local, remote: arrival.remote };
                deliver_arrival(arrival, &origin, (routes, hosts), &mut report, &mut hear);
            });
            match outcome {
                ReceiveOutcome::Failed => report.errors += 1,
                ReceiveOutcome::Received | ReceiveOutcome::Drained => {}
            }
        }
        report
    }

    /// Whether a peer's address is that of one of our own sockets: who has it as a member's gets the
    /// server to talk to itself, for ever if its answers make sense as questions.
    pub fn is_own_address(&self, origin: &Origin) -> bool {
        self.sockets.iter().any(|socket| socket.is_at(origin))
    }

    /// A member's datagrams go to `origin` from now on.
    pub fn announce(&mut self, member: MemberId, origin: &Origin) {
        self.routes.announce(member, origin, &mut self.hosts);
    }

    /// Nothing is sent to this member any more.
    pub fn forget(&mut self, member: MemberId) {
        self.routes.forget(member, &mut self.hosts);
    }

    /// Sends at most `budget` datagrams of a job and moves its shares on. A member without an
    /// address gets nothing and is passed over. Where a socket is full, the shares of its members
    /// stay where they are.
    pub fn send(&mut self, job: Job<'_>, budget: usize) -> Receipt {
        self.transmits.begin(&job);
        let Self { sockets, routes, hosts, batch, transmits, .. } = self;
        let receipt = Receipt::default();
        JobSender { sockets, routes, hosts, batch, transmits, job, budget, receipt }.run()
    }

    /// The addresses of the sockets, with their real ports.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(Socket::local_addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::fd::AsFd;
    use std::time::Duration;

    use batch::played::Played;

    use crate::sys::{Address, Outgoing, SendBatch};

    const NOBODYS: Disposition = Disposition { member: None, was_rejected: false };

    fn datagrams(heard: &[Result<&'static [u8], i32>]) -> Datagrams {
        let mut datagrams = Datagrams::new(DatagramPath::Mmsg);
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        datagrams.add(socket).expect("an address");
        datagrams.batch =
            Batch::Played(Played { heard: heard.iter().copied().collect(), ..Played::default() });
        datagrams
    }

    #[test]
    fn d3_an_error_on_receive_is_counted_and_what_lies_behind_it_is_read() {
        let errors = [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::ENOMEM];
        for errno in errors {
            let mut datagrams =
                datagrams(&[Err(errno), Ok(b"a"), Err(errno), Err(errno), Ok(b"b")]);
            let mut heard = Vec::new();
            let report = datagrams.receive(0, 99, |_, bytes| {
                heard.push(bytes.to_vec());
                NOBODYS
            });
            let expected = ReceiveReport { received: 2, errors: 3, ..ReceiveReport::default() };
            assert_eq!(report, expected, "errno {errno}");
            assert_eq!(heard, [b"a", b"b"]);
            assert!(!datagrams.has_input(), "read to the end");
        }
    }

    #[test]
    fn field_p3_a_turn_is_bounded_in_datagrams_however_they_arrive() {
        const PIECES: usize = 64;
        let mut datagrams = Datagrams::new(DatagramPath::Mmsg);
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
            let received = datagrams.receive(0, 256, |_, _| NOBODYS).received;
            assert!((1..256 + PIECES).contains(&received), "{received}");
            left -= received;
        }
    }

    #[test]
    fn field_i_read_until_waits_for_the_backlog_and_not_for_the_flood() {
        const BUDGET: usize = 256;
        let start = Instant::now();
        let at = |turn: usize| start + Duration::from_secs(turn as u64);
        let mut datagrams = datagrams(&[Ok(&b"a"[..]); 3 * BUDGET]);
        assert_eq!(datagrams.read_until(at(0)), at(0));
        for turn in 1..=3 {
            datagrams.receive(0, BUDGET, |_, _| NOBODYS);
            assert_eq!(datagrams.read_until(at(turn)), at(0), "there is more");
        }
        datagrams.receive(0, BUDGET, |_, _| NOBODYS);
        assert_eq!(datagrams.read_until(at(4)), at(4), "empty");

        // A socket that is never empty: what came before is read after as much as it can hold.
        let (mut turn, mut until) = (4, at(4));
        while until == at(4) {
            let Batch::Played(played) = &mut datagrams.batch else { panic!("played") };
            played.heard.extend([Ok(&b"a"[..]); BUDGET + 1]);
            datagrams.note_readable(0);
            datagrams.receive(0, BUDGET, |_, _| NOBODYS);
            turn += 1;
            until = datagrams.read_until(at(turn));
            assert!(turn < 1_000, "nobody would ever be silent");
        }
        assert!(until < at(turn) && turn * BUDGET > 10_000, "{turn}");
    }

    #[test]
    fn d3_a_socket_that_only_fails_does_not_keep_the_turn() {
        let mut datagrams = datagrams(&[Err(libc::ENETDOWN); 1000]);
        assert_eq!(datagrams.receive(0, 64, |_, _| NOBODYS).errors, 64);
        assert!(datagrams.has_input(), "the next turn goes on");
    }
}
