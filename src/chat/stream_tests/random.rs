//! Tests rooms with random events: all members receive the same sequence, and no state is left at
//! the end.

use super::*;

const STEPS: u64 = 4_000;

/// Reproducible pseudorandom numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// A member and the state that the test expects.
struct KnownMember {
    guest: Guest,
    is_live: bool,
    /// True if the port is proved. The member must receive everything then.
    is_proved: bool,
}

/// Rooms driven by one seed.
struct Scenario {
    seed: u64,
    dice: Dice,
    stage: Stage,
    known: Vec<KnownMember>,
}

#[test]
fn s5_s7_s13_s15_sequences_agree() {
    for seed in 1..=40 {
        let mut scenario = Scenario::new(seed);
        for step in 0..STEPS {
            scenario.step(step);
            scenario.check(step);
        }
        scenario.check_completeness();
        scenario.end();
    }
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let stage = Stage::new(ChatConfig {
            idle_timeout: Some(seconds(40)),
            room_history: 4096 << (seed % 6),
            history_memory: seed.is_multiple_of(3).then_some(20_000),
            host_leaves: if seed.is_multiple_of(2) { HostLeaves::Pass } else { HostLeaves::Close },
            max_members: seed.is_multiple_of(4).then_some(25),
            ..unlimited()
        });
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { seed, dice, stage, known: Vec::new() }
    }

    fn step(&mut self, step: u64) {
        let event = self.dice.roll(24);
        if self.known.is_empty() || event < 3 {
            return self.enter();
        }
        let pick = self.dice.roll(self.known.len() as u64) as usize;
        match event {
            3..10 => {
                let size = self.dice.roll(10) * self.dice.roll(120);
                self.say(pick, &format!("{step}{}", "x".repeat(size as usize)));
            }
            10 if self.dice.roll(4) == 0 => self.say(pick, "/exit"),
            11 => {
                let name = format!("/kick m{}", self.dice.roll(40));
                let line = if self.dice.roll(3) > 0 { "/who" } else { &name };
                self.say(pick, line);
            }
            12..15 => self.have(pick),
            15..17 => self.repair(pick),
            17 => drop(self.stage.blocked.insert(self.known[pick].guest.id)),
            22 if self.dice.roll(6) == 0 => self.resume(pick),
            _ => self.pass_time(event),
        }
    }

    fn pass_time(&mut self, event: u64) {
        match event {
            18 => self.stage.unblock(),
            19 => self.stage.advance(Duration::from_millis(self.dice.roll(400))),
            20 if self.dice.roll(12) == 0 => self.stage.advance(seconds(self.dice.roll(12))),
            21 => self.stage.deliver(),
            _ => drop(self.stage.turn(1 + self.dice.roll(40) as usize)),
        }
    }

    fn enter(&mut self) {
        let room = format!("room{}", self.dice.roll(4));
        let named = r#","delivery":"named""#;
        let delivery = [STREAM, STREAM, "", named][self.dice.roll(4) as usize];
        let more = format!(r#"{delivery},"history":{}"#, self.dice.roll(30));
        let name = format!("m{}", self.dice.roll(40));
        let op = if self.stage.chat.directory.names.contains_key(&*room) { 2 } else { 1 };
        if let Ok(guest) = self.stage.try_enter(op, &room, &name, &more) {
            let is_proved = self.dice.roll(8) > 0;
            if is_proved {
                self.stage.send(&guest, b"");
            }
            self.known.push(KnownMember { guest, is_live: true, is_proved });
        }
    }

    fn say(&mut self, pick: usize, text: &str) {
        let one = &mut self.known[pick];
        let Some((_, is_live)) = self.stage.chat.find_speaker(one.guest.token) else { return };
        let outcome = self.stage.say(&mut one.guest, text);
        one.is_proved = true;
        assert!(is_live || matches!(outcome, MessageOutcome::Ended), "{outcome:?}");
    }

    fn have(&mut self, pick: usize) {
        if let Some(guest) = self.answered(pick) {
            let next = self.stage.received(&guest).next.saturating_sub(self.dice.roll(20));
            self.stage.have(&guest, next);
        }
    }

    fn repair(&mut self, pick: usize) {
        if let Some(guest) = self.answered(pick) {
            let from = self.dice.roll(self.stage.received(&guest).next + 5);
            let ranges = [(from, self.dice.roll(300) as u16), (self.dice.roll(9999), 3)];
            self.stage.repair(&guest, &ranges);
        }
    }

    /// Returns the member if it uses stream delivery and the server replies to it.
    fn answered(&self, pick: usize) -> Option<Guest> {
        let KnownMember { guest, is_proved, .. } = &self.known[pick];
        let chat = &self.stage.chat;
        let has_answer = chat.find_speaker(guest.token).is_some();
        (guest.stream.is_some() && *is_proved && has_answer).then(|| guest.clone())
    }

    /// Resumes from a random IP. The member may send nothing from there for a while.
    fn resume(&mut self, pick: usize) {
        let one = &mut self.known[pick];
        let ip = Ipv4Addr::new(192, 0, 2, 1 + self.dice.roll(9) as u8);
        let is_live = is_live(&self.stage.chat, &one.guest);
        let reply = self.stage.resume(&one.guest, ip);
        assert_eq!(reply.is_ok(), is_live, "{reply:?}");
        let Ok(Reply::Resumed { member, .. }) = reply else { return };
        self.stage.reachable.remove(&member);
        one.guest.address = (ip, one.guest.address.port()).into();
        if self.dice.roll(2) == 0 {
            self.stage.send(&one.guest, b"");
            one.is_proved = true;
        }
    }

    /// Asserts the invariants.
    fn check(&mut self, step: u64) {
        let Self { stage, known, .. } = self;
        check_accounts(stage);
        for one in &mut *known {
            one.is_live = is_live(&stage.chat, &one.guest);
            let received = stage.received(&one.guest);
            if one.guest.stream.is_some() {
                assert!(received.lines.is_empty());
                assert!(!one.is_live || received.skipped == 0, "a gap without a `gone` entry");
            }
            assert!(
                one.is_proved || received.sizes.is_empty(),
                "datagrams before the port is proved"
            );
        }
        if step.is_multiple_of(500) {
            known.retain(|one| one.is_live);
        }
    }

    fn check_completeness(&mut self) {
        let Self { seed, stage, known, .. } = self;
        stage.unblock();
        let answers =
            |one: &&KnownMember| one.is_live && one.guest.stream.is_some() && one.is_proved;
        let answering: Vec<_> = known.iter().filter(answers).map(|one| one.guest.clone()).collect();
        for _ in 0..100 {
            stage.deliver();
            for guest in &answering {
                if stage.reachable.contains(&guest.id) {
                    stage.have(guest, stage.received(guest).next);
                }
            }
            stage.advance(Duration::from_millis(2));
        }
        for one in known.iter().filter(|one| one.is_live && one.guest.stream.is_some()) {
            // A member is unreachable if it has resumed and sent nothing since.
            if stage.reachable.contains(&one.guest.id) {
                let received = stage.received(&one.guest);
                assert_eq!(
                    (received.next, received.skipped),
                    (stage.end_of(&one.guest), 0),
                    "seed {seed}"
                );
            }
        }
    }

    /// Lets every member time out, and asserts that no state is left.
    fn end(&mut self) {
        let Self { seed, stage, .. } = self;
        stage.advance(seconds(41));
        stage.unblock();
        stage.advance(seconds(61));
        stage.deliver();
        assert_eq!(stage.chat.census(), Census::default(), "seed {seed}");
        assert_eq!(stage.chat.feeds.rings().1, 0);
    }
}

fn is_live(chat: &Chat, guest: &Guest) -> bool {
    chat.find_speaker(guest.token).is_some_and(|(_, is_live)| is_live)
}

fn check_accounts(stage: &Stage) {
    let (chat, census) = (&stage.chat, stage.chat.census());
    assert_eq!(census.tokens + census.closing, chat.directory.tokens.len());
    assert!(census.members >= census.tokens + census.tombstones);
    assert!(census.tombstones + census.tokens <= chat.config.max_members.unwrap_or(usize::MAX));
    let rings =
        chat.directory.rooms.iter().map(|(room, _)| chat.feeds.memory_of(room).ring_capacity);
    assert_eq!(chat.feeds.rings().0, rings.sum::<usize>(), "accounted memory of the rings");
}

impl Stage {
    /// Returns the next sequence number of a live member's room.
    fn end_of(&self, guest: &Guest) -> u64 {
        let member = self.chat.directory.members.get(guest.id).expect("a member");
        self.chat.feeds.header(&member.recipient(guest.id)).sequence
    }
}
