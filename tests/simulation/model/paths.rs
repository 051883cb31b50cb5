//! Predicts what the paths of members cause: sealed datagrams, carried units, and the ends of
//! connections that carry members.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use reactor_chat::alert::Alert;
use reactor_chat::chat::{DatagramOutcome, DropReason, MessageOutcome, Path};
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::request::PathWishes;
use reactor_chat::protocol::stream::Code;
use reactor_chat::protocol::{Delivery, Status};

use super::limits::subnet;
use super::{Member, Model, SILENT_AFTER};

impl Member {
    pub fn is_carried(&self) -> bool {
        matches!(self.path, Path::Carried { .. })
    }

    /// Returns true if it is carried, and its connection is open.
    pub fn is_attached(&self) -> bool {
        self.is_carried() && self.detached_at.is_none()
    }

    /// Returns true if something can be sent to it.
    pub fn is_reachable(&self) -> bool {
        self.port.is_some() || self.is_attached()
    }

    pub fn is_encrypted(&self) -> bool {
        is_encrypted(self.path)
    }
}

pub fn is_encrypted(path: Path) -> bool {
    matches!(path, Path::Sealed | Path::Carried { is_encrypted: true })
}

/// Returns the path that a request asks for (E5, C1).
pub fn path_of(is_encrypted: bool, wishes: &PathWishes) -> Result<Path, Status> {
    match (wishes.seal, wishes.carry) {
        (true, _) if !is_encrypted => Err(Status::Malformed),
        (_, true) => Ok(Path::Carried { is_encrypted }),
        (true, false) => Ok(Path::Sealed),
        (false, false) => Ok(Path::Clear),
    }
}

impl Model {
    pub fn is_carried(&self, id: MemberId) -> bool {
        self.find(id).is_some_and(|index| self.members[index].is_carried())
    }

    /// Checks that a peer may have one more carried member. `known` may count for it already.
    pub fn check_carried_of(
        &mut self,
        (peer, path): (IpAddr, Path),
        known: Option<usize>,
    ) -> Result<(), Status> {
        let own = |member: &&Member| member.is_carried() && subnet(member.ip) == subnet(peer);
        let is_counted = known.is_some_and(|index| own(&&self.members[index]));
        let count = self.live().filter(own).count();
        let limit = self.config.max_carried_ip.map_or(usize::MAX, |limit| limit as usize);
        if matches!(path, Path::Carried { .. }) && !is_counted && count >= limit {
            self.alert(Alert::ConnectionsIp, peer);
            return Err(Status::RateLimited);
        }
        Ok(())
    }

    /// Checks that one more member may be carried. `leaving` is one that is carried no more then.
    pub fn check_carried(
        &mut self,
        (peer, path): (IpAddr, Path),
        leaving: Option<usize>,
    ) -> Result<(), Status> {
        let stays = |member: &&Member| {
            member.is_carried() && leaving.is_none_or(|index| self.members[index].id != member.id)
        };
        let others = self.live().filter(stays).count();
        let is_carried = matches!(path, Path::Carried { .. });
        if is_carried && self.config.max_carried.is_some_and(|limit| others >= limit) {
            self.alert(Alert::Carried, peer);
            return Err(Status::ServerFull);
        }
        Ok(())
    }

    /// Checks the chat's outcome of a sealed datagram, and applies it. `at` is its source if that is
    /// proved.
    pub fn handle_sealed(
        &mut self,
        whose: usize,
        at: Option<SocketAddr>,
        message: &[u8],
        outcome: DatagramOutcome,
        now: Instant,
    ) {
        self.tally.note("sealed");
        if self.members[whose].is_live() {
            return self.handle_live(whose, at, message, outcome, now);
        }
        let unknown = DatagramOutcome::Dropped(DropReason::UnknownToken);
        match self.is_remembered(whose, now) {
            Some(false) => assert_eq!(outcome, unknown),
            _ => self.handle_dead_token((whose, at), message, outcome, now),
        }
    }

    /// Checks the chat's outcome of a unit, and applies it.
    pub fn handle_carried(
        &mut self,
        whose: usize,
        message: &[u8],
        outcome: DatagramOutcome,
        now: Instant,
    ) {
        self.tally.note("carried");
        let member = &self.members[whose];
        match (member.is_live(), member.is_attached()) {
            (true, true) => self.handle_live(whose, None, message, outcome, now),
            (true, false) => {
                assert_eq!(outcome, DatagramOutcome::Dropped(DropReason::OtherPath));
            }
            (false, _) => {
                let ended = DatagramOutcome::Accepted(member.id, MessageOutcome::Ended);
                assert_eq!(outcome, ended);
            }
        }
    }

    /// Handles a message of a live member on its own path, from this address if it is proved.
    pub fn handle_live(
        &mut self,
        whose: usize,
        at: Option<SocketAddr>,
        message: &[u8],
        outcome: DatagramOutcome,
        now: Instant,
    ) {
        let DatagramOutcome::Accepted(id, outcome) = outcome else {
            panic!("{outcome:?}: it was its member's")
        };
        assert_eq!(id, self.members[whose].id, "it is of one member");
        self.members[whose].was_heard = true;
        if let Some(at) = at {
            self.learn_address(whose, at, now);
        }
        self.members[whose].heard_at = now;
        self.end_limit(whose, now);
        let right = self.handle_message(whose, message, outcome, now);
        assert_eq!(outcome, right);
    }

    /// Moves a member to the path of its resume.
    pub fn change_path(&mut self, index: usize, path: Path, now: Instant) {
        let member = &mut self.members[index];
        let stays_sealed = (member.path, path) == (Path::Sealed, Path::Sealed);
        let (was_carried, was_attached) = (member.is_carried(), member.is_attached());
        (member.path, member.detached_at) = (path, None);
        if !stays_sealed {
            (member.home, member.port, member.has_lost_port) = (member.ip, None, false);
        }
        match member.is_carried() {
            true => self.attach(index, now),
            false if was_carried => {
                self.start_checks(index, now);
                if was_attached {
                    self.path_ends.insert(self.members[index].id);
                    self.tally.note("left its connection");
                }
            }
            false => {}
        }
    }

    /// Starts the path of a new member.
    pub fn start_path(&mut self, index: usize, now: Instant) {
        if self.members[index].is_carried() {
            self.attach(index, now);
        }
    }

    /// Notes that a member is carried from now on. It gets again what it may not have.
    fn attach(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        member.was_heard = true;
        member.history_until = member.history_until.max(member.cursor);
        (member.may_rewind, member.missed) = (true, 0);
        if member.check_at.is_none() {
            self.start_checks(index, now);
        }
        self.settle_replaced(index, now);
    }

    fn start_checks(&mut self, index: usize, now: Instant) {
        let interval = match self.members[index].delivery {
            Delivery::Plain(_) => SILENT_AFTER,
            Delivery::Stream => self.have_interval(),
        };
        let member = &mut self.members[index];
        member.check_at = Some(now + interval);
        member.alarm = [member.alarm, member.check_at].into_iter().flatten().min();
    }

    /// Notes the end of the connection that carries a member (C2).
    pub fn end_path(&mut self, index: usize, now: Instant) {
        self.disconnect(index, now);
        let member = &mut self.members[index];
        if !member.is_attached() {
            return;
        }
        if !member.is_live() {
            member.is_cut = true;
        } else if member.takes_stream() {
            member.detached_at = Some(now);
            self.tally.note("detached");
            self.expire_member(index, now);
        } else {
            self.tally.note("left with its connection");
            self.remove(index, Code::Left, now);
        }
    }

    /// Returns the time at which a detached member has timed out.
    pub fn detached_until(&self, index: usize) -> Option<Instant> {
        let at = self.members[index].detached_at?;
        Some(at + self.config.replace_silent.unwrap_or_default())
    }

    /// Notes that the chat needs the connection of a member no more.
    pub fn note_path_end(&mut self, id: MemberId) {
        assert!(self.path_ends.remove(&id), "the path of {id:?} ends too early");
        self.tally.note("path ended");
    }
}
