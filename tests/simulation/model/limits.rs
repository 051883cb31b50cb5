//! Limits of one peer: an IPv4 address, or an IPv6 /64 with its /56 and /48.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use reactor_chat::alert::Alert;
use reactor_chat::protocol::Status;
use reactor_chat::protocol::stream::Code;

use super::{Member, Model};

/// A token bucket that measures its fill level by the time until it is full.
#[derive(Clone, Copy)]
pub struct Bucket {
    missing: Duration,
    depth: Duration,
    at: Instant,
}

impl Bucket {
    pub fn full(depth: Duration, now: Instant) -> Self {
        Self { missing: Duration::ZERO, depth, at: now }
    }

    /// Returns true if it has `cost`. A full bucket allows any cost.
    pub fn has(&mut self, cost: Duration, now: Instant) -> bool {
        self.has_in(self.depth, cost, now)
    }

    /// Returns true if it has `cost`, and if it were only this deep.
    fn has_in(&mut self, depth: Duration, cost: Duration, now: Instant) -> bool {
        self.refill(now);
        self.missing.is_zero() || self.missing + cost <= depth
    }

    fn refill(&mut self, now: Instant) {
        self.missing = self.missing.saturating_sub(now - self.at);
        self.at = now;
    }

    pub fn take(&mut self, cost: Duration) {
        self.missing += cost;
    }
}

/// Buckets by key, in a table of limited size. Further keys share one bucket, twelve times as
/// large.
pub struct Ledger<K> {
    capacity: usize,
    pub buckets: BTreeMap<K, Bucket>,
    newcomers: Option<Bucket>,
}

impl<K: Copy + Ord> Ledger<K> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, buckets: BTreeMap::new(), newcomers: None }
    }

    /// Returns true if a key has no entry and there is no space for one.
    fn is_newcomer(&self, key: K) -> bool {
        !self.buckets.contains_key(&key) && self.buckets.len() >= self.capacity
    }

    pub fn has(&mut self, key: K, cost: Duration, depth: Duration, now: Instant) -> bool {
        if self.is_newcomer(key) {
            return self
                .newcomers
                .as_mut()
                .is_none_or(|bucket| bucket.has_in(depth, cost / 12, now));
        }
        self.buckets.get_mut(&key).is_none_or(|bucket| bucket.has_in(depth, cost, now))
    }

    /// Returns the time until a bucket of one minute has `cost`.
    pub fn wait(&mut self, key: K, cost: Duration, now: Instant) -> Duration {
        let (is_newcomer, shares) =
            (self.is_newcomer(key), if self.is_newcomer(key) { 12 } else { 1 });
        let own = if is_newcomer { self.newcomers.as_mut() } else { self.buckets.get_mut(&key) };
        own.map_or(Duration::ZERO, |bucket| {
            bucket.refill(now);
            let more = bucket.missing + cost / shares;
            bucket.missing.min(more.saturating_sub(MINUTE))
        })
    }

    pub fn take(&mut self, key: K, cost: Duration, now: Instant) {
        if self.is_newcomer(key) {
            let newcomers = self.newcomers.get_or_insert(Bucket::full(MINUTE, now));
            newcomers.refill(now);
            return newcomers.take(cost / 12);
        }
        let bucket = self.buckets.entry(key).or_insert(Bucket::full(MINUTE, now));
        bucket.refill(now);
        bucket.take(cost);
    }

    /// Removes the entries whose bucket is full again.
    pub fn forget(&mut self, now: Instant) {
        self.buckets.retain(|_, bucket| {
            bucket.refill(now);
            !bucket.missing.is_zero()
        });
    }
}

/// Debts of subnets: of a /64, of its /56 and of its /48.
pub struct Debts(pub [Ledger<IpAddr>; 3]);

impl Debts {
    pub fn new(capacity: usize) -> Self {
        Self([0; 3].map(|_| Ledger::new(capacity)))
    }

    fn parts(&mut self, peer: IpAddr) -> impl Iterator<Item = (&mut Ledger<IpAddr>, IpAddr, u32)> {
        let prefixes = match peer.to_canonical() {
            IpAddr::V6(_) => 3,
            IpAddr::V4(_) => 1,
        };
        let prefixes = [(64, 1), (56, 2), (48, 5)].into_iter().take(prefixes);
        let prefix = move |(length, shares)| (prefix(peer, length), shares);
        let parts = self.0.iter_mut().zip(prefixes.map(prefix));
        parts.map(|(ledger, (prefix, shares))| (ledger, prefix, shares))
    }

    pub fn has(&mut self, peer: IpAddr, cost: Duration, depth: Duration, now: Instant) -> bool {
        let mut parts = self.parts(peer);
        parts.all(|(ledger, prefix, shares)| ledger.has(prefix, cost / shares, depth, now))
    }

    pub fn take(&mut self, peer: IpAddr, cost: Duration, now: Instant) {
        for (ledger, prefix, shares) in self.parts(peer) {
            ledger.take(prefix, cost / shares, now);
        }
    }

    /// Returns true if it has no bucket of its own and there is no space for one.
    pub fn is_newcomer(&self, peer: IpAddr) -> bool {
        self.0[0].is_newcomer(subnet(peer))
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|ledger| ledger.buckets.len()).sum()
    }

    pub fn forget(&mut self, now: Instant) {
        self.0.iter_mut().for_each(|ledger| ledger.forget(now));
    }
}

/// Time for the first datagram of a member whose connection has ended.
pub const GRACE: Duration = Duration::from_secs(2);

const MINUTE: Duration = Duration::from_secs(60);

/// Returns the subnet that limits count an address by.
pub fn subnet(ip: IpAddr) -> IpAddr {
    prefix(ip, 64)
}

fn prefix(ip: IpAddr, length: u32) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & u128::MAX << (128 - length)).into(),
    }
}

impl Model {
    pub fn unproved(&self, peer: IpAddr) -> usize {
        let peer = subnet(peer);
        self.live().filter(|member| subnet(member.ip) == peer && member.is_unproved()).count()
    }

    pub fn announced(&self, peer: IpAddr) -> usize {
        let peer = subnet(peer);
        let is_announced = |member: &&Member| matches!(member.port, Some((_, false)));
        self.live().filter(is_announced).filter(|member| subnet(member.ip) == peer).count()
    }

    /// Notes the end of a connection over which a member has entered or resumed.
    pub fn disconnect(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        if !member.is_live() {
            return;
        }
        member.connections -= 1;
        let ip = member.ip;
        self.watch_unproved(ip, now);
    }

    /// Sets the alarm of a peer that may have too many unproved members now.
    pub fn watch_unproved(&mut self, ip: IpAddr, now: Instant) {
        let peer = subnet(ip);
        let is_pending = self.excess.iter().any(|(_, other)| *other == peer);
        if self.has_too_many_unproved(peer) && !is_pending {
            self.excess.insert((now + GRACE, peer));
        }
    }

    /// Removes the oldest unproved members of a peer that has too many, but none before its time.
    pub fn expire_excess(&mut self, peer: IpAddr, now: Instant) {
        while self.has_too_many_unproved(peer) {
            let live = self.rooms.iter().flat_map(|room| &room.members).copied();
            let own = live.filter(|index| {
                let member = &self.members[*index];
                member.is_unproved() && subnet(member.ip) == peer
            });
            let oldest = own.min_by_key(|index| {
                let member = &self.members[*index];
                (member.heard_at, member.id)
            });
            let oldest = oldest.expect("an unproved member");
            let due = self.members[oldest].heard_at + GRACE;
            if due > now {
                self.excess.insert((due, peer));
                return;
            }
            self.tally.note("unproved gave way");
            self.alert(Alert::Unproved, self.members[oldest].ip);
            self.remove(oldest, Code::TimedOut, now);
        }
    }

    fn has_too_many_unproved(&self, peer: IpAddr) -> bool {
        self.config.max_unproved.is_some_and(|limit| self.unproved(peer) > limit as usize)
    }

    /// Notes an alert for the log.
    pub fn alert(&mut self, alert: Alert, peer: IpAddr) {
        self.tally.note_value(alert);
        *self.alerts.entry((alert, peer.into())).or_insert(0) += 1;
    }

    pub fn members_of(&self, peer: IpAddr) -> usize {
        let peer = subnet(peer);
        self.live().filter(|member| subnet(member.ip) == peer).count()
    }

    pub fn rooms_of(&self, peer: IpAddr) -> usize {
        let peer = subnet(peer);
        self.rooms.iter().filter(|room| room.is_open && subnet(room.creator) == peer).count()
    }

    pub fn has_announced_enough(&self, peer: IpAddr) -> bool {
        is_reached(self.announced(peer), self.config.max_unproved)
    }

    pub fn has_members_enough(&self, peer: IpAddr) -> bool {
        is_reached(self.members_of(peer), self.config.max_members_ip)
    }

    pub fn has_rooms_enough(&self, peer: IpAddr) -> bool {
        is_reached(self.rooms_of(peer), self.config.max_rooms_ip)
    }

    pub fn may_guess(&mut self, peer: IpAddr, now: Instant) -> bool {
        let Some(limit) = self.config.wrong_passwords else { return true };
        self.guesses.has(peer, MINUTE / limit, MINUTE, now)
    }

    pub fn note_guess(&mut self, peer: IpAddr, now: Instant) {
        let Some(limit) = self.config.wrong_passwords else { return };
        if self.guesses.is_newcomer(peer) {
            self.tally.note("wrong guess of a newcomer");
        }
        self.guesses.take(peer, MINUTE / limit, now);
        self.tally.note("wrong guess");
    }

    /// Counts a wrong password at a room, or at a name without one.
    pub fn note_guess_at(&mut self, room: &str, now: Instant) {
        let Some(limit) = self.config.wrong_passwords else { return };
        let (room, cost) = (self.room_number(room), MINUTE / limit / 6);
        if self.guesses_at.wait(room, cost, now) <= Duration::from_secs(4) {
            self.guesses_at.take(room, cost, now);
        }
    }

    /// Returns the time at which a password at a room is checked, if it has to wait.
    pub fn take_turn(&mut self, room: &str, now: Instant) -> Result<Option<Instant>, Status> {
        let Some(limit) = self.config.wrong_passwords else { return Ok(None) };
        let (room, cost) = (self.room_number(room), MINUTE / limit / 6);
        let wait = self.guesses_at.wait(room, cost, now);
        if wait > Duration::from_secs(4) {
            self.tally.note("too late for a slot");
            return Err(Status::RateLimited);
        }
        if wait.is_zero() {
            return Ok(None);
        }
        self.tally.note("waited for a slot");
        self.guesses_at.take(room, cost, now);
        Ok(Some(now + wait))
    }

    /// Returns a number for a name.
    fn room_number(&mut self, room: &str) -> usize {
        let known = self.guessed_rooms.iter().position(|other| other == room);
        known.unwrap_or_else(|| {
            self.guessed_rooms.push(room.into());
            self.guessed_rooms.len() - 1
        })
    }

    /// Counts a wrong token. Tokens may use up half of the guesses.
    pub fn note_token(&mut self, peer: IpAddr, now: Instant) {
        let Some(limit) = self.config.wrong_passwords else { return };
        if self.guesses.has(peer, MINUTE / limit, MINUTE / 2, now) {
            self.guesses.take(peer, MINUTE / limit, now);
            self.tally.note("wrong guess");
        } else {
            self.tally.note("one token too many");
        }
    }

    /// Returns the expected number of entries about peers.
    pub fn peers(&self) -> usize {
        let makers = self.rooms.iter().filter(|room| room.is_open).map(|room| room.creator);
        let peers: BTreeSet<_> = self.live().map(|member| member.ip).chain(makers).collect();
        let peers: BTreeSet<_> = peers.into_iter().map(subnet).collect();
        let ports: BTreeSet<_> =
            self.live().filter_map(|member| Some((member.home, member.port?.0))).collect();
        peers.len() + ports.len() + self.guesses.len() + self.guesses_at.buckets.len()
    }

    /// Checks that no peer exceeds its limits.
    pub fn check_peers(&self) {
        let peers: BTreeSet<_> = self.live().map(|member| subnet(member.ip)).collect();
        let most = |limit: Option<u32>| limit.map_or(usize::MAX, |limit| limit as usize);
        for peer in peers {
            let is_pending = self.excess.iter().any(|(_, other)| *other == peer);
            let unproved = most(self.config.max_unproved);
            assert!(is_pending || self.unproved(peer) <= unproved, "unproved of {peer}");
            assert!(self.announced(peer) <= unproved, "announced by {peer}");
            let members = self.members_of(peer);
            assert!(members <= most(self.config.max_members_ip), "members of {peer}");
            assert!(self.rooms_of(peer) <= most(self.config.max_rooms_ip), "rooms of {peer}");
        }
    }
}

fn is_reached(count: usize, limit: Option<u32>) -> bool {
    limit.is_some_and(|limit| count >= limit as usize)
}
