//! Shares of hosts in the send buffers of the sockets.
//!
//! A neighbour that answers no ARP keeps what is sent to it in the kernel for 3 seconds (arp(7),
//! `mcast_solicit` and `retrans_time_ms`), and those bytes are charged to our one socket. Three such
//! neighbours would fill it, and nobody else would be sent anything. The kernel tells only how many
//! bytes lie in a socket (`SIOCOUTQ`), not whose they are. So sends are counted by host, in rounds
//! from one look at the socket to the next: a round that leaves the socket as full as it was has
//! left it. One that does not, within [`DRAIN`], makes its hosts suspects.
//!
//! No host gets more than a fraction of what is free, as queues in a switch that share memory
//! (Choudhury and Hahne, "Dynamic queue length thresholds", 1998): however many are deaf, something
//! is free for others. A suspect that has its share gets one datagram at a time, to see whether that
//! leaves the socket.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A host gets at most one part in so many of what is free in a socket.
const SHARES: usize = 4;

/// A socket that holds at most one part in so many counts as empty.
const EMPTY: usize = 8;

/// Time in which what is sent leaves the socket, unless the kernel cannot send it on.
const DRAIN: Duration = Duration::from_millis(50);

/// Time for which members of a host that has its share wait. Then what they do not get is dropped,
/// so that a room does not wait for them.
const PATIENCE: Duration = Duration::from_millis(100);

/// Time from one datagram to a suspect to the next, as long as they stay in the socket.
const RETRY: Duration = Duration::from_secs(1);

/// Time from one look at a socket to the next, while somebody waits.
const LOOK: Duration = Duration::from_millis(1);

/// What the kernel charges for a datagram beside its bytes: its record of it (struct sk_buff and
/// struct skb_shared_info).
const OVERHEAD: usize = 768;

/// The most rounds that are not judged. More are made only if a socket is looked at more often than
/// it should; the oldest of them counts as stuck.
const MAX_PENDING: usize = 256;

/// One host, as seen from one socket.
#[derive(Clone, Copy, Debug)]
struct Host {
    key: (u16, IpAddr),
    /// Rows of members at this host; 0 where the place is free.
    rows: u32,
    /// What it was sent in the last round in which it was sent anything.
    recent: Lot,
    /// The same of rounds before that are not judged. What finds no place is added to the last.
    doubtful: [Lot; 2],
    /// Bytes that did not leave the socket.
    stuck: usize,
    /// When it became a suspect.
    since: Option<Instant>,
    /// A suspect gets its next datagram then.
    retry_at: Option<Instant>,
}

/// Bytes sent in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Lot {
    round: u64,
    bytes: usize,
}

/// A round that is not judged yet.
#[derive(Debug)]
struct Round {
    number: u64,
    /// Bytes in the socket when it began, and the fewest seen since it ended.
    before: usize,
    least: usize,
    ended: Instant,
}

/// What the socket with one index is known to hold.
#[derive(Debug)]
struct Buffer {
    size: usize,
    queued: usize,
    /// Bytes sent in this round.
    sent: usize,
    round: u64,
    pending: VecDeque<Round>,
    /// Judged rounds that did not leave it.
    stuck: VecDeque<u64>,
    /// The round in which a suspect is tried.
    trial: Option<u64>,
    looked_at: Instant,
    /// A host has its share: its members wait.
    has_waiting: bool,
}

/// What may be sent to a host now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// So many bytes, with what the kernel charges beside them, but one datagram at least.
    Bytes(usize),
    /// Nothing: its members wait.
    Wait,
    /// Nothing, and for long: its members do without.
    Drop,
}

/// All hosts and sockets.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    free: Vec<u32>,
    places: HashMap<(u16, IpAddr), u32>,
    buffers: Vec<Buffer>,
}

impl Hosts {
    /// Adds a socket with a send buffer of `size` bytes.
    pub(super) fn add_socket(&mut self, size: usize, now: Instant) {
        self.buffers.push(Buffer {
            size,
            queued: 0,
            sent: 0,
            round: 1,
            pending: VecDeque::new(),
            stuck: VecDeque::new(),
            trial: None,
            looked_at: now,
            has_waiting: false,
        });
    }

    /// Returns the place of a host, which has a member more.
    pub(super) fn enter(&mut self, socket: u16, ip: IpAddr) -> u32 {
        let key = (socket, ip);
        if let Some(place) = self.places.get(&key) {
            self.hosts[*place as usize].rows += 1;
            return *place;
        }
        let host = Host {
            key,
            rows: 1,
            recent: Lot::default(),
            doubtful: [Lot::default(); 2],
            stuck: 0,
            since: None,
            retry_at: None,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.hosts[place as usize] = host;
                place
            }
            None => {
                self.hosts.push(host);
                // There are as many as there are members at most.
                (self.hosts.len() - 1) as u32
            }
        };
        self.places.insert(key, place);
        place
    }

    /// A host has a member less.
    pub(super) fn leave(&mut self, place: u32) {
        let host = &mut self.hosts[place as usize];
        host.rows -= 1;
        if host.rows == 0 {
            self.places.remove(&host.key);
            self.free.push(place);
        }
    }

    /// Returns what may be sent to a host that has its share, perhaps only because nobody has looked:
    /// `look` tells how many bytes lie in its socket, among them all that was noted.
    pub(super) fn permit(
        &mut self,
        (place, size): (u32, usize),
        now: Instant,
        look: impl FnOnce() -> usize,
    ) -> Permit {
        let socket = usize::from(self.hosts[place as usize].key.0);
        let buffer = &self.buffers[socket];
        if buffer.sent > buffer.size / (4 * SHARES) || now >= buffer.looked_at + LOOK {
            self.note_look(socket, look(), now);
        }
        match self.fits(place, size) {
            Some(bytes) => Permit::Bytes(bytes),
            None => self.try_suspect(place, now),
        }
    }

    /// Lets a host that has its share try one datagram, if it is its turn.
    fn try_suspect(&mut self, place: u32, now: Instant) -> Permit {
        let host = &mut self.hosts[place as usize];
        let buffer = &mut self.buffers[usize::from(host.key.0)];
        let Some(since) = host.since else {
            buffer.has_waiting = true;
            return Permit::Wait;
        };
        let has_space = buffer.queued < buffer.size / 4 * 3;
        let is_due = has_space && host.retry_at.is_none_or(|at| at <= now);
        if is_due && buffer.trial.is_none() && !host.is_in_doubt() {
            buffer.trial = Some(buffer.round);
            host.retry_at = Some(now + RETRY);
            return Permit::Bytes(0);
        }
        if since + PATIENCE <= now {
            return Permit::Drop;
        }
        buffer.has_waiting = true;
        Permit::Wait
    }

    /// Returns how many bytes more a host may have in its socket, if a datagram of `size` bytes may
    /// be among them.
    pub(super) fn fits(&mut self, place: u32, size: usize) -> Option<usize> {
        let host = &mut self.hosts[place as usize];
        let buffer = &self.buffers[usize::from(host.key.0)];
        host.settle(buffer);
        let used = buffer.queued + buffer.sent;
        if used == 0 {
            return Some(buffer.size / SHARES);
        }
        let share = buffer.size.saturating_sub(used) / SHARES;
        share.checked_sub(host.taken()).filter(|left| *left >= size + OVERHEAD)
    }

    /// Notes a message of so many bytes that is sent to a host.
    pub(super) fn note_sent(&mut self, place: u32, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        let host = &mut self.hosts[place as usize];
        let buffer = &mut self.buffers[usize::from(host.key.0)];
        // What may be sent was asked before: an earlier round is taken in.
        host.recent = Lot { round: buffer.round, bytes: host.recent.bytes + bytes };
        buffer.sent += bytes;
    }

    /// Returns when a socket is to be looked at, because members wait.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.buffers.iter().filter(|buffer| buffer.has_waiting);
        waiting.map(|buffer| buffer.looked_at + LOOK).min()
    }

    /// Returns true if it is time to look at a socket.
    pub(super) fn is_due(&self, socket: usize, now: Instant) -> bool {
        let buffer = &self.buffers[socket];
        let is_in_use = buffer.sent > 0 || buffer.has_waiting || !buffer.pending.is_empty();
        is_in_use && now >= buffer.looked_at + LOOK
    }

    /// Returns true if members wait for a look at the socket since this was last asked.
    pub(super) fn take_waiting(&mut self, socket: usize) -> bool {
        std::mem::take(&mut self.buffers[socket].has_waiting)
    }

    /// Notes how many bytes lie in a socket: a round ends.
    pub(super) fn note_look(&mut self, socket: usize, queued: usize, now: Instant) {
        let buffer = &mut self.buffers[socket];
        buffer.end_round(queued, now);
        if buffer.trial.is_some_and(|round| buffer.judgement(round).is_some()) {
            buffer.trial = None;
        }
    }
}

impl Host {
    /// Returns bytes that may lie in the socket.
    fn taken(&self) -> usize {
        let doubtful: usize = self.doubtful.iter().map(|lot| lot.bytes).sum();
        self.recent.bytes + doubtful + self.stuck
    }

    /// Returns true if a round in which it was sent something is not judged.
    fn is_in_doubt(&self) -> bool {
        self.recent.bytes > 0 || self.doubtful.iter().any(|lot| lot.bytes > 0)
    }

    /// Takes in what is known of the rounds in which it was sent something.
    fn settle(&mut self, buffer: &Buffer) {
        if self.recent.round < buffer.round && self.recent.bytes > 0 {
            let lot = std::mem::take(&mut self.recent);
            match self.doubtful.iter().position(|other| other.bytes == 0) {
                Some(free) => self.doubtful[free] = lot,
                None => self.doubtful[1].bytes += lot.bytes,
            }
        }
        for index in 0..self.doubtful.len() {
            let lot = self.doubtful[index];
            if lot.bytes == 0 {
                continue;
            }
            match buffer.judgement(lot.round) {
                None => {}
                // It is not deaf, whatever it was suspected of.
                Some(true) => {
                    let recent = self.recent;
                    self.clear();
                    self.recent = recent;
                    return;
                }
                Some(false) => {
                    self.doubtful[index].bytes = 0;
                    self.stuck += lot.bytes;
                    self.since.get_or_insert(buffer.looked_at);
                }
            }
        }
    }

    /// All that it was sent has left the socket.
    fn clear(&mut self) {
        (self.recent, self.doubtful) = (Lot::default(), [Lot::default(); 2]);
        (self.stuck, self.since, self.retry_at) = (0, None, None);
    }
}

impl Buffer {
    fn end_round(&mut self, queued: usize, now: Instant) {
        if self.sent > 0 {
            let (number, before) = (self.round, self.queued);
            self.pending.push_back(Round { number, before, least: queued, ended: now });
        }
        (self.queued, self.sent, self.looked_at) = (queued, 0, now);
        self.round += 1;
        if queued <= self.size / EMPTY {
            self.pending.clear();
            self.stuck.clear();
            self.trial = None;
            return;
        }
        let Self { pending, stuck, .. } = self;
        let is_full = pending.len() > MAX_PENDING;
        pending.retain_mut(|round| {
            round.least = round.least.min(queued);
            let has_left = round.least <= round.before;
            let is_stuck = !has_left && (round.ended + DRAIN <= now || is_full);
            if is_stuck {
                stuck.push_back(round.number);
            }
            !has_left && !is_stuck
        });
        if self.stuck.len() > MAX_PENDING {
            self.stuck.pop_front();
        }
    }

    /// Returns whether what was sent in a round has left the socket, if that is known.
    fn judgement(&self, round: u64) -> Option<bool> {
        let is_pending = self.pending.iter().any(|pending| pending.number == round);
        let is_known = round < self.round && !is_pending;
        is_known.then(|| !self.stuck.contains(&round))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// What most kernels grant without privileges.
    const SIZE: usize = 425_984;

    /// A socket and its kernel: what deaf hosts were sent stays for 3 seconds, the rest is gone after
    /// a millisecond.
    struct Stage {
        hosts: Hosts,
        now: Instant,
        stuck: usize,
        gives_up: VecDeque<(Instant, usize)>,
        fresh: usize,
    }

    impl Stage {
        fn new() -> Self {
            let (mut hosts, now) = (Hosts::default(), Instant::now());
            hosts.add_socket(SIZE, now);
            Self { hosts, now, stuck: 0, gives_up: VecDeque::new(), fresh: 0 }
        }

        fn host(&mut self, number: u32) -> u32 {
            self.hosts.enter(0, Ipv4Addr::from_bits(number).into())
        }

        /// Sends a datagram, if that is permitted. Returns what it came to.
        fn send(&mut self, place: u32, bytes: usize, is_deaf: bool) -> Permit {
            let queued = self.stuck + self.fresh;
            let permit = match self.hosts.fits(place, bytes) {
                Some(bytes) => Permit::Bytes(bytes),
                None => self.hosts.permit((place, bytes), self.now, || queued),
            };
            if matches!(permit, Permit::Bytes(_)) {
                assert!(queued < SIZE, "the socket is full");
                self.hosts.note_sent(place, bytes);
                let charged = bytes + OVERHEAD;
                if is_deaf {
                    self.stuck += charged;
                    self.gives_up.push_back((self.now + Duration::from_secs(3), charged));
                } else {
                    self.fresh += charged;
                }
            }
            permit
        }

        fn pass_millisecond(&mut self) {
            self.now += LOOK;
            self.fresh = 0;
            while self.gives_up.front().is_some_and(|(at, _)| *at <= self.now) {
                self.stuck -= self.gives_up.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            if self.hosts.is_due(0, self.now) {
                self.hosts.note_look(0, self.stuck, self.now);
            }
        }
    }

    #[test]
    fn a5_however_many_hosts_are_deaf_others_are_sent_to() {
        for count in [1, 3, 8, 58] {
            let mut stage = Stage::new();
            let deaf: Vec<u32> = (0..count).map(|number| stage.host(number)).collect();
            let other = stage.host(1_000);
            for _ in 0..8_000 {
                for place in &deaf {
                    while matches!(stage.send(*place, 4_000, true), Permit::Bytes(_)) {}
                }
                let permit = stage.send(other, 100, false);
                assert!(matches!(permit, Permit::Bytes(_)), "{permit:?} beside {count}");
                stage.pass_millisecond();
            }
            let last = stage.send(deaf[0], 4_000, true);
            assert!(!matches!(last, Permit::Bytes(share) if share > SIZE / 4), "{last:?}");
        }
    }

    #[test]
    fn a5_a_host_that_takes_much_beside_deaf_ones_goes_on() {
        let mut stage = Stage::new();
        let deaf: Vec<u32> = (0..3).map(|number| stage.host(number)).collect();
        let busy = stage.host(1_000);
        let mut sent = [0; 3];
        for step in 0..3_000 {
            for place in &deaf {
                while matches!(stage.send(*place, 1_200, true), Permit::Bytes(_)) {}
            }
            for _ in 0..20 {
                let permit = stage.send(busy, 1_200, false);
                sent[step / 1_000] += usize::from(matches!(permit, Permit::Bytes(_)));
            }
            stage.pass_millisecond();
        }
        assert!(sent[1] > 15_000 && sent[2] > 15_000, "of 20,000 in a second: {sent:?}");
    }

    #[test]
    fn a5_hosts_that_are_not_deaf_take_all_of_a_socket() {
        let mut stage = Stage::new();
        let hosts: Vec<u32> = (0..3).map(|number| stage.host(number)).collect();
        for _ in 0..100 {
            for place in &hosts {
                for _ in 0..25 {
                    let permit = stage.send(*place, 1_200, false);
                    assert!(matches!(permit, Permit::Bytes(_)), "{permit:?}");
                }
            }
            stage.pass_millisecond();
        }
    }

    #[test]
    fn a5_a_host_that_hears_again_is_sent_to_again() {
        let mut stage = Stage::new();
        let place = stage.host(1);
        for _ in 0..300 {
            stage.send(place, 4_000, true);
            stage.pass_millisecond();
        }
        assert_eq!(stage.send(place, 4_000, true), Permit::Drop);
        (stage.stuck, stage.gives_up) = (0, VecDeque::new());
        stage.hosts.note_look(0, 0, stage.now);
        assert!(matches!(stage.send(place, 4_000, false), Permit::Bytes(share) if share > 0));
    }

    #[test]
    fn a5_places_of_hosts_without_members_are_used_again() {
        let mut stage = Stage::new();
        for number in 0..1_000 {
            let place = stage.host(number);
            assert_eq!(stage.host(number), place);
            stage.hosts.leave(place);
            stage.hosts.leave(place);
        }
        assert_eq!((stage.hosts.hosts.len(), stage.hosts.places.len()), (1, 0));
    }
}
