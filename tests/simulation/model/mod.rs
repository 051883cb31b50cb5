//! The reference model of the chat: rooms, members and tokens in plain lists that are searched from
//! the front. It predicts the outcome of every input, and keeps the queue of datagrams that every
//! member is owed.

mod bans;
mod check;
mod datagrams;
mod judge;
mod limits;
pub mod member;
mod output;
mod paths;
mod presence;
mod requests;
pub mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use reactor_chat::address::PeerAddr;
use reactor_chat::alert::Alert;
use reactor_chat::config::{ChatConfig, HostLeaves};
use reactor_chat::ids::MemberId;
use reactor_chat::protocol::stream::{Code, Entry};
use reactor_chat::protocol::{Delivery, Form, Language, Notice, Token, datagram};

use crate::tally::Tally;
use limits::{Debts, Ledger};
use member::{Begun, End, Member};
use presence::PresenceChange;
use room::{Owed, Room};

/// S11: the repair budget's maximum, and what it gains in a second.
pub const REPAIR_BUDGET: u64 = 64 * 1024;
pub const REPAIR_RATE: u64 = 16 * 1024;

/// Credit of a new member and of any other, in bytes.
pub const FIRST_CREDIT: u64 = 16 * 1024;
pub const CREDIT: u64 = 64 * 1024;

/// A5: silence after which a member with plain delivery is sent less, its rate in bytes a second,
/// and the number of `have`s that a stream member may miss.
pub const SILENT_AFTER: Duration = Duration::from_secs(60);
pub const SILENT_RATE: u64 = 16 * 1024;
const MOST_MISSED: u32 = 3;

/// S13: time for which a dead token is answered.
const REMAINS: Duration = Duration::from_secs(60);

/// Folds the names of the simulation for comparison.
pub fn folded(name: &str) -> String {
    name.to_lowercase().replace("e\u{301}", "é").replace("ｂｏｂ", "bob")
}

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOfRequest {
    pub ip: IpAddr,
    /// True inside TLS.
    pub is_encrypted: bool,
}

/// The state of the chat.
pub struct Model {
    pub config: ChatConfig,
    pub rooms: Vec<Room>,
    pub members: Vec<Member>,
    by_id: BTreeMap<MemberId, usize>,
    by_token: BTreeMap<[u8; Token::WIRE_SIZE], usize>,
    /// Wrong passwords and tokens of the last minute.
    pub guesses: Debts,
    /// Wrong passwords at each room, and the names of the rooms.
    pub guesses_at: Ledger<usize>,
    pub guessed_rooms: Vec<String>,
    /// Peers that may have too many unproved members, with the time of the next check.
    pub excess: BTreeSet<(Instant, IpAddr)>,
    /// Alerts for the log since the last check.
    pub alerts: BTreeMap<(Alert, PeerAddr), u64>,
    pub tally: Tally,
    /// Replaced members with plain delivery that may still get a farewell, oldest first.
    tombstones: Vec<usize>,
    /// Members whose connections the chat will need no more.
    pub path_ends: BTreeSet<MemberId>,
    /// True if all output is delivered before the next input, and nobody has a stream. Then the
    /// model knows exactly which tombstones the limit of members leaves.
    pub is_exact: bool,
}

impl Model {
    pub fn new(config: ChatConfig) -> Self {
        Self {
            guesses: Debts::new(config.debtors),
            guesses_at: Ledger::new(config.debtors),
            guessed_rooms: Vec::new(),
            config,
            rooms: Vec::new(),
            members: Vec::new(),
            by_id: BTreeMap::new(),
            by_token: BTreeMap::new(),
            excess: BTreeSet::new(),
            alerts: BTreeMap::new(),
            tally: Tally::default(),
            tombstones: Vec::new(),
            path_ends: BTreeSet::new(),
            is_exact: false,
        }
    }

    pub fn open_room(&self, name: &str) -> Option<usize> {
        self.rooms.iter().position(|room| room.is_open && room.name == name)
    }

    pub fn live(&self) -> impl Iterator<Item = &Member> {
        self.rooms.iter().flat_map(|room| &room.members).map(|member| &self.members[*member])
    }

    pub fn live_count(&self) -> usize {
        self.rooms.iter().map(|room| room.members.len()).sum()
    }

    pub fn find_named(&self, room: usize, name: &str) -> Option<usize> {
        let folded = folded(name);
        let mut members = self.rooms[room].members.iter().copied();
        members.find(|member| self.members[*member].folded == folded)
    }

    pub fn find_token(&self, token: Token) -> Option<usize> {
        self.by_token.get(&token.to_wire()).copied()
    }

    /// Returns the member with this id, unless it was freed.
    pub fn find(&self, id: MemberId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub fn add(&mut self, member: Member) -> usize {
        let index = self.members.len();
        assert!(self.by_id.insert(member.id, index).is_none(), "an id that is still in use");
        let token = member.token.to_wire();
        assert!(self.by_token.insert(token, index).is_none(), "a token twice");
        self.members.push(member);
        index
    }

    /// Notes that the chat frees a member. It must have ended, and have got everything that it is
    /// owed.
    pub fn free(&mut self, id: MemberId) {
        let index = self.by_id.remove(&id).expect("a member that was not freed yet");
        let member = &mut self.members[index];
        assert!(member.end.is_some(), "a live member was freed");
        assert!(!member.is_freed);
        member.is_freed = true;
        let mut unsaid = member.owed.iter().chain(&member.asides);
        let unsaid = unsaid.find(|owed| !owed.may_be_missing);
        let text = unsaid.map(|owed| String::from_utf8_lossy(&owed.bytes));
        // The tombstone of a stream member goes with its time, or when its place is needed.
        assert!(text.is_none() || member.takes_stream(), "freed before it got {text:?}");
        let needs_aside = member.end.as_ref().is_some_and(|end| end.needs_farewell);
        let is_attached = member.is_attached();
        assert!(!is_attached || !needs_aside, "a carried member was not told its end");
        if is_attached {
            self.path_ends.insert(id);
        }
        self.tally.note("freed");
    }

    /// Removes the oldest tombstones for a new member if the limit of members is reached. The
    /// `closing` members of a room that is made anew are still in the tables, and go after them.
    pub fn make_place(&mut self, closing: usize) {
        let most = self.config.max_members.unwrap_or(usize::MAX);
        let others = self.live_count() + closing;
        while !self.tombstones.is_empty() && others + self.tombstones.len() >= most {
            let forgotten = self.tombstones.remove(0);
            if self.is_exact {
                // Its farewell, if it waits, is dropped with it.
                self.members[forgotten].asides.clear();
            }
        }
    }

    fn text(&self, notice: Notice<'_>) -> String {
        let mut text = String::new();
        notice.write(self.config.language, &mut text);
        text
    }

    /// Relays a message of a member to its room.
    pub fn relay(&mut self, author: usize, id: u32, text: &str) {
        let (room, number) = (self.members[author].room, self.members[author].number);
        let name = self.members[author].name.clone();
        let entries = split((number, id), &name, text);
        if entries.len() > 1 {
            self.tally.note("relayed in parts");
        }
        entries.iter().for_each(|entry| self.rooms[room].append(entry, false));
        self.queue_plain(room, Some(author), false, |form, out| {
            datagram::encode_message(form, &name, text, out);
        });
    }

    /// Sends a notice to a room. With plain delivery, `except` does not get it.
    pub fn notify_room(
        &mut self,
        room: usize,
        notice: Notice<'_>,
        about: u32,
        except: Option<usize>,
    ) {
        let text = self.text(notice);
        let (code, name) = (notice.code() as u8, notice.subject().as_bytes());
        let entry = Entry::Notice { code, member: about, name, text: text.as_bytes() };
        let bytes = encoded(&entry);
        let is_last = matches!(notice, Notice::RoomClosed | Notice::ServerStopping);
        let may_be_missing = !is_last && self.rooms[room].may_drop_notice(bytes.len());
        self.rooms[room].append(&bytes, may_be_missing);
        // Clients of the family end on the Japanese room-closed line and know no other.
        let plain = match (notice, self.config.language) {
            (Notice::ServerStopping, Language::Japanese) => self.text(Notice::RoomClosed),
            _ => text,
        };
        self.queue_plain(room, except, may_be_missing, |form, out| {
            datagram::encode_notice(form, &plain, out);
        });
        if matches!(notice, Notice::Presence(_)) {
            self.tally.note("crowd told");
        }
    }

    fn queue_plain(
        &mut self,
        room: usize,
        except: Option<usize>,
        may_be_missing: bool,
        encode: impl Fn(Form, &mut Vec<u8>),
    ) {
        let [text, named] = [Form::Text, Form::Named].map(|form| {
            let mut out = Vec::new();
            encode(form, &mut out);
            Rc::<[u8]>::from(out)
        });
        self.rooms[room].each_load += text.len() + named.len();
        for index in &self.rooms[room].members {
            let bytes = match self.members[*index].delivery {
                Delivery::Plain(Form::Text) => &text,
                Delivery::Plain(Form::Named) => &named,
                Delivery::Stream => continue,
            };
            if Some(*index) != except {
                let bytes = Rc::clone(bytes);
                let is_limited = self.members[*index].check_at.is_none();
                let may_be_missing = may_be_missing || is_limited;
                self.members[*index].owed.push_back(Owed { bytes, may_be_missing });
            }
        }
    }

    /// Sends a notice to one member.
    pub fn notify(&mut self, index: usize, notice: Notice<'_>) {
        let text = self.text(notice);
        self.reply(index, notice.code(), None, &text);
    }

    /// Sends a text to one member. For a stream member it answers the message `id`, or else the last
    /// one that was taken.
    pub fn reply(&mut self, index: usize, code: Code, id: Option<u32>, text: &str) {
        let member = &mut self.members[index];
        let room = &mut self.rooms[member.room];
        let mut bytes = Vec::new();
        match member.delivery {
            Delivery::Plain(form) => datagram::encode_notice(form, text, &mut bytes),
            Delivery::Stream => {
                let id = id.unwrap_or(member.expected - 1);
                let (code, expected) = (code as u8, member.expected);
                Entry::Aside { code, expected, id, text: text.as_bytes() }.encode(&mut bytes);
            }
        }
        let may_be_missing = room.may_drop_aside();
        room.each_load += bytes.len() + 12;
        member.asides.push_back(Owed { bytes: bytes.into(), may_be_missing });
    }

    /// Sends its state to a stream member.
    pub fn reply_state(&mut self, index: usize, id: u32) {
        if self.members[index].takes_stream() {
            self.reply(index, Code::State, Some(id), "");
        }
    }

    pub fn notify_presence(
        &mut self,
        room: usize,
        (number, name): (u32, &str),
        change: PresenceChange,
        except: Option<usize>,
        now: Instant,
    ) {
        if self.rooms[room].presence.due().is_some_and(|due| due <= now) {
            self.notify_summary(room);
        }
        if self.rooms[room].presence.note(change, now) {
            self.notify_room(room, change.notice(name), number, except);
        }
    }

    fn notify_summary(&mut self, room: usize) {
        let crowd = self.rooms[room].presence.take();
        self.notify_room(room, Notice::Presence(crowd), 0, None);
    }

    /// Removes a member from its room. Its token and its name are dead from now on.
    pub fn end(&mut self, index: usize, code: Code, is_replaced: bool, now: Instant) {
        if let Some(replaced) = self.members[index].replaced.take() {
            self.release(replaced, true, now);
        }
        let room = &mut self.rooms[self.members[index].room];
        let member = &mut self.members[index];
        assert!(member.end.is_none());
        room.members.retain(|other| *other != index);
        member.until = room.highest_end();
        let (is_proved, is_attached) = (member.port.is_some(), member.is_attached());
        let asked = code == Code::Left;
        let repeats = if asked || is_replaced || !is_proved { 0 } else { 3 };
        let at_once = if member.is_carried() { is_attached } else { !is_replaced };
        member.end = Some(End {
            at: now,
            code,
            of_closed_room: false,
            farewells: u32::from(at_once) + repeats,
            needs_farewell: (is_attached || (is_proved && !is_replaced)) && member.takes_stream(),
            is_awaiting: is_proved && is_replaced,
        });
        self.tally.note_value(code);
    }

    /// Ends a silent member that is replaced. Returns the member that gets a farewell later, if any.
    pub fn replace(&mut self, silent: usize, now: Instant) -> Option<usize> {
        let is_known = self.members[silent].port.is_some();
        let before = self.members[silent].replaced.take();
        if self.members[silent].is_attached() && !self.members[silent].takes_stream() {
            self.notify(silent, Notice::RemovedForSilence);
        }
        self.end(silent, Code::Removed, true, now);
        if !is_known {
            return before;
        }
        self.tombstones.push(silent);
        if let Some(before) = before {
            self.release(before, false, now);
        }
        Some(silent)
    }

    /// Notes that a datagram has proved the address of a member.
    pub fn settle_replaced(&mut self, index: usize, now: Instant) {
        let Some(replaced) = self.members[index].replaced.take() else { return };
        let address = |member: &Member| (member.home, member.port.map(|(port, _)| port));
        let is_same = address(&self.members[replaced]) == address(&self.members[index]);
        self.tally.note(if is_same { "replaced at one address" } else { "replaced was told" });
        self.release(replaced, !is_same, now);
    }

    /// Ends the wait of a replaced member, which may get its farewell now.
    fn release(&mut self, index: usize, is_told: bool, now: Instant) {
        let has_limits = self.has_limits_of_remains();
        let text = self.text(Notice::RemovedForSilence);
        let member = &mut self.members[index];
        let end = member.end.as_mut().expect("an end");
        (end.is_awaiting, end.at) = (false, now);
        let is_remembered = !self.is_exact || self.tombstones.contains(&index);
        if !is_told || member.port.is_none() || !is_remembered {
            return;
        }
        end.farewells += 3;
        end.needs_farewell = !has_limits;
        if let Delivery::Plain(form) = member.delivery {
            let mut bytes = Vec::new();
            datagram::encode_notice(form, &text, &mut bytes);
            let may_be_missing = !self.is_exact;
            member.asides.push_back(Owed { bytes: bytes.into(), may_be_missing });
        }
    }

    fn has_limits_of_remains(&self) -> bool {
        self.config.max_members.is_some() || self.config.max_rooms.is_some()
    }

    /// Ends a member, and its room if it was the host.
    pub fn remove(&mut self, index: usize, code: Code, now: Instant) {
        let (room, number) = (self.members[index].room, self.members[index].number);
        let name = self.members[index].name.clone();
        let is_host = self.rooms[room].host == index;
        let heir = self.rooms[room].members.iter().copied().find(|other| *other != index);
        let heir = heir.filter(|_| self.config.host_leaves == HostLeaves::Pass);
        if is_host && heir.is_none() {
            let others = (Notice::RoomClosed, Code::RoomClosed);
            return self.close(room, others, Some((index, code)), now);
        }
        self.end(index, code, false, now);
        match code {
            Code::Removed => self.notify_room(room, Notice::Kicked(&name), number, None),
            Code::TimedOut => {
                self.notify_presence(room, (number, &name), PresenceChange::TimedOut, None, now);
            }
            _ => self.notify_presence(room, (number, &name), PresenceChange::Left, None, now),
        }
        if let Some(heir) = heir.filter(|_| is_host) {
            self.tally.note("host passed");
            self.change_host(room, heir);
        }
    }

    pub fn change_host(&mut self, room: usize, heir: usize) {
        self.rooms[room].host = heir;
        let (name, number) = (self.members[heir].name.clone(), self.members[heir].number);
        self.notify_room(room, Notice::NewHost(&name), number, None);
    }

    /// Closes a room. The member that caused it may have another reason than the rest.
    pub fn close(
        &mut self,
        room: usize,
        (notice, others): (Notice<'_>, Code),
        because_of: Option<(usize, Code)>,
        now: Instant,
    ) {
        self.notify_room(room, notice, 0, None);
        for index in self.rooms[room].members.clone() {
            let code = because_of.filter(|(host, _)| *host == index);
            self.end(index, code.map_or(others, |(_, code)| code), false, now);
        }
        let members = self.members.iter_mut().filter(|member| member.room == room);
        for end in members.filter_map(|member| member.end.as_mut()) {
            end.of_closed_room = true;
        }
        self.rooms[room].is_open = false;
    }

    /// Closes all rooms at the end of the server. The backlog is skipped.
    pub fn abandon_and_close_all(&mut self, now: Instant) {
        for member in &mut self.members {
            if self.rooms[member.room].is_open {
                member.owed.clear();
                member.may_skip = true;
            }
        }
        for room in
            (0..self.rooms.len()).filter(|room| self.rooms[*room].is_open).collect::<Vec<_>>()
        {
            self.close(room, (Notice::ServerStopping, Code::ServerStopping), None, now);
        }
    }

    /// Handles all deadlines up to `now` in their order.
    pub fn expire(&mut self, now: Instant) {
        self.guesses.forget(now);
        self.guesses_at.forget(now);
        self.tombstones.retain(|index| {
            let end = self.members[*index].end.as_ref();
            end.is_some_and(|end| end.is_awaiting || end.at + REMAINS > now)
        });
        for member in &mut self.members {
            if matches!(member.begun, Some(Begun::Kept(.., due)) if due <= now) {
                member.begun = Some(Begun::TooLate);
            }
        }
        loop {
            let live = self.rooms.iter().flat_map(|room| room.members.iter());
            let idle = live.filter_map(|index| {
                Some((self.members[*index].alarm?, self.members[*index].id, *index))
            });
            let idle = idle.min().filter(|(alarm, ..)| *alarm <= now);
            let open = (0..self.rooms.len()).filter(|room| self.rooms[*room].is_open);
            let crowd = open.filter_map(|room| Some((self.rooms[room].presence.due()?, room)));
            let crowd = crowd.min().filter(|(due, _)| *due <= now);
            let excess = self.excess.first().copied().filter(|(due, _)| *due <= now);
            let dues =
                [idle.map(|(due, ..)| due), crowd.map(|(due, _)| due), excess.map(|(due, _)| due)];
            // Deadlines at the same time are handled in this order.
            let next = dues.into_iter().flatten().min();
            match (next, idle, crowd, excess) {
                (Some(at), Some((due, _, index)), ..) if due == at => {
                    self.expire_member(index, now);
                }
                (Some(at), _, Some((due, room)), _) if due == at => self.notify_summary(room),
                (_, _, _, Some((due, peer))) => {
                    self.excess.remove(&(due, peer));
                    self.expire_excess(peer, now);
                }
                _ => return,
            }
        }
    }

    pub fn expire_member(&mut self, index: usize, now: Instant) {
        let member = &mut self.members[index];
        let is_first = !std::mem::replace(&mut member.was_checked, true);
        if is_first && !member.was_heard && member.port.is_none() && !member.has_lost_port {
            let ip = member.ip;
            self.alert(Alert::Unheard, ip);
        }
        let deadline = self.config.idle_timeout.map(|time| self.members[index].heard_at + time);
        let detached_until = self.detached_until(index);
        if [deadline, detached_until].into_iter().flatten().all(|deadline| deadline > now) {
            self.check_answers(index, now);
            let member = &mut self.members[index];
            let check_at = member.check_at.filter(|_| !member.is_carried());
            member.alarm = [deadline, detached_until, check_at].into_iter().flatten().min();
            return;
        }
        if detached_until.is_some_and(|due| due <= now) {
            self.tally.note("detached for too long");
        }
        if !self.members[index].takes_stream() {
            self.notify(index, Notice::RemovedForSilence);
        }
        self.remove(index, Code::TimedOut, now);
    }

    /// A5: sends less to members that do not answer.
    fn check_answers(&mut self, index: usize, now: Instant) {
        let interval = self.have_interval();
        let member = &mut self.members[index];
        let Some(due) = member.check_at.filter(|_| !member.is_carried()) else { return };
        if !member.takes_stream() {
            let due = member.heard_at + SILENT_AFTER;
            member.check_at = Some(due).filter(|due| *due > now);
            if member.check_at.is_none() {
                (member.limited_since, member.limited_bytes) = (now, 0);
                member.owed.iter_mut().for_each(|owed| owed.may_be_missing = true);
                self.tally.note("silent member limited");
            }
        } else if due <= now {
            member.check_at = Some(now + interval);
            if member.have >= member.cursor || member.may_rewind {
                member.missed = 0;
            } else if member.missed < MOST_MISSED {
                member.missed += 1;
            } else if member.port.is_some() {
                member.is_unresponsive = true;
                self.tally.note("only asked");
            }
        }
    }

    pub fn have_interval(&self) -> Duration {
        let seconds = self.config.idle_timeout.map_or(60, |timeout| timeout.as_secs());
        Duration::from_secs((seconds / 3).clamp(1, 20))
    }

    /// A member that got everything it asked for has at most a full budget.
    pub fn cap_repair_budgets(&mut self) {
        for member in &mut self.members {
            member.repair_budget = member.repair_budget.min(REPAIR_BUDGET);
        }
    }

    /// Returns whether a dead token is certainly answered or not, and `None` if limits decide.
    pub fn is_remembered(&self, index: usize, now: Instant) -> Option<bool> {
        let member = &self.members[index];
        let Some(end) = &member.end else { return Some(true) };
        if !member.takes_stream() || member.is_freed || member.is_carried() {
            return Some(false);
        }
        let is_over = !end.is_awaiting && end.at + REMAINS <= now;
        if self.has_limits_of_remains() || is_over { None } else { Some(true) }
    }
}

/// Splits a message into entries: each has as many whole characters as fit 1,150 bytes.
pub fn split((member, id): (u32, u32), name: &str, text: &str) -> Vec<Vec<u8>> {
    let name = name.as_bytes();
    let (mut entries, mut start) = (Vec::new(), 0);
    for (at, c) in text.char_indices() {
        if 12 + 3 + 9 + name.len() + at + c.len_utf8() - start > 1150 {
            let text = &text.as_bytes()[start..at];
            entries.push(encoded(&Entry::Part { member, id, name, text }));
            start = at;
        }
    }
    let text = &text.as_bytes()[start..];
    entries.push(encoded(&Entry::Message { member, id, name, text }));
    entries
}

fn encoded(entry: &Entry<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    entry.encode(&mut out);
    out
}
