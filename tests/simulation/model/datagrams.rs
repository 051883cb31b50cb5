//! Predicts the outcome of datagrams and of announced ports.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::alert::Alert;
use reactor_chat::chat::{DatagramOutcome, DropReason, MessageOutcome, Path};
use reactor_chat::protocol::datagram::{self, MAX_NAME_AND_MESSAGE, Unfit};
use reactor_chat::protocol::stream::upstream::{self, Upstream};
use reactor_chat::protocol::stream::{Code, MAX_ENTRY};
use reactor_chat::protocol::{Delivery, Language, Notice};

use super::room::Room;
use super::{Begun, Member, Model, SILENT_AFTER, split};

const WARNING_INTERVAL: Duration = Duration::from_secs(5);

/// S16: limits of a message in parts: its bytes, and the time after its last and its first part.
const MOST_KEPT: usize = 4096;
const PARTS_KEPT: Duration = Duration::from_secs(10);
const PARTS_KEPT_IN_ALL: Duration = Duration::from_secs(60);

impl Member {
    /// Keeps a part of a message.
    fn keep(&mut self, part: &[u8], now: Instant) {
        match self.begun.get_or_insert_with(|| Begun::Kept(Vec::new(), now, now + PARTS_KEPT)) {
            Begun::Kept(text, ..) if text.len() + part.len() > MOST_KEPT => {
                self.begun = Some(Begun::TooLong);
            }
            Begun::Kept(text, since, due) if !part.is_empty() => {
                text.extend_from_slice(part);
                *due = (now + PARTS_KEPT).min(*since + PARTS_KEPT_IN_ALL);
            }
            Begun::Kept(..) | Begun::TooLong | Begun::TooLate => {}
        }
    }

    /// Returns the received bytes of a message in parts.
    pub fn begun_size(&self) -> usize {
        match &self.begun {
            Some(Begun::Kept(text, ..)) => text.len(),
            _ => 0,
        }
    }
}

impl Model {
    /// Checks the chat's outcome of a datagram, and applies the datagram to the model.
    pub fn handle_datagram(
        &mut self,
        peer: SocketAddr,
        bytes: &[u8],
        outcome: DatagramOutcome,
        now: Instant,
    ) {
        match outcome {
            DatagramOutcome::Dropped(why) => self.tally.note_value(why),
            DatagramOutcome::Accepted(_, outcome) => self.tally.note_value(outcome),
        }
        let whose = match self.identify(peer, bytes, now) {
            Ok(whose) => whose,
            Err(allowed) => {
                let DatagramOutcome::Dropped(why) = outcome else {
                    panic!("{outcome:?}, not {allowed:?}")
                };
                assert!(allowed.contains(&why), "{why:?}, not {allowed:?}");
                return;
            }
        };
        let message = datagram::parse(bytes).expect("a datagram that makes sense").message;
        if self.members[whose].is_live() {
            self.handle_live(whose, Some(peer), message, outcome, now);
        } else {
            self.handle_dead_token((whose, Some(peer)), message, outcome, now);
        }
    }

    pub fn end_limit(&mut self, whose: usize, now: Instant) {
        let member = &mut self.members[whose];
        if member.check_at.is_none() {
            member.check_at = Some(now + SILENT_AFTER);
            member.alarm = [member.alarm, member.check_at].into_iter().flatten().min();
        }
    }

    /// Returns the member that a datagram is from, or the allowed reasons to drop it.
    fn identify(
        &self,
        peer: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<usize, Vec<DropReason>> {
        if bytes.len() > 4096 {
            return Err(vec![DropReason::TooLong]);
        }
        let Some(upstream) = datagram::parse(bytes) else {
            return Err(vec![DropReason::Malformed]);
        };
        let unknown = vec![DropReason::UnknownToken];
        let Some(whose) = self.find_token(upstream.token) else { return Err(unknown) };
        let member = &self.members[whose];
        let remembered = self.is_remembered(whose, now);
        if remembered == Some(false) {
            return Err(unknown);
        }
        if member.path != Path::Clear {
            let forgotten = remembered.is_none().then_some(DropReason::UnknownToken);
            return Err([DropReason::OtherPath].into_iter().chain(forgotten).collect());
        }
        let names = [&self.rooms[member.room].name, &member.room_spelling];
        let is_here = names.iter().any(|name| name.as_bytes() == upstream.room);
        let is_its_ip = member.ip == peer.ip().to_canonical();
        if is_here && is_its_ip {
            return Ok(whose);
        }
        // The room of a departed member may be gone, and its name with it.
        let mut allowed = if is_here { vec![] } else { vec![DropReason::WrongRoom] };
        if is_here || (!member.is_live() && !is_its_ip) {
            allowed.push(DropReason::WrongAddress);
        }
        if remembered.is_none() {
            allowed.push(DropReason::UnknownToken);
        }
        if !member.is_live() && is_its_ip {
            return Ok(whose);
        }
        Err(allowed)
    }

    pub fn handle_dead_token(
        &mut self,
        (whose, at): (usize, Option<SocketAddr>),
        message: &[u8],
        outcome: DatagramOutcome,
        now: Instant,
    ) {
        let certain = self.is_remembered(whose, now) == Some(true);
        let member = &mut self.members[whose];
        match outcome {
            DatagramOutcome::Accepted(id, outcome) => {
                assert_eq!((id, outcome), (member.id, MessageOutcome::Ended), "a dead token");
                let at = at.map(|at| (at.ip().to_canonical(), at.port()));
                if let Some((ip, port)) = at {
                    (member.home, member.port) = (ip, Some((port, true)));
                }
                let end = member.end.as_mut().expect("an end");
                end.farewells += 1;
                if end.of_closed_room
                    && let Some(Upstream::Have { next }) = upstream::parse(message)
                {
                    self.confirm(whose, next, now);
                }
                if let Some(at) = at {
                    self.withdraw(whose, at, now);
                }
            }
            DatagramOutcome::Dropped(DropReason::WrongRoom) => {}
            DatagramOutcome::Dropped(why) => {
                assert!(why == DropReason::UnknownToken && !certain, "{why:?} of a dead token");
                self.tally.note("remains dropped");
            }
        }
    }

    pub fn learn_address(&mut self, whose: usize, at: SocketAddr, now: Instant) {
        let (ip, port) = (at.ip().to_canonical(), at.port());
        let member = &mut self.members[whose];
        let is_new = (member.home, member.port) != (ip, Some((port, true)));
        match member.port {
            Some((_, true)) if member.home != ip => self.tally.note("sealed member roamed"),
            Some((known, true)) if known == port => {}
            Some((_, true)) => self.tally.note("port rebound"),
            _ => self.tally.note("port learnt"),
        }
        (member.home, member.port) = (ip, Some((port, true)));
        if is_new {
            self.settle_replaced(whose, now);
            self.withdraw(whose, (ip, port), now);
        }
    }

    /// Handles a proved address: a member that has only announced it loses it. If the member that
    /// has proved it is live, ended members lose it too.
    fn withdraw(&mut self, whose: usize, address: (IpAddr, u16), now: Instant) {
        let is_live = self.members[whose].is_live();
        for index in self.others_at(whose, address) {
            let other = &mut self.members[index];
            let is_announced = matches!(other.port, Some((_, false)));
            if is_announced || (is_live && !other.is_live()) {
                (other.port, other.has_lost_port) = (None, true);
                other.is_unresponsive = false;
                if let Some(end) = &mut other.end {
                    end.needs_farewell = false;
                    self.tally.note("ended member lost its address");
                } else {
                    let ip = other.ip;
                    self.tally.note("announced port lost");
                    self.watch_unproved(ip, now);
                }
            }
        }
    }

    /// Returns other members at one address that were not freed.
    fn others_at(&self, whose: usize, (ip, port): (IpAddr, u16)) -> Vec<usize> {
        let is_there = |index: &usize| {
            let member = &self.members[*index];
            let has_port = member.port.is_some_and(|(known, _)| known == port);
            *index != whose && !member.is_freed && member.home == ip && has_port
        };
        (0..self.members.len()).filter(is_there).collect()
    }

    pub fn handle_message(
        &mut self,
        whose: usize,
        message: &[u8],
        outcome: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        if !self.members[whose].takes_stream() {
            if message.is_empty() {
                return MessageOutcome::KeptAlive;
            }
            return self.handle_line(whose, 0, message, outcome, now);
        }
        match upstream::parse(message) {
            None => MessageOutcome::Invalid,
            Some(Upstream::KeepAlive) => MessageOutcome::KeptAlive,
            Some(Upstream::Have { next }) => {
                self.confirm(whose, next, now);
                self.reply_state(whose, 0);
                MessageOutcome::Confirmed
            }
            Some(Upstream::Repair(_)) => MessageOutcome::Repaired,
            Some(Upstream::Message { id, .. } | Upstream::Part { id, .. })
                if id != self.members[whose].expected =>
            {
                self.reply_state(whose, id);
                MessageOutcome::OutOfOrder
            }
            Some(Upstream::Message { id, text }) => self.complete(whose, id, text, outcome, now),
            Some(Upstream::Part { id, text }) => {
                self.members[whose].keep(text, now);
                self.members[whose].expected += 1;
                self.reply_state(whose, id);
                MessageOutcome::Kept
            }
        }
    }

    /// Takes a message of a stream member, or the last part of one.
    fn complete(
        &mut self,
        whose: usize,
        id: u32,
        last: &[u8],
        outcome: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        let member = &mut self.members[whose];
        let why = match &mut member.begun {
            None => return self.handle_line(whose, id, last, outcome, now),
            Some(Begun::Kept(text, since, due)) => {
                *due = (now + PARTS_KEPT).min(*since + PARTS_KEPT_IN_ALL);
                let whole = [&text[..], last].concat();
                self.tally.note("parts joined");
                return self.handle_line(whose, id, &whole, outcome, now);
            }
            Some(Begun::TooLate) => Notice::PartsTooLate,
            Some(Begun::TooLong) => {
                Notice::TooLong { fits: MAX_NAME_AND_MESSAGE - member.name.len() }
            }
        };
        if !self.is_allowed(whose, last.len(), outcome, now) {
            self.put_off(whose, id, [Notice::RateLimited, Notice::TooFast], now);
            return MessageOutcome::RateLimited;
        }
        self.tally.note_value(why);
        self.refuse(whose, why)
    }

    fn confirm(&mut self, whose: usize, next: u64, now: Instant) {
        let member = &mut self.members[whose];
        (member.missed, member.is_unresponsive) = (0, false);
        let room = &self.rooms[member.room];
        let next = next.min(member.until).min(room.highest_end());
        let bytes = (member.have..next).map(|number| room.entry_size(number).unwrap_or(MAX_ENTRY));
        let bytes = bytes.sum::<usize>() as u64;
        member.refill_repair_budget(bytes, now);
        if member.have < next.min(member.cursor) {
            let is_all = next >= member.cursor;
            let left = if is_all { 0 } else { member.unconfirmed.saturating_sub(bytes) };
            (member.unconfirmed, member.has_confirmed) = (left, true);
        }
        member.have = member.have.max(next);
        member.surely_has = member.surely_has.max(next.min(room.seen_end()));
    }

    /// Handles a whole line of a member.
    fn handle_line(
        &mut self,
        whose: usize,
        id: u32,
        line: &[u8],
        outcome: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        let text = str::from_utf8(line);
        if text.is_ok_and(|text| text.trim().eq_ignore_ascii_case("/exit")) {
            self.note_taken(whose);
            self.remove(whose, Code::Left, now);
            return MessageOutcome::Command;
        }
        if !self.is_allowed(whose, line.len(), outcome, now) {
            self.put_off(whose, id, [Notice::RateLimited, Notice::TooFast], now);
            return MessageOutcome::RateLimited;
        }
        let text = text.map(|text| match text.starts_with('/') && !text.starts_with("//") {
            true => text.trim_ascii_end(),
            false => text,
        });
        let Ok(text) = text else { return self.refuse(whose, Notice::Unfit(Unfit::NotUtf8)) };
        let is_bidi = |c| matches!(c, '\u{202d}' | '\u{202e}');
        let is_unfit = |c: &char| is_bidi(*c) || (c.is_control() && *c != '\t' && *c != '\n');
        if let Some(first) = text.chars().find(is_unfit) {
            let why = if is_bidi(first) { Unfit::Bidi } else { Unfit::Control };
            return self.refuse(whose, Notice::Unfit(why));
        }
        match text.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => self.handle_command(whose, rest, now),
            Some(rest) => self.handle_text(whose, id, rest, outcome, now),
            None if text.is_empty() => {
                self.note_taken(whose);
                self.reply_state(whose, id);
                MessageOutcome::KeptAlive
            }
            None => self.handle_text(whose, id, text, outcome, now),
        }
    }

    fn handle_text(
        &mut self,
        whose: usize,
        id: u32,
        text: &str,
        outcome: MessageOutcome,
        now: Instant,
    ) -> MessageOutcome {
        let (name, room) = (&self.members[whose].name, self.members[whose].room);
        let fits = MAX_NAME_AND_MESSAGE - name.len();
        if text.len() > fits {
            return self.refuse(whose, Notice::TooLong { fits });
        }
        let entries = split((0, 0), name, text);
        let size = entries.iter().map(|entry| entry.len() + 4).sum::<usize>();
        if outcome == MessageOutcome::RoomBusy && self.rooms[room].may_be_busy(size) {
            self.alert(Alert::RoomBacklog, self.members[whose].ip);
            self.put_off(whose, id, [Notice::RoomBusy, Notice::NotYet], now);
            return outcome;
        }
        self.relay(whose, id, text);
        self.note_taken(whose);
        MessageOutcome::Relayed
    }

    fn handle_command(&mut self, whose: usize, rest: &str, now: Instant) -> MessageOutcome {
        let (written, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (word, name) = (written.to_lowercase(), name.trim());
        match (&*word, name) {
            ("who" | "help" | "bans", _) => {}
            ("kick" | "host" | "ban" | "unban", "") => {
                return self.refuse(whose, Notice::NameNeeded);
            }
            ("kick" | "host" | "ban" | "unban", _) => {}
            _ => return self.refuse(whose, Notice::UnknownCommand(written)),
        }
        self.note_taken(whose);
        let room = self.members[whose].room;
        match &*word {
            "who" => {
                let text = self.who(room);
                self.reply(whose, Code::Answer, None, &text);
            }
            "help" => self.notify(whose, Notice::Help),
            _ if self.rooms[room].host != whose => self.notify(whose, Notice::HostOnly),
            "ban" | "unban" | "bans" => self.handle_ban_command(whose, &word, name, now),
            _ => match self.find_named(room, name) {
                None => self.notify(whose, Notice::NoSuchMember),
                Some(target) => self.handle_host_command(whose, &word, target, now),
            },
        }
        MessageOutcome::Command
    }

    fn handle_host_command(&mut self, host: usize, word: &str, target: usize, now: Instant) {
        let room = self.members[host].room;
        match (word, target == host) {
            ("kick", true) => return self.notify(host, Notice::NotYourself),
            ("kick", false) => {
                self.ban_member(target, false);
                self.remove_by_host(target, now);
            }
            (_, true) => return self.notify(host, Notice::AlreadyHost),
            (_, false) => {
                self.tally.note("host changed by hand");
                self.change_host(room, target);
            }
        }
        self.reply_state(host, self.members[host].expected.saturating_sub(1));
    }

    /// Removes a member for its host.
    pub fn remove_by_host(&mut self, target: usize, now: Instant) {
        if !self.members[target].takes_stream() {
            self.notify(target, Notice::RemovedByHost);
        }
        self.remove(target, Code::Removed, now);
    }

    /// Returns the answer to `/who`. Checks that there is exactly one host.
    fn who(&self, room: usize) -> String {
        let [mark, in_clear] = match self.config.language {
            Language::English => [" (host)", " (unencrypted)"],
            Language::Japanese => ["（ホスト）", "（暗号化なし）"],
        };
        let Room { members, host, .. } = &self.rooms[room];
        assert_eq!(members.iter().filter(|member| *member == host).count(), 1, "one host");
        let is_marked = members.iter().any(|member| self.members[*member].is_encrypted());
        let named = members.iter().map(|index| {
            let member = &self.members[*index];
            let mark = if index == host { mark } else { "" };
            let in_clear = if is_marked && !member.is_encrypted() { in_clear } else { "" };
            format!("{}{mark}{in_clear}", member.name)
        });
        named.collect::<Vec<_>>().join(", ")
    }

    fn refuse(&mut self, whose: usize, why: Notice<'_>) -> MessageOutcome {
        self.note_taken(whose);
        self.notify(whose, why);
        MessageOutcome::Refused
    }

    /// Does not take a message now. Text for people comes at most once in five seconds, the code
    /// always.
    fn put_off(&mut self, whose: usize, id: u32, [each, stream]: [Notice<'_>; 2], now: Instant) {
        let member = &mut self.members[whose];
        let is_due = member.warned_at.is_none_or(|last| now - last >= WARNING_INTERVAL);
        if is_due {
            member.warned_at = Some(now);
        }
        match (member.delivery, is_due) {
            (Delivery::Plain(_), true) => self.notify(whose, each),
            (Delivery::Plain(_), false) => {}
            (Delivery::Stream, _) => {
                let mut text = String::new();
                if is_due {
                    stream.write(self.config.language, &mut text);
                }
                self.reply(whose, stream.code(), Some(id), &text);
            }
        }
    }

    fn note_taken(&mut self, whose: usize) {
        self.members[whose].expected += 1;
        self.members[whose].begun = None;
    }

    /// Returns true if the rates of the sender allow a line of this size. It costs one message, and
    /// its bytes with names, IP and UDP headers of all its parts, times the members of the room.
    fn is_allowed(
        &mut self,
        whose: usize,
        size: usize,
        outcome: MessageOutcome,
        now: Instant,
    ) -> bool {
        let member = &mut self.members[whose];
        let audience = self.rooms[member.room].members.len();
        let name = member.name.len();
        let parts = size.div_ceil(1150 - (12 + 3 + 9) - name).max(1);
        let bytes = ((size + parts * (name + 28)) * audience) as u64;
        let second = Duration::from_secs(1);
        let message = self.config.rate_limit.map_or(Duration::ZERO, |rate| second / rate);
        let fanout = self.config.fanout_limit.map_or(Duration::ZERO, |rate| {
            Duration::from_nanos(bytes * 1_000_000_000 / u64::from(rate))
        });
        let has_messages = member.messages.has(message, now);
        // Only the server knows exactly how many of the sent bytes are history.
        let has_surely = member.fanout_at_most.has(fanout, now);
        let is_refused = outcome == MessageOutcome::RateLimited && !has_surely;
        let has_all = member.fanout.has(fanout, now) && has_messages && !is_refused;
        if has_all {
            member.messages.take(message);
            member.fanout.take(fanout);
            member.fanout_at_most.take(fanout);
        } else {
            let ip = member.ip;
            self.alert(if has_messages { Alert::Fanout } else { Alert::Rate }, ip);
        }
        has_all
    }

    /// Returns true if an announced port must be accepted, and accepts it.
    pub fn announce(&mut self, index: usize, peer: SocketAddr) -> bool {
        let member = &self.members[index];
        let port = peer.port();
        let is_anothers = self.live().any(|other| {
            other.id != member.id
                && other.home == member.ip
                && other.port.is_some_and(|(taken, _)| taken == port)
        });
        let is_own = (member.home, member.port) == (member.ip, Some((port, false)));
        let is_learnt = matches!(member.port, Some((_, true)));
        let is_taken = member.is_live()
            && !member.takes_stream()
            && member.path == Path::Clear
            && member.ip == peer.ip().to_canonical()
            && port != 0
            && !is_learnt
            && !member.has_lost_port
            && (is_own || !is_anothers);
        let has_one = matches!(member.port, Some((_, false)));
        let ip = member.ip;
        let is_limited = is_taken && !has_one && self.has_announced_enough(ip);
        if is_limited {
            self.tally.note("too many announced");
            self.alert(Alert::Unproved, ip);
        }
        let is_taken = is_taken && !is_limited;
        self.tally.note(if is_taken { "port announced" } else { "announcement refused" });
        if is_taken {
            (self.members[index].home, self.members[index].port) = (ip, Some((port, false)));
            for other in self.others_at(index, (ip, port)) {
                let other = &mut self.members[other];
                if !other.is_live() && matches!(other.port, Some((_, false))) {
                    (other.port, other.has_lost_port) = (None, true);
                    other.end.iter_mut().for_each(|end| end.needs_farewell = false);
                }
            }
        }
        is_taken
    }
}
