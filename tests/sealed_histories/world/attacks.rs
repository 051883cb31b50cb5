//! Attacks, and the effects that they may have.

use reactor_chat::protocol::Token;

use super::*;

impl World {
    pub(super) fn attack(&mut self) {
        let sealed = self.clients.iter().flatten().filter(|client| client.is_sealed());
        let tokens: Vec<Token> = sealed.map(|client| client.token).collect();
        let Some(attack) = self.attacker.attack(&tokens, &mut self.random) else { return };
        match attack.direction {
            Direction::Up => self.attack_server(&attack),
            Direction::Down => self.attack_client(&attack),
        }
    }

    /// Sends a datagram of the attacker to the server, where only a copy of one that has not arrived has
    /// an effect: that of the original.
    pub(super) fn attack_server(&mut self, attack: &Attack) {
        let Attack { at, bytes, is_copy, .. } = attack;
        let is_new = *is_copy && self.watcher.is_new(Direction::Up, bytes);
        let what = match is_new {
            true => "attack with a genuine datagram",
            false if bytes.first() != Some(&0) => "attack in the clear",
            false => "attack on the server",
        };
        if self.is_of_clear_client(*at, bytes) {
            // Nothing protects it.
            return;
        }
        self.tally.note(what);
        self.arrive(*at, bytes, |verdict, challenges| match verdict {
            Verdict::Opened { proves, .. } => assert!(is_new && !(proves && attacker::is_own(*at))),
            Verdict::Rejected(_) | Verdict::Dropped => assert_eq!(challenges, 0),
            Verdict::Clear(_) => panic!("in the clear"),
        });
    }

    fn is_of_clear_client(&self, at: SocketAddr, bytes: &[u8]) -> bool {
        let mut in_clear = self.clients.iter().flatten().filter(|client| !client.is_sealed());
        bytes.first() != Some(&0) && in_clear.any(|client| client.address.ip() == at.ip())
    }

    fn attack_client(&mut self, attack: &Attack) {
        let Attack { at, bytes, is_copy, .. } = attack;
        let (now, is_new) = (self.now(), *is_copy && self.watcher.is_new(Direction::Down, bytes));
        let mut sealed = self.clients.iter_mut().flatten().filter(|client| client.is_sealed());
        if let Some(client) = sealed.find(|client| client.address == *at) {
            self.tally.note("attack on a client");
            let is_taken = client.receive(bytes, &mut self.watcher, now);
            assert!(!is_taken || is_new, "a client takes what the server did not send");
        }
    }
}
