//! The end of a history: the network heals, everyone gets what is owed, everyone leaves, nothing is
//! left.

use std::time::Duration;

use reactor_chat::protocol::stream::upstream::{self, Range};

use super::World;

impl World {
    pub(super) fn close_all(&mut self) {
        self.chat.close_all(self.now);
        self.model.abandon_and_close_all(self.now);
        self.model.tally.note("all closed");
    }

    /// Heals the network: every stream member gets all entries that are still held, even one that
    /// missed more than a full budget of repairs.
    pub fn heal(&mut self) {
        self.unblock();
        self.under_way.clear();
        (self.network.lost_percent, self.network.refused_percent) = (0, 0);
        let streams: Vec<usize> = (0..self.model.members.len())
            .filter(|index| {
                let member = &self.model.members[*index];
                member.is_live() && member.is_known && member.takes_stream()
            })
            .collect();
        self.keep_alive(&streams);
        self.send_without_delivery(&streams);
        self.pass(Duration::from_secs(5), Self::drain);
        for _ in 0..300 {
            self.drain();
            self.keep_alive(&streams);
            self.pass(Duration::from_millis(5), Self::drain);
            if streams.iter().all(|index| self.has_everything(*index)) {
                break;
            }
        }
        for index in streams {
            assert!(self.has_everything(index), "everything arrives in the end");
            self.model.tally.note("healed");
        }
        self.model.check(&self.chat, &self.network);
    }

    fn has_everything(&self, index: usize) -> bool {
        let member = &self.model.members[index];
        let seen_end = self.model.rooms[member.room].seen_end();
        // A carried member that has confirmed what it lacks does not get it again.
        let is_liar = member.is_carried() && member.have > member.got;
        let is_away = member.detached_at.is_some();
        !member.is_live() || is_away || is_liar || member.got == seen_end
    }

    /// Sends more than several repair budgets while no datagram arrives.
    fn send_without_delivery(&mut self, streams: &[usize]) {
        let Some(speaker) = streams.first().copied() else { return };
        let config = &self.model.config;
        let is_limited = config.rate_limit.is_some() || config.fanout_limit.is_some();
        if is_limited || self.random.chance(80) {
            return;
        }
        let from = self.model.members[speaker].address;
        self.network.lost_percent = 100;
        for _ in 0..50 {
            let mut body = Vec::new();
            let expected = self.model.members[speaker].expected;
            upstream::encode_message(expected, &[b'm'; 3_900], &mut body);
            let bytes = self.encode(speaker, &body);
            self.receive(from, &bytes);
            self.drain();
        }
        self.network.lost_percent = 0;
    }

    /// Lets a stream member ask for the same entries again and again, with an old `have`.
    pub(super) fn hammer(&mut self) {
        let Some(index) = self.random_member() else { return };
        let member = &self.model.members[index];
        if !member.takes_stream() {
            return;
        }
        let (from, first, have) = (member.address, member.first, member.got);
        self.unblock();
        for _ in 0..40 {
            let mut body = Vec::new();
            upstream::encode_repair([Range { from: first, count: u16::MAX }], &mut body);
            let repair = self.encode(index, &body);
            body.clear();
            upstream::encode_have(have, &mut body);
            let have = self.encode(index, &body);
            for bytes in [repair, have] {
                self.receive(from, &bytes);
                self.drain();
            }
        }
        self.model.tally.note("hammered");
    }

    /// Lets every stream member confirm its entries and ask for the rest.
    fn keep_alive(&mut self, streams: &[usize]) {
        for index in streams {
            let member = &self.model.members[*index];
            if !member.is_live() {
                continue;
            }
            let (from, got) = (member.address, member.got);
            let missing = self.model.rooms[member.room].seen_end();
            let mut body = Vec::new();
            upstream::encode_have(got, &mut body);
            let bytes = self.encode(*index, &body);
            self.receive(from, &bytes);
            if missing > got {
                let count = (missing - got).min(1_000) as u16;
                body.clear();
                upstream::encode_repair([Range { from: got, count }], &mut body);
                let bytes = self.encode(*index, &body);
                self.receive(from, &bytes);
            }
        }
    }

    /// Lets everyone leave, and checks that nothing is left.
    pub fn end(&mut self) {
        match self.model.config.idle_timeout {
            Some(timeout) if self.random.chance(50) => self.pass(timeout, Self::drain),
            _ => self.close_all(),
        }
        self.drain();
        assert_eq!(self.model.live_count(), 0);
        self.pass(Duration::from_secs(70), Self::drain);
        self.drain();
        self.model.check_nothing_is_left(&self.chat, &self.network);
    }
}
