//! Single turns of the loop.

use super::waiting::{LONGEST_WAIT, time_until};
use super::*;
use std::net::UdpSocket;
use std::time::Duration;

use crate::config::{
    Bind, Budgets, ChatConfig, ConnectionConfig, DatagramPath, TlsConfig, TlsMode, UNIX_MODE,
    WebConfig,
};

/// Starts a server with this time slice.
fn start(slice: Duration) -> Reactor {
    let tls = TlsConfig { mode: TlsMode::Off, files: None };
    start_with(tls, Budgets { slice, ..Budgets::default() })
}

/// Starts a server on free ports of loopback.
pub(super) fn start_with(tls: TlsConfig, budgets: Budgets) -> Reactor {
    let config = Config { tls, budgets, ..config() };
    Reactor::bind(config, ServiceManager::default()).expect("free ports")
}

/// Returns the settings of a server on free ports of loopback.
pub(super) fn config() -> Config {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        bind: vec![Bind { name: "loopback".into(), addresses: vec![loopback] }],
        unix: Vec::new(),
        unix_mode: UNIX_MODE,
        tcp_port: 0,
        udp_port: 0,
        chat: ChatConfig::default(),
        connections: ConnectionConfig::default(),
        tls: TlsConfig::default(),
        web: WebConfig::default(),
        budgets: Budgets::default(),
        datagram_path: DatagramPath::default(),
    }
}

#[test]
fn a4_turn_ends_reading_with_its_slice() {
    const COUNT: usize = 300;
    let portion = Budgets::default().datagrams;
    for (slice, expected) in [(LONGEST_WAIT, COUNT), (Duration::ZERO, portion)] {
        let mut reactor = start(slice);
        let (_, server) = reactor.addresses().expect("addresses")[0];
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        for _ in 0..COUNT {
            socket.send_to(b"junk", server).expect("sent");
        }
        reactor.turn().expect("a turn");
        assert_eq!(reactor.context.metrics.get(Counter::Datagrams), expected as u64);
        assert_eq!(reactor.has_work(), expected < COUNT, "the rest is for the next turn");
    }
}

#[test]
fn l16_wait_rounds_up_without_overflow() {
    let now = Instant::now();
    let wait = |ahead| time_until(now + ahead, now);
    assert_eq!(wait(Duration::ZERO), Duration::ZERO);
    assert_eq!(wait(Duration::from_nanos(1)), Duration::from_millis(1));
    assert_eq!(wait(Duration::from_micros(1_001)), Duration::from_millis(2));
    assert_eq!(wait(Duration::from_secs(1)), Duration::from_secs(1));
    assert_eq!(wait(Duration::from_secs(60 * 60 * 24 * 365 * 50)), LONGEST_WAIT);
    assert_eq!(time_until(now, now + Duration::from_secs(1)), Duration::ZERO);
}
