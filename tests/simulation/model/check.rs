//! Invariants that are checked after every step, and at the end.

use std::collections::BTreeSet;

use reactor_chat::chat::{Census, Chat};

use super::Model;
use crate::network::Network;

impl Model {
    /// Checks that the chat has the same counts as the model, and exceeds no limit.
    pub fn check(&self, chat: &Chat, network: &Network) {
        let census = chat.census();
        let config = &self.config;
        let open: Vec<_> = self.rooms.iter().filter(|room| room.is_open).collect();
        let live: Vec<_> = self.live().collect();
        assert_eq!(census.open, open.len());
        assert_eq!(census.listed, open.iter().filter(|room| !room.hidden).count());
        assert_eq!(census.tokens, live.len(), "tokens die with their members, and not before");
        // Members of closed rooms count for their peers, and have deadlines, until they are
        // removed.
        assert!(census.closing > 0 || census.peers == self.peers());
        if census.closing + census.streams + census.tombstones == 0 {
            let alarms = live.iter().filter(|member| member.alarm.is_some()).count();
            let crowds = open.iter().filter(|room| room.presence.due().is_some()).count();
            let excess = self.excess.len();
            assert_eq!(
                census.deadlines,
                alarms + crowds + excess,
                "a deadline too many, or too few"
            );
        }
        self.check_peers();
        let most = config.max_members.unwrap_or(usize::MAX);
        assert!(census.tokens + census.tombstones <= most);
        assert!(census.members >= census.tokens + census.tombstones);
        assert!(open.len() <= config.max_rooms.unwrap_or(usize::MAX));
        for room in &open {
            assert!(room.members.contains(&room.host), "a room without its host");
            assert!(room.members.len() <= config.max_room_members.unwrap_or(usize::MAX));
            assert!(room.capacity.is_none_or(|most| room.members.len() <= most as usize));
            let names: BTreeSet<_> =
                room.members.iter().map(|member| &self.members[*member].folded).collect();
            assert_eq!(names.len(), room.members.len(), "names differ ignoring case");
        }
        assert!(
            network.table.keys().all(|id| self.find(*id).is_some()),
            "a route of an unknown member"
        );
    }

    /// Checks that every member has everything that it is owed, unless its socket is full.
    pub fn check_all_is_sent(&self, network: &Network) {
        for member in self.members.iter().filter(|member| !member.is_freed) {
            if !network.blocked.contains(&member.id) {
                let mut waiting = member.owed.iter().chain(&member.asides);
                let forgotten = waiting.find(|owed| !owed.may_be_missing);
                let text = forgotten.map(|owed| String::from_utf8_lossy(&owed.bytes));
                assert_eq!(
                    text, None,
                    "{} did not get everything: {:?}",
                    member.name, member.delivery
                );
                let needs_farewell = member.end.as_ref().is_some_and(|end| end.needs_farewell);
                // A carried member is told when it was freed from the tables of its room.
                let is_reachable = network.blocked.is_empty() && !member.is_carried();
                assert!(!needs_farewell || !is_reachable, "it got no farewell");
            }
        }
    }

    /// Checks that nothing is left.
    pub fn check_nothing_is_left(&self, chat: &Chat, network: &Network) {
        assert_eq!(chat.census(), Census::default(), "a leak");
        assert!(network.table.is_empty() && self.path_ends.is_empty());
        assert!(self.members.iter().all(|member| member.is_freed));
        self.rooms.iter().for_each(|room| room.check_rest());
    }
}
