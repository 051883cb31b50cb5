//! Applies the requests that have succeeded.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reactor_chat::chat::{Path, Reply};
use reactor_chat::protocol::stream::{Code, Completion};
use reactor_chat::protocol::{Delivery, Entrant, Notice, Request};

use super::limits::subnet;
use super::paths::path_of;
use super::presence::PresenceChange;
use super::room::Room;
use super::{Member, Model, SILENT_AFTER, folded};

/// Time after which a new member without a datagram is noticed.
const FIRST_CHECK: Duration = Duration::from_secs(10);

impl Model {
    /// Applies a request that has succeeded. Returns the member that it is about, if any.
    pub fn apply(
        &mut self,
        (peer, is_encrypted): (SocketAddr, bool),
        request: &Request<'_>,
        reply: &Reply,
        now: Instant,
    ) -> Option<usize> {
        match (request, reply) {
            (Request::List { prefix, .. }, Reply::Rooms(list)) => {
                let list = str::from_utf8(list).expect("UTF-8");
                assert_eq!(list, self.list(prefix.as_ref().expect("UTF-8")));
                self.tally.note("listed");
                None
            }
            (Request::Create { host, capacity, hidden, sealed_only }, Reply::Entered { .. }) => {
                let mut room = Room::new(&host.room.name, peer.ip().to_canonical());
                (room.capacity, room.hidden) = (*capacity, *hidden);
                room.sealed_only = *sealed_only;
                Some(self.create(room, (peer, is_encrypted), host, reply, now))
            }
            (Request::Join(guest), Reply::Entered { .. }) => {
                Some(self.join((peer, is_encrypted), guest, reply, now))
            }
            (
                Request::Resume { token, room, path: wishes },
                Reply::Resumed { member, token: same, stream, path },
            ) => {
                assert_eq!(Ok(*path), path_of(is_encrypted, &wishes.unwrap_or_default()));
                let index = self.find_token(*token).expect("a known token");
                assert_eq!((*member, *token), (self.members[index].id, *same));
                self.members[index].room_spelling = room.as_sent.into();
                self.resume(index, (peer.ip().to_canonical(), *path), now);
                self.check_completion(index, stream.as_ref());
                Some(index)
            }
            _ => panic!("a reply to another request"),
        }
    }

    fn create(
        &mut self,
        mut room: Room,
        from: (SocketAddr, bool),
        host: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        let mut closing = 0;
        if let Some(abandoned) = self.abandoned_room(room.creator, &room.name, now) {
            self.tally.note("made anew");
            closing = self.rooms[abandoned].members.len();
            self.close(abandoned, (Notice::RoomClosed, Code::RoomClosed), None, now);
        }
        self.tally.note(if room.hidden { "hidden" } else { "created" });
        (room.password, room.history) = (host.password.clone(), host.history);
        self.rooms.push(room);
        self.make_place(closing);
        let index = self.admit(self.rooms.len() - 1, from, host, reply, now);
        self.rooms.last_mut().expect("the new one").host = index;
        self.start_path(index, now);
        if host.delivery == Delivery::Stream {
            self.notify_joined(index, now);
        }
        index
    }

    fn join(
        &mut self,
        (peer, is_encrypted): (SocketAddr, bool),
        guest: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        self.tally.note("joined");
        let room = self.open_room(&guest.room.name).expect("an open room");
        let silent = self.silent_namesake(peer.ip().to_canonical(), guest, now);
        let to_tell = silent.and_then(|silent| self.replace(silent, now));
        self.make_place(0);
        let index = self.admit(room, (peer, is_encrypted), guest, reply, now);
        self.members[index].replaced = to_tell;
        self.start_path(index, now);
        if let Some(silent) = silent {
            self.tally.note("replaced");
            if self.rooms[room].host == silent {
                self.tally.note("host replaced");
                self.rooms[room].host = index;
            }
        }
        self.notify_joined(index, now);
        index
    }

    fn resume(&mut self, index: usize, (ip, path): (IpAddr, Path), now: Instant) {
        let member = &mut self.members[index];
        let is_repeated = member.ip == ip && member.port.is_none();
        member.ip = ip;
        member.heard_at = now;
        member.is_unresponsive = false;
        member.connections += 1;
        self.rooms[member.room].visitors.insert(subnet(ip));
        self.tally.note(if is_repeated { "resume repeated" } else { "resumed" });
        self.tally.note(&format!("resumed as {path:?}"));
        self.change_path(index, path, now);
    }

    fn notify_joined(&mut self, index: usize, now: Instant) {
        let (room, number) = (self.members[index].room, self.members[index].number);
        let name = self.members[index].name.clone();
        self.notify_presence(room, (number, &name), PresenceChange::Joined, Some(index), now);
    }

    fn admit(
        &mut self,
        room: usize,
        (peer, is_encrypted): (SocketAddr, bool),
        entrant: &Entrant<'_>,
        reply: &Reply,
        now: Instant,
    ) -> usize {
        let Reply::Entered { member, token, stream, path } = reply else { panic!("not a place") };
        assert_eq!(Ok(*path), path_of(is_encrypted, &entrant.path));
        self.tally.note(&format!("entered as {path:?}"));
        self.tally.note(&format!("entered as {:?}", entrant.delivery));
        let next = self.note_entrant(room, peer.ip(), entrant, stream.as_ref());
        let known = &self.rooms[room];
        let check_at = match entrant.delivery {
            Delivery::Plain(_) => SILENT_AFTER,
            Delivery::Stream => self.have_interval(),
        };
        let index = self.add(Member {
            room,
            room_spelling: entrant.room.as_sent.into(),
            name: entrant.name.to_string(),
            folded: folded(&entrant.name),
            number: known.last_number,
            delivery: entrant.delivery,
            path: *path,
            joined_in_clear: !is_encrypted,
            alarm: Some(now + self.config.idle_timeout.unwrap_or(FIRST_CHECK).min(FIRST_CHECK)),
            check_at: Some(now + check_at),
            history_until: known.highest_end(),
            tag: stream.as_ref().map(|stream| stream.tag),
            ..Member::new(*member, *token, peer, next, now)
        });
        self.rooms[room].members.push(index);
        self.check_completion(index, stream.as_ref());
        index
    }

    /// Notes a new member in its room. Returns the next number of its stream.
    fn note_entrant(
        &mut self,
        room: usize,
        ip: IpAddr,
        entrant: &Entrant<'_>,
        stream: Option<&Completion>,
    ) -> u64 {
        let room = &mut self.rooms[room];
        room.last_number += 1;
        room.visitors.insert(subnet(ip));
        let Some(stream) = stream else { return 0 };
        room.life = room.life.or(stream.life);
        let before = room.members.last().and_then(|before| self.members[*before].tag);
        assert_ne!(Some(stream.tag), before, "the tag of another member");
        let history = u64::from(entrant.history.min(room.history));
        assert!(stream.next + history >= room.seen_end(), "more history than the host allows");
        assert!(stream.next <= room.highest_end());
        stream.next
    }

    fn check_completion(&self, index: usize, completion: Option<&Completion>) {
        let member = &self.members[index];
        assert_eq!(completion.is_some(), member.takes_stream());
        let Some(completion) = completion else { return };
        let idle_timeout = self.config.idle_timeout.map_or(0, |timeout| timeout.as_secs());
        let right = Completion {
            token: member.token,
            member: member.number,
            tag: member.tag.expect("a stream"),
            life: self.rooms[member.room].life,
            next: member.first,
            expected: member.expected,
            keep_alive: if idle_timeout == 0 { 20 } else { (idle_timeout / 3).clamp(1, 20) },
            idle_timeout,
            seal: None,
        };
        assert_eq!(*completion, right);
    }

    fn list(&self, prefix: &str) -> String {
        let mut shown: Vec<&Room> =
            self.rooms.iter().filter(|room| room.is_open && !room.hidden).collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = shown.iter().filter(|room| room.name.starts_with(prefix)).map(|room| {
            let own = room.capacity.map(|own| own as usize);
            let limits = [own, self.config.max_room_members, self.config.max_members];
            let capacity = limits.into_iter().flatten().min().unwrap_or(0);
            format!(
                r#"{{"room":"{}","members":{},"capacity":{capacity},"password":{}{}}}"#,
                room.name,
                room.members.len(),
                room.password.is_some(),
                if room.sealed_only { r#","sealed":true"# } else { "" },
            )
        });
        format!("[{}]", rows.collect::<Vec<_>>().join(","))
    }
}
