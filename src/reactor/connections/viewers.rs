//! The connections on which somebody watches the figures.

use super::Connections;
use crate::ids::ConnId;

impl Connections {
    /// Sends an event to every viewer that has read the last one. The others miss it.
    pub(in crate::reactor) fn send_event(&mut self, event: &[u8]) {
        let viewers = self.slots.iter().filter(|(_, slot)| slot.session.is_viewer());
        let ids: Vec<ConnId> = viewers.map(|(id, _)| id).collect();
        for id in ids {
            let Some(slot) = self.slots.get_mut(id) else { continue };
            if slot.session.connection.unsent() == 0 {
                slot.session.connection.send(event.to_vec());
                self.mark_unflushed(id);
                self.reschedule(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use crate::config::{Budgets, TlsConfig, TlsMode};
    use crate::reactor::tests::start_with;

    #[test]
    fn h2_slow_viewer_misses_events() {
        let tls = TlsConfig { mode: TlsMode::Off, files: None };
        let mut reactor = start_with(tls, Budgets::default());
        let (tcp, _) = reactor.addresses().expect("addresses")[0];
        let mut viewer = TcpStream::connect(tcp).expect("a connection");
        viewer.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        while reactor.context.figures.viewers() == 0 {
            reactor.turn().expect("a turn");
        }
        let event = [&vec![b'x'; 60 << 10][..], b"\n\n"].concat();
        let rounds = 1000;
        for _ in 0..rounds {
            reactor.connections.send_event(&event);
            reactor.flush();
        }
        assert!(
            reactor.connections.buffered <= 2 * event.len(),
            "{}",
            reactor.connections.buffered
        );
        reactor.connections.finish_all(reactor.context.now);
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            viewer.read_to_end(&mut all).map(|_| all)
        });
        while !reactor.connections.is_empty() {
            reactor.turn().expect("a turn");
        }
        let all = reader.join().expect("a thread").expect("an end");
        let got = all.split(|byte| *byte == b'x').filter(|rest| rest.starts_with(b"\n\n")).count();
        assert!((1..rounds / 4).contains(&got), "{got} whole events");
        assert!(all.ends_with(b"x\n\n"), "the last one is whole");
    }
}
