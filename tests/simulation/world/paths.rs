//! Members on other paths than datagrams in the clear.

use std::hash::Hash;
use std::net::SocketAddr;

use reactor_chat::chat::{Chat, DatagramOutcome, Path, PathEnd};
use reactor_chat::protocol::datagram;

use super::World;

/// The keys of requests that ask for a path.
const KEYS: [&str; 5] = [
    r#","seal":true"#,
    r#","seal":true,"ciphers":["chacha20-poly1305"]"#,
    r#","carry":true"#,
    r#","seal":true,"carry":true"#,
    r#","seal":false"#,
];

impl World {
    /// Returns keys that ask for a path, more often for none.
    pub(super) fn path_keys(&mut self) -> &'static str {
        if self.has_paths && self.random.chance(40) { self.random.pick(&KEYS) } else { "" }
    }

    /// Decides whether a request comes inside TLS.
    pub(super) fn is_encrypted(&mut self, payload: &[u8]) -> bool {
        let asks = payload.windows(6).any(|part| part == br#""seal""# || part == br#"carry""#);
        self.has_paths && self.random.chance(if asks { 80 } else { 30 })
    }

    /// Receives what a program has sent, on the path of its member.
    pub fn receive(&mut self, from: SocketAddr, bytes: &[u8]) -> DatagramOutcome {
        let sent = datagram::parse(bytes)
            .and_then(|upstream| Some((self.model.find_token(upstream.token)?, upstream.message)));
        match sent.map(|(whose, message)| (whose, self.model.members[whose].path, message)) {
            Some((whose, Path::Sealed, message)) if !self.random.chance(4) => {
                let at = SocketAddr::new(from.ip().to_canonical(), from.port());
                let at = Some(at).filter(|_| self.random.chance(75));
                self.receive_sealed(whose, at, message)
            }
            Some((whose, Path::Carried { .. }, message)) if !self.random.chance(4) => {
                self.receive_unit(whose, message)
            }
            _ => self.receive_in_clear(from, bytes),
        }
    }

    fn receive_sealed(
        &mut self,
        whose: usize,
        at: Option<SocketAddr>,
        message: &[u8],
    ) -> DatagramOutcome {
        let (id, now) = (self.model.members[whose].id, self.now);
        let outcome = self.hand_in(|chat| chat.handle_sealed(id, at.map(Into::into), message, now));
        self.model.handle_sealed(whose, at, message, outcome, now);
        if let (DatagramOutcome::Accepted(member, _), Some(at)) = (outcome, at) {
            self.network.table.insert(member, at);
        }
        self.forget_withdrawn();
        outcome
    }

    fn receive_unit(&mut self, whose: usize, message: &[u8]) -> DatagramOutcome {
        let (id, now) = (self.model.members[whose].id, self.now);
        let outcome = self.hand_in(|chat| chat.handle_carried(id, message, now));
        self.model.handle_carried(whose, message, outcome, now);
        outcome
    }

    /// Lets the chat handle an input. One that is dropped must change nothing.
    pub(super) fn hand_in(
        &mut self,
        handle: impl FnOnce(&mut Chat) -> DatagramOutcome,
    ) -> DatagramOutcome {
        self.end_closing();
        let state = |chat: &Chat| (chat.census(), chat.has_output(), chat.poll_timeout());
        let before = state(&self.chat);
        let outcome = handle(&mut self.chat);
        format!("{outcome:?}").hash(&mut self.network.history);
        if matches!(outcome, DatagramOutcome::Dropped(_)) {
            assert_eq!(before, state(&self.chat), "a dropped datagram changes nothing");
        }
        outcome
    }

    /// Ends the connection that carries a member.
    pub(super) fn cut(&mut self, index: usize) {
        self.end_closing();
        let id = self.model.members[index].id;
        self.network.table.remove(&id);
        self.chat.handle_path_end(id, self.now);
        self.model.end_path(index, self.now);
    }

    /// Notes that a connection carries the member of a request.
    pub(super) fn open_path(&mut self, index: Option<usize>, peer: SocketAddr) {
        let member = index.map(|index| &self.model.members[index]);
        if let Some(member) = member.filter(|member| member.is_attached()) {
            self.network.table.insert(member.id, peer);
        }
    }

    /// Finishes the connections that the chat needs no more. Their ends end nothing.
    pub(super) fn finish_paths(&mut self) {
        while let Some(PathEnd { member: id, .. }) = self.chat.poll_path_end() {
            self.model.note_path_end(id);
            self.chat.handle_path_end(id, self.now);
            if let Some(index) = self.model.find(id) {
                self.model.disconnect(index, self.now);
            }
        }
        assert!(self.model.path_ends.is_empty(), "a connection that nobody finishes");
    }
}
