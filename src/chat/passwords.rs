//! Passwords of joins: checked at once or later, and counted if they are wrong.
//!
//! The limits of the peer are checked before the room, because the reply would otherwise tell a
//! hidden room from a missing one. For the same reason a password for a missing room counts as a wrong one.

use std::time::Instant;

use super::auth_throttle::CheckTime;
use super::{Chat, Path};
use crate::address::PeerAddr;
use crate::alert::Alert;
use crate::ids::RoomId;
use crate::protocol::name::fold;
use crate::protocol::{Entrant, Status};
use crate::subnet::Subnet;

impl Chat {
    /// Returns the time at which the password of a join is checked, if it has to wait. Such a
    /// password counts as a wrong one at once. Otherwise a peer could take all slots with requests
    /// that it cancels.
    pub(super) fn delay_password(
        &mut self,
        (peer, path): (PeerAddr, Path),
        guest: &Entrant<'_>,
        now: Instant,
    ) -> Result<Option<Instant>, Status> {
        self.check_limits_of_guest((peer, path), guest, now)?;
        if guest.password.is_none() || self.is_welcome((peer, path), guest) {
            return Ok(None);
        }
        let (room, limit) = (&*guest.room.name, self.config.wrong_passwords);
        match self.peers.auth_throttle.take_slot(room, limit, now) {
            CheckTime::Now => Ok(None),
            CheckTime::At(at) => {
                self.peers.alerts.note(Alert::RoomPasswords, peer);
                self.peers.auth_throttle.note(Subnet::of(peer), limit, now);
                Ok(Some(at))
            }
            CheckTime::TooLate => {
                Err(self.refuse_limited(peer, Alert::RoomPasswords, Status::RateLimited))
            }
        }
    }

    fn check_limits_of_guest(
        &mut self,
        (peer, path): (PeerAddr, Path),
        guest: &Entrant<'_>,
        now: Instant,
    ) -> Result<(), Status> {
        let (subnet, limit) = (Subnet::of(peer), self.config.wrong_passwords);
        self.check_members_of((peer, path))?;
        if guest.password.is_some() && !self.peers.auth_throttle.has_left(subnet, limit, now) {
            return Err(self.refuse_limited(peer, Alert::WrongPasswords, Status::RateLimited));
        }
        Ok(())
    }

    /// Returns true if the room has no password, or has been entered from this peer's subnet. If the
    /// path keeps the guest out, no password is checked; only a hidden room looks like a missing one.
    fn is_welcome(&self, (peer, path): (PeerAddr, Path), guest: &Entrant<'_>) -> bool {
        self.directory.find_room(&guest.room.name).is_some_and(|(_, room)| {
            if !room.admits(path) {
                return !room.hidden;
            }
            let namesake =
                room.find(&fold(&guest.name)).and_then(|id| self.directory.members.get(id));
            !room.has_password()
                || room.visitors.has(Subnet::of(peer))
                || namesake.is_some_and(|namesake| namesake.peer == peer)
        })
    }

    /// Returns the room if it exists, admits the guest's path, and the guest's password opens it.
    pub(super) fn find_open_room(
        &mut self,
        (peer, path): (PeerAddr, Path),
        guest: &Entrant<'_>,
        is_counted: bool,
        now: Instant,
    ) -> Result<RoomId, Status> {
        let password = guest.password.as_deref();
        let why = match self.directory.find_room(&guest.room.name) {
            Some((_, room)) if !room.admits(path) && !room.hidden => {
                return Err(Status::EncryptionRequired);
            }
            Some((room_id, room)) if room.admits(path) && room.opens_with(password) => {
                return Ok(room_id);
            }
            Some((_, room)) if !room.hidden => Status::WrongPassword,
            _ => Status::RoomNotFound,
        };
        if password.is_some() {
            self.note_wrong_password(peer, &guest.room.name, is_counted, now);
        }
        Err(why)
    }

    fn note_wrong_password(&mut self, peer: PeerAddr, room: &str, is_counted: bool, now: Instant) {
        self.peers.alerts.note(Alert::WrongPassword, peer);
        if !is_counted {
            let limit = self.config.wrong_passwords;
            self.peers.auth_throttle.note(Subnet::of(peer), limit, now);
            self.peers.auth_throttle.note_at(room, limit, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;
    use crate::chat::Caller;
    use crate::chat::Reply;
    use crate::config::ChatConfig;
    use crate::protocol::{Frame, Token, request};

    const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const RESUME: u8 = 4;

    struct Stage {
        chat: Chat,
        now: Instant,
        drawn: u8,
    }

    type Outcome = Result<Reply, Status>;

    impl Stage {
        /// Returns a stage with three rooms: "locked", "hidden" and "open".
        fn new(config: ChatConfig) -> Self {
            let mut stage = Self { chat: Chat::new(config), now: Instant::now(), drawn: 0 };
            for (room, more) in [
                ("locked", r#","password":"right""#),
                ("hidden", r#","password":"right","hidden":true"#),
                ("open", ""),
            ] {
                let payload = format!(r#"{{"username":"host"{more}}}"#);
                assert!(stage.request(HOST, (1, room), &payload, false).is_ok());
            }
            stage
        }

        fn request(
            &mut self,
            peer: impl Into<PeerAddr>,
            (operation, room): (u8, &str),
            payload: &str,
            is_due: bool,
        ) -> Outcome {
            let (room, payload) = (room.as_bytes(), payload.as_bytes());
            let request = request::parse(&Frame { operation, state: 0, room, payload })?;
            self.drawn = self.drawn.wrapping_add(1);
            let (draw, caller) = (|| Some([self.drawn; 16]), Caller::from(peer));
            match is_due {
                true => self.chat.handle_delayed_request(caller, &request, draw, 9999, self.now),
                false => self.chat.handle_request(caller, &request, draw, 9999, self.now),
            }
        }

        fn join(&mut self, peer: impl Into<PeerAddr>, room: &str, password: &str) -> Outcome {
            let payload = format!(r#"{{"username":"eve","password":"{password}"}}"#);
            self.request(peer, (2, room), &payload, false)
        }

        fn join_in_turn(
            &mut self,
            peer: impl Into<PeerAddr>,
            room: &str,
            password: &str,
        ) -> Outcome {
            let payload = format!(r#"{{"username":"eve","password":"{password}"}}"#);
            self.request(peer, (2, room), &payload, true)
        }

        /// Lets many subnets guess until passwords at a room have to wait.
        fn make_slow(&mut self, room: &str) {
            let looked_at = (0..120).map(|number| self.join(v4(number), room, "wrong"));
            assert!(looked_at.into_iter().all(|outcome| matches!(
                outcome,
                Err(Status::WrongPassword | Status::RoomNotFound)
            )));
        }

        fn at(&self, milliseconds: u64) -> Outcome {
            Ok(Reply::Later { at: self.now + Duration::from_millis(milliseconds) })
        }
    }

    fn v4(number: u32) -> PeerAddr {
        Ipv4Addr::from_bits(0x0a00_0000 + number).into()
    }

    /// Returns an address in a /64 of one /48.
    fn v6(number: u16) -> PeerAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into()
    }

    #[test]
    fn a1_a_48_gets_100_guesses_a_minute() {
        let mut stage = Stage::new(ChatConfig::default());
        let mut looked_at = 0;
        for second in 0..60 {
            for number in (0..17_000).skip(second).step_by(60) {
                let outcome = stage.join(v6(number), "locked", "wrong");
                looked_at += u32::from(outcome != Err(Status::RateLimited));
            }
            stage.now += Duration::from_secs(1);
        }
        assert_eq!(looked_at, 100 + 59 * 100 / 60);
        assert!(stage.join(v4(1), "locked", "right").is_ok(), "no single /48 slows a room");
    }

    #[test]
    fn a1_strangers_passwords_wait_in_order() {
        let mut stage = Stage::new(ChatConfig::default());
        stage.make_slow("locked");
        assert_eq!(stage.join(v4(1000), "locked", "right"), stage.at(500));
        assert_eq!(stage.join(v4(1001), "locked", "wrong"), stage.at(1000));
        for place in 3..=8 {
            assert_eq!(stage.join(v4(1002), "locked", "wrong"), stage.at(500 * place));
        }
        assert_eq!(stage.join(v4(1003), "locked", "right"), Err(Status::RateLimited));
        assert!(stage.join(v4(1003), "open", "right").is_ok(), "other rooms are not slow");
        stage.now += Duration::from_millis(500);
        assert!(stage.join_in_turn(v4(1000), "locked", "right").is_ok());
        let wrong = stage.join_in_turn(v4(1001), "locked", "wrong");
        assert_eq!(wrong, Err(Status::WrongPassword));
    }

    #[test]
    fn a1_waiting_passwords_count_at_once() {
        let mut stage = Stage::new(ChatConfig::default());
        stage.make_slow("locked");
        let mut taken = 0;
        for _ in 0..60 {
            let outcome = stage.join(v4(1000), "locked", "wrong");
            taken += usize::from(outcome != Err(Status::RateLimited));
            stage.now += Duration::from_millis(500);
        }
        // Twenty at once and nine in 29.5 s, although none of these requests was carried out.
        assert_eq!(taken, 20 + 9);
    }

    #[test]
    fn a1_members_return_without_delay() {
        let mut stage = Stage::new(ChatConfig::default());
        let (guest, phone) = (v4(2000), v4(2001));
        let Ok(Reply::Entered { token, .. }) = stage.join(guest, "locked", "right") else {
            panic!("no place")
        };
        stage.make_slow("locked");
        let other = r#"{"username":"bob","password":"right"}"#;
        let entered = stage.request(guest, (2, "locked"), other, false);
        assert!(matches!(entered, Ok(Reply::Entered { .. })), "{entered:?}");
        let wire = token.to_wire();
        let token_text = str::from_utf8(&wire).expect("hex");
        let resumed = stage.request(phone, (RESUME, "locked"), token_text, false);
        assert!(matches!(resumed, Ok(Reply::Resumed { .. })), "{resumed:?}");
        let other = r#"{"username":"cy","password":"right"}"#;
        let entered = stage.request(phone, (2, "locked"), other, false);
        assert!(matches!(entered, Ok(Reply::Entered { .. })), "{entered:?}");
    }

    #[test]
    fn a1_hidden_is_as_slow_as_missing() {
        let outcomes = ["hidden", "none"].map(|room| {
            let mut stage = Stage::new(ChatConfig::default());
            let start = stage.now;
            let mut outcomes = Vec::new();
            for number in 0..200 {
                outcomes.push(match stage.join(v4(number), room, "wrong") {
                    Ok(Reply::Later { at }) => Err(at - start),
                    outcome => Ok(outcome),
                });
            }
            stage.now += Duration::from_millis(500);
            outcomes.push(Ok(stage.join_in_turn(v4(120), room, "wrong")));
            outcomes
        });
        assert_eq!(outcomes[0], outcomes[1]);
    }

    #[test]
    fn a12_a_limited_peer_always_gets_10() {
        let peer = v4(1);
        let dead = Token::from_bits([255; 16]).to_wire();
        let dead = str::from_utf8(&dead).expect("hex");
        let right = r#"{"username":"eve","password":"right"}"#;
        for room in ["none", "hidden", "locked", "open"] {
            let mut stage =
                Stage::new(ChatConfig { max_members_ip: Some(3), ..Default::default() });
            for name in ["a", "b", "c"] {
                assert!(stage.request(peer, (2, "open"), name, false).is_ok());
            }
            for (operation, payload) in
                [(1, right), (1, "eve"), (2, right), (2, "eve"), (RESUME, dead)]
            {
                let outcome = stage.request(peer, (operation, room), payload, false);
                assert_eq!(outcome, Err(Status::RateLimited), "{operation} {room}");
            }
            let mut stage = Stage::new(ChatConfig { max_rooms_ip: Some(3), ..Default::default() });
            let outcome = stage.request(HOST, (1, room), right, false);
            assert_eq!(outcome, Err(Status::RateLimited), "create {room}");
            let config = ChatConfig { wrong_passwords: Some(1), ..Default::default() };
            let mut stage = Stage::new(config);
            assert_eq!(stage.join(peer, "x", "wrong"), Err(Status::RoomNotFound));
            assert_eq!(stage.join(peer, room, "right"), Err(Status::RateLimited), "{room}");
        }
    }
}
