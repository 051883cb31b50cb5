//! Shares of hosts in the send buffers of the sockets.
//!
//! The kernel queues datagrams for a neighbour that answers no ARP request for 3 seconds (arp(7),
//! `mcast_solicit` and `retrans_time_ms`), and charges their bytes to our one socket. Three such
//! neighbours would fill its send buffer and block all other members. So sends are counted by host, and
//! a host becomes a suspect if its datagrams stay in the send buffer (`send_buffer.rs`).
//!
//! No host gets more than a fraction of the free space, like queues in a shared-memory switch
//! (Choudhury and Hahne, "Dynamic queue length thresholds", 1998): however many hosts are
//! unresponsive, space is left for others. A suspect that has used up its share gets one datagram at a
//! time, to test whether that leaves the buffer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::send_buffer::{SAMPLE, SendBuffer};

/// A host gets at most one part in `SHARES` of the free space of a send buffer.
const SHARES: usize = 4;

/// Time for which members of a suspect wait. After that their datagrams are dropped, so that a room
/// does not wait for them.
const PATIENCE: Duration = Duration::from_millis(100);

/// Interval between test datagrams to a suspect, while they stay in the send buffer.
const RETRY: Duration = Duration::from_secs(1);

/// Bytes that the kernel charges for a datagram beside its own (struct sk_buff and struct
/// skb_shared_info).
const OVERHEAD: usize = 768;

/// One host, as seen from one socket.
#[derive(Clone, Copy, Debug)]
struct Host {
    key: (u16, IpAddr),
    /// Number of members at this host; 0 if the entry is free.
    members: u32,
    /// Bytes sent in the latest round in which it was sent anything.
    recent: RoundBytes,
    /// Bytes of earlier rounds that are pending. When both entries are in use, more bytes are added to
    /// the second.
    pending: [RoundBytes; 2],
    /// Bytes that did not leave the send buffer.
    stuck: usize,
    /// Time at which it became a suspect.
    suspect_since: Option<Instant>,
    /// Time of the next test datagram to a suspect.
    retry_at: Option<Instant>,
}

/// Bytes sent to a host in one round.
#[derive(Clone, Copy, Debug, Default)]
struct RoundBytes {
    round: u64,
    bytes: usize,
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

/// All hosts, and the send buffers of all sockets.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    free: Vec<u32>,
    indexes: HashMap<(u16, IpAddr), u32>,
    buffers: Vec<SendBuffer>,
}

impl Hosts {
    /// Adds a socket with a send buffer of `size` bytes.
    pub(super) fn add_socket(&mut self, size: usize, now: Instant) {
        self.buffers.push(SendBuffer::new(size, now));
    }

    /// Counts one more member of a host, and returns the host's index.
    pub(super) fn enter(&mut self, socket: u16, ip: IpAddr) -> u32 {
        let key = (socket, ip);
        if let Some(index) = self.indexes.get(&key) {
            self.hosts[*index as usize].members += 1;
            return *index;
        }
        let host = Host::new(key);
        let index = match self.free.pop() {
            Some(index) => {
                self.hosts[index as usize] = host;
                index
            }
            None => {
                self.hosts.push(host);
                // There are at most as many as there are members.
                (self.hosts.len() - 1) as u32
            }
        };
        self.indexes.insert(key, index);
        index
    }

    /// Counts one member of a host less.
    pub(super) fn leave(&mut self, index: u32) {
        let host = &mut self.hosts[index as usize];
        host.members -= 1;
        if host.members == 0 {
            self.indexes.remove(&host.key);
            self.free.push(index);
        }
    }

    /// Returns the permission for a host whose share is used up, perhaps only by an old sample.
    /// `sample` returns the bytes in its send buffer, with all sends that were noted.
    pub(super) fn permit(
        &mut self,
        (index, size): (u32, usize),
        now: Instant,
        sample: impl FnOnce() -> usize,
    ) -> Permit {
        let socket = usize::from(self.hosts[index as usize].key.0);
        let buffer = &mut self.buffers[socket];
        if buffer.sent > buffer.size / (4 * SHARES) || now >= buffer.sampled_at + SAMPLE {
            buffer.note_sample(sample(), now);
        }
        match self.fits(index, size) {
            Some(bytes) => Permit::Bytes(bytes),
            None => self.try_suspect(index, now),
        }
    }

    /// Allows a suspect whose share is used up one test datagram, if it is due.
    fn try_suspect(&mut self, index: u32, now: Instant) -> Permit {
        let host = &mut self.hosts[index as usize];
        let buffer = &mut self.buffers[usize::from(host.key.0)];
        let Some(since) = host.suspect_since else {
            buffer.has_waiting = true;
            return Permit::Wait;
        };
        let has_space = buffer.queued < buffer.size / 4 * 3;
        let is_due = has_space && host.retry_at.is_none_or(|at| at <= now);
        if is_due && buffer.trial.is_none() && !host.is_pending() {
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
    pub(super) fn fits(&mut self, index: u32, size: usize) -> Option<usize> {
        let host = &mut self.hosts[index as usize];
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
    pub(super) fn note_sent(&mut self, index: u32, bytes: usize) {
        let bytes = bytes + OVERHEAD;
        let host = &mut self.hosts[index as usize];
        let buffer = &mut self.buffers[usize::from(host.key.0)];
        // `fits` was called before, so bytes of an earlier round are settled.
        host.recent = RoundBytes { round: buffer.round, bytes: host.recent.bytes + bytes };
        buffer.sent += bytes;
    }

    /// Returns the time of the next sample of a send buffer, if members wait for one.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.buffers.iter().filter(|buffer| buffer.has_waiting);
        waiting.map(|buffer| buffer.sampled_at + SAMPLE).min()
    }

    /// Samples a socket's send buffer if that is due. Returns true if members have waited for it.
    pub(super) fn poll_buffer(
        &mut self,
        socket: usize,
        now: Instant,
        sample: impl FnOnce() -> usize,
    ) -> bool {
        let buffer = &mut self.buffers[socket];
        if !buffer.is_due(now) {
            return false;
        }
        buffer.note_sample(sample(), now);
        std::mem::take(&mut buffer.has_waiting)
    }
}

impl Host {
    fn new(key: (u16, IpAddr)) -> Self {
        Self {
            key,
            members: 1,
            recent: RoundBytes::default(),
            pending: [RoundBytes::default(); 2],
            stuck: 0,
            suspect_since: None,
            retry_at: None,
        }
    }

    /// Returns the bytes that may still be in the send buffer.
    fn taken(&self) -> usize {
        let pending: usize = self.pending.iter().map(|sent| sent.bytes).sum();
        self.recent.bytes + pending + self.stuck
    }

    /// Returns true if a round in which it was sent something is not settled.
    fn is_pending(&self) -> bool {
        self.recent.bytes > 0 || self.pending.iter().any(|sent| sent.bytes > 0)
    }

    /// Applies the outcomes of the rounds in which it was sent something.
    fn settle(&mut self, buffer: &SendBuffer) {
        if self.recent.round < buffer.round && self.recent.bytes > 0 {
            let sent = std::mem::take(&mut self.recent);
            match self.pending.iter().position(|other| other.bytes == 0) {
                Some(free) => self.pending[free] = sent,
                None => self.pending[1].bytes += sent.bytes,
            }
        }
        for index in 0..self.pending.len() {
            let sent = self.pending[index];
            if sent.bytes == 0 {
                continue;
            }
            match buffer.has_left(sent.round) {
                None => {}
                Some(true) => {
                    // The host is responsive, so nothing older counts either.
                    let (key, members, recent) = (self.key, self.members, self.recent);
                    *self = Self { members, recent, ..Self::new(key) };
                    return;
                }
                Some(false) => {
                    self.pending[index].bytes = 0;
                    self.stuck += sent.bytes;
                    self.suspect_since.get_or_insert(buffer.sampled_at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
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
        fn send(&mut self, index: u32, bytes: usize, is_deaf: bool) -> Permit {
            let queued = self.stuck + self.fresh;
            let permit = match self.hosts.fits(index, bytes) {
                Some(bytes) => Permit::Bytes(bytes),
                None => self.hosts.permit((index, bytes), self.now, || queued),
            };
            if matches!(permit, Permit::Bytes(_)) {
                assert!(queued < SIZE, "the socket is full");
                self.hosts.note_sent(index, bytes);
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
            self.now += SAMPLE;
            self.fresh = 0;
            while self.gives_up.front().is_some_and(|(at, _)| *at <= self.now) {
                self.stuck -= self.gives_up.pop_front().map_or(0, |(_, bytes)| bytes);
            }
            self.hosts.poll_buffer(0, self.now, || self.stuck);
        }
    }

    #[test]
    fn a5_deaf_hosts_block_no_others() {
        for count in [1, 3, 8, 58] {
            let mut stage = Stage::new();
            let deaf: Vec<u32> = (0..count).map(|number| stage.host(number)).collect();
            let other = stage.host(1_000);
            for _ in 0..8_000 {
                for index in &deaf {
                    while matches!(stage.send(*index, 4_000, true), Permit::Bytes(_)) {}
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
    fn a5_busy_host_beside_deaf_ones() {
        let mut stage = Stage::new();
        let deaf: Vec<u32> = (0..3).map(|number| stage.host(number)).collect();
        let busy = stage.host(1_000);
        let mut sent = [0; 3];
        for step in 0..3_000 {
            for index in &deaf {
                while matches!(stage.send(*index, 1_200, true), Permit::Bytes(_)) {}
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
    fn a5_responsive_hosts_fill_the_buffer() {
        let mut stage = Stage::new();
        let hosts: Vec<u32> = (0..3).map(|number| stage.host(number)).collect();
        for _ in 0..100 {
            for index in &hosts {
                for _ in 0..25 {
                    let permit = stage.send(*index, 1_200, false);
                    assert!(matches!(permit, Permit::Bytes(_)), "{permit:?}");
                }
            }
            stage.pass_millisecond();
        }
    }

    #[test]
    fn a5_recovered_host_is_sent_to_again() {
        let mut stage = Stage::new();
        let index = stage.host(1);
        for _ in 0..300 {
            stage.send(index, 4_000, true);
            stage.pass_millisecond();
        }
        assert_eq!(stage.send(index, 4_000, true), Permit::Drop);
        (stage.stuck, stage.gives_up) = (0, VecDeque::new());
        stage.hosts.buffers[0].note_sample(0, stage.now);
        assert!(matches!(stage.send(index, 4_000, false), Permit::Bytes(share) if share > 0));
    }

    #[test]
    fn a5_entries_of_hosts_are_reused() {
        let mut stage = Stage::new();
        for number in 0..1_000 {
            let index = stage.host(number);
            assert_eq!(stage.host(number), index);
            stage.hosts.leave(index);
            stage.hosts.leave(index);
        }
        assert_eq!((stage.hosts.hosts.len(), stage.hosts.indexes.len()), (1, 0));
    }
}
