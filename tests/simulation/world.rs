//! A world: a chat, its clients, and their random behaviour.

mod ending;
mod paths;
mod requesting;
mod speaking;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reactor_chat::chat::{Chat, DatagramOutcome, MessageOutcome};
use reactor_chat::config::{ChatConfig, HostLeaves};
use reactor_chat::protocol::Language;

use crate::model::Model;
use crate::network::Network;
use crate::support::random::Random;
use crate::tally::Tally;

/// Maximum output of one input beside (its size + 279) for each member: the answer to a command.
const ANSWER: usize = 1_500;

/// A delayed request.
struct Delayed {
    at: Instant,
    peer: SocketAddr,
    is_encrypted: bool,
    operation: u8,
    room: String,
    payload: Vec<u8>,
}

pub struct World {
    chat: Chat,
    pub model: Model,
    network: Network,
    random: Random,
    now: Instant,
    /// Datagrams on their way to the server. Any of them may arrive next, or never, or twice.
    under_way: Vec<(SocketAddr, Vec<u8>)>,
    delayed: Vec<Delayed>,
    lost_percent: u64,
    /// True if no member has stream delivery. Then the expected number of deadlines is known.
    is_without_streams: bool,
    /// True if members may ask for other paths than datagrams in the clear.
    has_paths: bool,
    serial: u64,
}

fn config(random: &mut Random) -> ChatConfig {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let some = |random: &mut Random, most: u64| match random.below(3) {
        0 => None,
        _ => Some(1 + random.below(most) as usize),
    };
    ChatConfig {
        language: random.pick(&[Language::English, Language::Japanese]),
        host_leaves: random.pick(&[HostLeaves::Close, HostLeaves::Pass]),
        idle_timeout: random.pick(&[None, seconds(10), seconds(30), seconds(90)]),
        replace_silent: random.pick(&[None, seconds(2), seconds(8)]),
        max_unproved: some(random, 3).map(|limit| limit as u32),
        max_rooms: some(random, 6),
        max_members: some(random, 30).map(|limit| limit + 1),
        rate_limit: random.pick(&[None, None, Some(1), Some(5)]),
        room_history: random.pick(&[4096, 16_384, 1 << 20]),
        history_memory: random.pick(&[None, Some(20_000)]),
        max_carried_ip: random.pick(&[None, Some(1), Some(4)]),
        max_carried: random.pick(&[None, Some(1), Some(3), Some(8)]),
        max_rooms_ip: random.pick(&[None, Some(1), Some(3)]),
        max_members_ip: random.pick(&[None, Some(3), Some(12)]),
        max_room_members: random.pick(&[None, Some(3), Some(9)]),
        fanout_limit: random.pick(&[None, None, Some(2_000)]),
        wrong_passwords: random.pick(&[None, Some(2), Some(20)]),
        debtors: random.pick(&[2, 5, 16_384]),
        ..ChatConfig::default()
    }
}
impl World {
    /// Returns a world of the simulation.
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let config = config(&mut random);
        let network = Network {
            lost_percent: random.pick(&[0, 5, 60]),
            refused_percent: random.pick(&[0, 0, 1]),
            ..Network::default()
        };
        let (lost_percent, is_without_streams) = (random.below(30), random.chance(20));
        let has_paths = random.chance(70);
        Self { network, lost_percent, is_without_streams, has_paths, ..Self::with(config, random) }
    }

    /// Returns a world in which nothing happens by itself, and no datagram is lost.
    pub fn with(config: ChatConfig, random: Random) -> Self {
        Self {
            chat: Chat::new(config.clone()),
            model: Model::new(config),
            network: Network::default(),
            lost_percent: 0,
            is_without_streams: false,
            has_paths: false,
            random,
            now: Instant::now(),
            under_way: Vec::new(),
            delayed: Vec::new(),
            serial: 0,
        }
    }

    /// Makes one random step, and checks everything.
    pub fn step(&mut self) {
        self.model.tally.note("step");
        self.ask_again();
        match self.random.below(100) {
            0..8 => self.enter(),
            8..10 => self.resume(),
            10..13 => self.announce(),
            13..16 => self.disconnect(),
            16 if self.random.chance(60) => self.enter_unheard(),
            16 => self.come_back(),
            17..40 => self.send_something(),
            40..62 => self.arrive(),
            62..66 => self.forge(),
            66..68 => self.measure(),
            68..86 => self.turn(),
            86..88 => self.block(),
            88..90 => self.unblock(),
            90 => self.list(),
            91 if self.random.chance(1) => self.close_all(),
            91 if self.random.chance(25) => self.hammer(),
            91 if self.random.chance(13) => self.guess_from_prefixes(),
            92 if self.random.chance(10) => self.silence(),
            92 if self.random.chance(25) => self.create_again(),
            92 if self.random.chance(50) => self.ban_someone(),
            92..94 => self.pass_time(3_000),
            _ => self.pass_time(30),
        }
        self.check();
    }

    pub fn check(&mut self) {
        self.model.check(&self.chat, &self.network);
        self.check_alerts();
    }

    pub fn check_nothing_is_left(&self) {
        self.model.check_nothing_is_left(&self.chat, &self.network);
    }

    /// Checks that the server has noted the expected alerts.
    fn check_alerts(&mut self) {
        let alerts = std::iter::from_fn(|| self.chat.poll_alert());
        let told: BTreeMap<_, _> =
            alerts.map(|(alert, peer, count)| ((alert, peer), count)).collect();
        assert_eq!(told, std::mem::take(&mut self.model.alerts));
    }

    fn turn(&mut self) {
        let budget = 1 + self.random.below(40) as usize;
        self.deliver(budget);
        if self.random.chance(50) {
            self.reap();
        }
    }

    fn deliver(&mut self, budget: usize) {
        let Self { chat, model, network, random, now, .. } = self;
        let receipt = chat
            .deliver(budget, *now, |job, budget| network.send(job, budget, model, random, *now));
        assert!(receipt.sent + receipt.dropped <= budget);
        if !chat.has_output() {
            for room in &mut model.rooms {
                room.stream_load = 0;
                if network.blocked.is_empty() {
                    room.each_load = 0;
                }
            }
            if network.blocked.is_empty() {
                model.cap_repair_budgets();
            }
            model.check_all_is_sent(network);
        }
    }

    /// Lets the server remove all members of closed rooms. They count for their peers until then.
    fn end_closing(&mut self) {
        if self.chat.census().closing > 0 {
            self.model.tally.note("members were closing");
        }
        while self.chat.census().closing > 0 {
            self.deliver(1);
        }
    }

    fn reap(&mut self) {
        let Self { chat, model, network, .. } = self;
        chat.reap(|member| {
            model.free(member);
            network.table.remove(&member);
        });
        self.finish_paths();
    }

    pub fn drain(&mut self) {
        for _ in 0..10_000 {
            if !self.chat.has_output() {
                self.reap();
                // The last words of a carried member come behind all of its entries.
                if !self.chat.has_output() {
                    return;
                }
            }
            self.deliver(2_048);
        }
        panic!("output without an end");
    }

    fn block(&mut self) {
        let Some(index) = self.random_member() else { return };
        let id = self.model.members[index].id;
        if self.network.table.contains_key(&id) {
            self.network.blocked.insert(id);
        }
    }

    fn unblock(&mut self) {
        let blocked = std::mem::take(&mut self.network.blocked);
        self.chat.resume_stalled(self.now);
        blocked.into_iter().for_each(|member| self.chat.resume_member(member));
    }

    /// Checks how much output one input causes when nothing else waits.
    fn measure(&mut self) {
        self.unblock();
        self.drain();
        let Some(index) = self.random_member() else { return };
        let bytes = self.compose(index);
        let from = self.model.members[index].address;
        let audience = self.model.rooms[self.model.members[index].room].members.len();
        let was_proved = self.model.members[index].is_reachable();
        let before = self.model.members[index].begun_size();
        self.network.bytes_sent = 0;
        let outcome = self.receive(from, &bytes);
        self.drain();
        let sent = self.network.bytes_sent;
        match outcome {
            DatagramOutcome::Dropped(_) => assert_eq!(sent, 0, "unproved input makes no output"),
            // Entries that waited for the proof of the port, and repairs, have limits of their own.
            DatagramOutcome::Accepted(..) if !was_proved => {}
            DatagramOutcome::Accepted(_, MessageOutcome::Repaired | MessageOutcome::Ended) => {}
            DatagramOutcome::Accepted(..) => {
                let most = (before + bytes.len() + 279) * audience + ANSWER;
                assert!(sent <= most, "{sent} bytes for {} to {audience}", bytes.len());
                self.model.tally.note("output of one input measured");
            }
        }
    }

    fn pass_time(&mut self, most: u64) {
        let time = self.random.milliseconds(most);
        if self.random.chance(30) {
            self.pass(time, |_| {});
        } else {
            // The server was busy, and handles all deadlines late.
            self.now += time;
            self.expire();
        }
    }

    /// Lets time pass. Every deadline is handled when it is due.
    pub fn pass(&mut self, time: Duration, mut between: impl FnMut(&mut Self)) {
        let end = self.now + time;
        while let Some(due) = self.chat.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.expire();
            between(self);
        }
        self.now = end;
    }

    fn expire(&mut self) {
        self.end_closing();
        self.model.expire(self.now);
        let mut rounds = 0;
        while self.chat.poll_timeout().is_some_and(|due| due <= self.now) {
            let budget = 1 + self.random.below(50) as usize;
            self.chat.handle_timeout(self.now, budget);
            rounds += 1;
            assert!(rounds < 10_000, "a deadline that stays in the past");
        }
    }

    /// Lets everyone be silent until all are removed.
    fn silence(&mut self) {
        let Some(timeout) = self.model.config.idle_timeout else { return };
        self.under_way.clear();
        self.pass(timeout, |_| {});
        assert_eq!(self.model.live_count(), 0);
        self.model.tally.note("everyone silent");
    }

    /// Returns counts of what happened, and a hash of the history.
    pub fn into_history(self) -> (Tally, u64) {
        (self.model.tally, self.network.history.finish())
    }
}
