//! Members behind a network that loses packets.

use std::time::{Duration, Instant};

use reactor_chat::protocol::stream::Completion;

use crate::support::proxy::Proxy;
use crate::support::quic::{Browser, QuicMember};
use crate::support::stream_member::{StreamMember, assert_promises};
use crate::support::{DEADLINE, Server};

const MESSAGES: usize = 100;

/// A member on the wire, with the library's sender and receiver.
struct Talker {
    wire: QuicMember,
    stream: StreamMember,
    units: usize,
}

impl Talker {
    fn enter(network: &Proxy, operation: &str, name: &str) -> Self {
        let wire = QuicMember::enter(Browser::open(network.address), operation, name, "");
        let completion: Completion =
            serde_json::from_value(wire.reply.clone()).expect("a completion");
        let stream = StreamMember::new(&completion, "room", Instant::now());
        Self { wire, stream, units: 0 }
    }

    fn step(&mut self) {
        let (now, Self { wire, stream, units }) = (Instant::now(), self);
        for body in stream.bodies(now) {
            if !wire.browser.link.send_datagram(&body) {
                wire.browser.link.write_unit(wire.stream, &body);
            }
        }
        wire.browser.step(Duration::from_millis(1));
        let now = Instant::now();
        while let Some(body) = wire.browser.link.datagrams.pop_front() {
            stream.receive(&body, now);
        }
        while let Some(body) = wire.browser.link.take_unit(wire.stream) {
            *units += 1;
            stream.receive(&body, now);
        }
        stream.handle_timeout(now);
    }

    fn is_done(&self) -> bool {
        self.stream.sender.open() == 0 && self.stream.receiver.is_complete()
    }
}

#[test]
fn h6_loss_is_repaired_in_order() {
    let server = Server::start(&[]);
    let network = Proxy::start(server.udp, 5, 16);
    let mut talkers = [
        Talker::enter(&network, "create", "ann"),
        Talker::enter(&network, "join", "bob"),
        Talker::enter(&network, "join", "cat"),
    ];
    for (number, talker) in talkers.iter_mut().enumerate() {
        (0..MESSAGES).for_each(|line| talker.stream.say(format!("{number}: {line}")));
    }
    let end = Instant::now() + 6 * DEADLINE;
    let mut quiet = 0;
    while quiet < 100 {
        talkers.iter_mut().for_each(Talker::step);
        quiet = if talkers.iter().all(Talker::is_done) { quiet + 1 } else { 0 };
        assert!(Instant::now() < end, "not everything has arrived");
    }
    let members: Vec<&StreamMember> = talkers.iter().map(|talker| &talker.stream).collect();
    let said = assert_promises(&members, "5 % loss");
    assert_eq!(said.len(), talkers.len() * MESSAGES);
    for number in 0..talkers.len() {
        let prefix = format!("{number}: ");
        let lines: Vec<_> = said.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (0..MESSAGES).map(|line| line.to_string()).collect();
        assert_eq!(lines, expected, "in the order of their sender");
    }
    assert!(talkers.iter().all(|talker| talker.units == 0), "datagrams only");
    assert!(talkers.iter().all(|talker| talker.stream.gone == 0));
}
