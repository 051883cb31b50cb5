//! Shares of hosts in the send buffers of the sockets.
//!
//! The kernel queues datagrams for a neighbour that answers no ARP request for 3 seconds (arp(7),
//! `mcast_solicit` and `retrans_time_ms`), and charges their bytes to our one socket. Three such
//! neighbours would fill its send buffer and block all other members. The kernel reports how many
//! bytes a send buffer holds (`SIOCOUTQ`), but not for which hosts. So sends are counted by host,
//! in rounds: a round lasts from one look at the buffer to the next. When the buffer is again as
//! empty as before a round, the datagrams of that round have left it. If that does not happen
//! within [`DRAIN`], the hosts of the round become suspects.
//!
//! No host gets more than a fraction of the free space, like queues in a shared-memory switch
//! (Choudhury and Hahne, "Dynamic queue length thresholds", 1998): however many hosts are
//! unresponsive, space is left for others. A suspect that has used its share gets one datagram at a
//! time, as a test whether that leaves the buffer.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A host gets at most one part in `SHARES` of the free space of a send buffer.
const SHARES: usize = 4;

/// A send buffer that is filled to at most one part in `EMPTY` counts as empty.
const EMPTY: usize = 8;

/// Time in which a datagram leaves the send buffer, unless the kernel cannot send it on.
const DRAIN: Duration = Duration::from_millis(50);

/// Time for which members of a suspect wait. After that their datagrams are dropped, so that a room
/// does not wait for them.
const PATIENCE: Duration = Duration::from_millis(100);

/// Interval between test datagrams to a suspect, while they stay in the send buffer.
const RETRY: Duration = Duration::from_secs(1);

/// Interval between looks at a send buffer while members wait.
const LOOK: Duration = Duration::from_millis(1);

/// Bytes that the kernel charges for a datagram beside its own (struct sk_buff and struct
/// skb_shared_info).
const OVERHEAD: usize = 768;

/// Limit for the rounds that are not judged yet. It is exceeded only if looks come too often; then
/// the oldest round counts as stuck.
const MAX_PENDING: usize = 256;

/// One host, as seen from one socket.
#[derive(Clone, Copy, Debug)]
struct Host {
    key: (u16, IpAddr),
    /// Number of members at this host; 0 if the place is free.
    members: u32,
    /// Bytes sent in the latest round in which it was sent anything.
    recent: Lot,
    /// Bytes of earlier rounds that are not judged. When both places are taken, more bytes are
    /// added to the second.
    doubtful: [Lot; 2],
    /// Bytes that did not leave the send buffer.
    stuck: usize,
    /// Time at which it became a suspect.
    since: Option<Instant>,
    /// Time of the next test datagram to a suspect.
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
    /// Bytes in the send buffer when the round began, and the fewest seen since it ended.
    before: usize,
    least: usize,
    ended: Instant,
}

/// Known state of the send buffer of one socket.
#[derive(Debug)]
struct Buffer {
    size: usize,
    queued: usize,
    /// Bytes sent in this round.
    sent: usize,
    round: u64,
    pending: VecDeque<Round>,
    /// Rounds whose datagrams did not leave the buffer.
    stuck: VecDeque<u64>,
    /// Round with a test datagram to a suspect.
    trial: Option<u64>,
    looked_at: Instant,
    /// True if members wait because their host has used its share.
    has_waiting: bool,
}

/// Permission to send to a host now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permit {
    /// This many bytes, kernel overhead included, but one datagram at least.
    Bytes(usize),
    /// Nothing: the members of the host wait.
    Wait,
    /// Nothing: the datagrams are dropped.
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

    /// Counts one more member of a host, and returns the host's place.
    pub(super) fn enter(&mut self, socket: u16, ip: IpAddr) -> u32 {
        let key = (socket, ip);
        if let Some(place) = self.places.get(&key) {
            self.hosts[*place as usize].members += 1;
            return *place;
        }
        let host = Host {
            key,
            members: 1,
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

    /// Counts one member of a host less.
    pub(super) fn leave(&mut self, place: u32) {
        let host = &mut self.hosts[place as usize];
        host.members -= 1;
        if host.members == 0 {
            self.places.remove(&host.key);
            self.free.push(place);
        }
    }

    /// Returns the permission for a host whose share is used up, perhaps only by an old count:
    /// `look` returns the bytes in its send buffer, with all sends that were noted.
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

    /// Allows a suspect whose share is used up one test datagram, if it is due.
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

    /// Returns the rest of a host's share in bytes, or `None` if a datagram of `size` bytes exceeds
    /// it.
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

    /// Notes that a message of `bytes` is sent to a host.
    pub(super) fn note_sent(&mut self, place: u32, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        let host = &mut self.hosts[place as usize];
        let buffer = &mut self.buffers[usize::from(host.key.0)];
        // `fits` was called before, so bytes of an earlier round are settled.
        host.recent = Lot { round: buffer.round, bytes: host.recent.bytes + bytes };
        buffer.sent += bytes;
    }

    /// Returns the time of the next look at a send buffer, if members wait for one.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.buffers.iter().filter(|buffer| buffer.has_waiting);
        waiting.map(|buffer| buffer.looked_at + LOOK).min()
    }

    /// Returns true if a look at this socket's send buffer is due.
    pub(super) fn is_due(&self, socket: usize, now: Instant) -> bool {
        let buffer = &self.buffers[socket];
        let is_in_use = buffer.sent > 0 || buffer.has_waiting || !buffer.pending.is_empty();
        is_in_use && now >= buffer.looked_at + LOOK
    }

    /// Returns true if members have waited for a look since the last call.
    pub(super) fn take_waiting(&mut self, socket: usize) -> bool {
        std::mem::take(&mut self.buffers[socket].has_waiting)
    }

    /// Notes the bytes in a send buffer, which ends a round.
    pub(super) fn note_look(&mut self, socket: usize, queued: usize, now: Instant) {
        let buffer = &mut self.buffers[socket];
        buffer.end_round(queued, now);
        if buffer.trial.is_some_and(|round| buffer.judgement(round).is_some()) {
            buffer.trial = None;
        }
    }
}

impl Host {
    /// Returns the bytes that may still be in the send buffer.
    fn taken(&self) -> usize {
        let doubtful: usize = self.doubtful.iter().map(|lot| lot.bytes).sum();
        self.recent.bytes + doubtful + self.stuck
    }

    /// Returns true if a round in which it was sent something is not judged yet.
    fn is_in_doubt(&self) -> bool {
        self.recent.bytes > 0 || self.doubtful.iter().any(|lot| lot.bytes > 0)
    }

    /// Applies the judgements of the rounds in which it was sent something.
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
                // Its datagrams leave the buffer, so the host is responsive.
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

    /// Resets the counts: all its datagrams have left the send buffer.
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

    /// Returns true if the datagrams of a round have left the send buffer, `None` if that is not
    /// known.
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

    /// Size that most kernels grant without privileges.
    const SIZE: usize = 425_984;

    /// A simulated kernel: datagrams to unresponsive hosts stay for 3 seconds, others leave after a
    /// millisecond.
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

        /// Sends a datagram if that is permitted. Returns the permission.
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
    fn a5_many_unresponsive_hosts_do_not_block_others() {
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
    fn a5_a_busy_host_goes_on_beside_unresponsive_ones() {
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
    fn a5_responsive_hosts_may_fill_the_whole_buffer() {
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
    fn a5_a_host_that_responds_again_is_sent_to_again() {
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
    fn a5_places_of_hosts_without_members_are_reused() {
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
