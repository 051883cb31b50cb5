//! Counts events: a simulation in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// Counts by name.
#[derive(Debug, Default)]
pub struct Tally {
    counts: BTreeMap<String, u64>,
}

/// Minimum count of each event in a full run.
const LEAST: u64 = 20;

/// Events that a full run must cover.
const WANTED: &[&str] = &[
    // Outcomes of datagrams.
    "KeptAlive",
    "Relayed",
    "Kept",
    "parts joined",
    "relayed in parts",
    "PartsTooLate",
    "Command",
    "Refused",
    "RateLimited",
    "RoomBusy",
    "Confirmed",
    "Repaired",
    "OutOfOrder",
    "Invalid",
    "Ended",
    // Reasons for dropped datagrams.
    "TooLong",
    "Malformed",
    "UnknownToken",
    "WrongRoom",
    "WrongAddress",
    "OtherPath",
    // Paths.
    "sealed",
    "carried",
    "entered as Sealed",
    "entered as Carried { is_encrypted: false }",
    "entered as Carried { is_encrypted: true }",
    "resumed as Clear",
    "resumed as Sealed",
    "resumed as Carried { is_encrypted: false }",
    "resumed as Carried { is_encrypted: true }",
    "seal after a join in the clear",
    "resume in the clear",
    "sealed member roamed",
    "detached",
    "detached for too long",
    "left with its connection",
    "left its connection",
    "path ended",
    "sent again on a connection",
    "outbox full",
    // Replies.
    "status RoomExists",
    "status RoomNotFound",
    "status WrongPassword",
    "status NameTaken",
    "status RoomFull",
    "status ServerFull",
    "status RateLimited",
    "status Kicked",
    "status InvalidRoomName",
    "status InvalidUserName",
    "status Malformed",
    "status EncryptionRequired",
    "created",
    "joined",
    "listed",
    "resumed",
    "hidden",
    "no randomness",
    "replaced",
    "reply lost",
    "entered as Plain(Text)",
    "entered as Plain(Named)",
    "entered as Stream",
    // Ports.
    "port learnt",
    "port rebound",
    "port announced",
    "announcement refused",
    "announced port lost",
    "ended member lost its address",
    "resume repeated",
    // Ends.
    "Left",
    "TimedOut",
    "Removed",
    "RoomClosed",
    "ServerStopping",
    "host passed",
    "banned by name",
    "banned with its address",
    "banned with a shared address",
    "banned after a kick",
    "unbanned",
    "bans listed",
    "resumed from a banned address",
    "host changed by hand",
    "all closed",
    "everyone silent",
    "members were closing",
    "freed",
    // Output.
    "message sent",
    "notice sent",
    "aside sent",
    "train sent",
    "repair sent",
    "tail sent",
    "silent member limited",
    "only asked",
    "gone sent",
    "farewell sent",
    "history sent",
    "refused by the network",
    "swallowed",
    "blocked",
    "crowd told",
    "remains dropped",
    // The network.
    "datagram lost",
    "datagram repeated",
    "datagram overtaken",
    "output of one input measured",
    "ration used up",
    "healed",
    "hammered",
    "wrong guess",
    "one token too many",
    "wrong guess of a newcomer",
    "waited for a slot",
    "too late for a slot",
    "joined in its turn",
    "disconnected",
    "unproved gave way",
    "too many announced",
    "replaced was told",
    "replaced at one address",
    "host replaced",
    "made anew",
    // Alerts.
    "WrongPassword",
    "WrongPasswords",
    "RoomPasswords",
    "Rooms",
    "RoomsIp",
    "Members",
    "MembersIp",
    "RoomMembers",
    "Unproved",
    "Carried",
    "ConnectionsIp",
    "Rate",
    "Fanout",
    "RoomBacklog",
    "Unheard",
];

impl Tally {
    pub fn note(&mut self, what: &str) {
        match self.counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(what.into(), 1)),
        }
    }

    pub fn note_value(&mut self, what: impl Debug) {
        self.note(&format!("{what:?}"));
    }

    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            *self.counts.entry(what.clone()).or_insert(0) += count;
        }
    }

    pub fn assert_coverage(&self) {
        let rare: Vec<_> = WANTED.iter().filter(|what| self.count(what) < LEAST).collect();
        assert!(rare.is_empty(), "hardly ever or never: {rare:?} in {self:#?}");
    }
}
