//! The UDP socket that carries datagrams to and from the server.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Registry};

use super::wrapping::{Unwrapped, Wrapping};
use super::{ReceiveOutcome, retry};
use reactor_chat::protocol::datagram::MAX_UPSTREAM;
use reactor_chat::seal::OVERHEAD;
use reactor_chat::sys::{self, MAX_ARRIVAL, ReceiveBatch};

/// Time without a datagram after which a sealed membership looks for another route, and the least
/// time between two looks. One costs four system calls.
const ROUTE_PATIENCE: Duration = Duration::from_secs(1);

/// The UDP socket, and at most one datagram that waits to be sent.
pub(super) struct UdpLink {
    socket: UdpSocket,
    pub(super) server: SocketAddr,
    registry: Registry,
    event: mio::Token,
    wrapping: Wrapping,
    /// The last datagram that was sent, or the one that waits.
    datagram: Vec<u8>,
    /// The datagrams that were received last.
    batch: ReceiveBatch,
    is_waiting: bool,
    is_readable: bool,
    is_writable: bool,
    is_refused: bool,
    /// Time of the last datagram for us.
    received_at: Instant,
    /// Time of the last look for another route.
    looked_at: Instant,
    has_moved: bool,
    unopened: u64,
}

impl UdpLink {
    /// Connects the socket. A connected socket accepts datagrams from the server only, and reports
    /// if no server listens any more.
    pub(super) fn open(
        (registry, event): (&Registry, mio::Token),
        socket: std::net::UdpSocket,
        server: SocketAddr,
        wrapping: Wrapping,
        now: Instant,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: connected(socket, server, registry, event)?,
            server,
            registry: registry.try_clone()?,
            event,
            wrapping,
            datagram: Vec::with_capacity(MAX_UPSTREAM + OVERHEAD),
            batch: ReceiveBatch::with_count(MAX_ARRIVAL, 1),
            is_waiting: false,
            is_readable: false,
            is_writable: true,
            is_refused: false,
            received_at: now,
            looked_at: now,
            has_moved: false,
            unopened: 0,
        })
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.wrapping.is_sealed()
    }

    /// Returns true if no datagram waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_waiting
    }

    pub(super) fn is_readable(&self) -> bool {
        self.is_readable
    }

    pub(super) fn has_work(&self) -> bool {
        self.is_readable || (self.is_writable && self.is_waiting)
    }

    /// Returns true if nothing listens at the server's address (ICMP port unreachable, udp(7)). The
    /// kernel reports that ahead of the datagrams in the socket, and one of those may be the notice
    /// that explains it. So this is false until all of them are read.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused && !self.is_readable
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        // The next call on the socket returns the error.
        self.is_readable |= event.is_readable() || event.is_error();
        self.is_writable |= event.is_writable();
    }

    /// Receives the datagrams that the kernel has coalesced, and passes each to `handle`.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        mut handle: impl FnMut(&[u8]),
    ) -> ReceiveOutcome {
        while self.is_readable {
            let Self { socket, batch, .. } = self;
            match retry(|| socket.try_io(|| batch.receive(socket.as_fd(), 1))) {
                Ok(_) => return ReceiveOutcome::Received(self.unwrap_batch(now, &mut handle)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => self.is_readable = false,
                    ErrorKind::ConnectionRefused => self.is_refused = true,
                    _ if self.wrapping.is_sealed() => {
                        // A network that ends is reported here. Another one may be there.
                        self.is_readable = false;
                        self.change_route(now);
                    }
                    _ => {
                        self.is_readable = false;
                        return ReceiveOutcome::Failed(error);
                    }
                },
            }
        }
        ReceiveOutcome::Drained
    }

    /// Handles the received datagrams. Returns their number.
    fn unwrap_batch(&mut self, now: Instant, handle: &mut impl FnMut(&[u8])) -> usize {
        let Self { batch, wrapping, .. } = self;
        let mut count = 0;
        let mut challenge = None;
        for datagram in batch.arrivals().flat_map(|arrival| arrival.datagrams()) {
            count += 1;
            match wrapping.unwrap(datagram) {
                Unwrapped::Message(message) => {
                    self.received_at = now;
                    handle(message);
                }
                Unwrapped::Challenge(value) => challenge = Some(value),
                Unwrapped::Ignored => {}
                Unwrapped::Unopened => self.unopened += 1,
            }
        }
        if let Some(answer) = challenge.and_then(|value| wrapping.answer(value)) {
            // If the answer is lost, the server asks again.
            let _ = retry(|| self.socket.send(&answer));
        }
        count
    }

    /// Sends a message, now or when the socket is writable. No other datagram may be waiting.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(super) fn send(&mut self, message: &[u8], now: Instant) -> io::Result<()> {
        self.wrapping.wrap(message, &mut self.datagram)?;
        self.is_waiting = true;
        self.flush(now)
    }

    /// Sends the waiting datagram if the socket is writable.
    ///
    /// # Errors
    /// The error of a datagram that was dropped.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<()> {
        if !self.is_waiting || !self.is_writable {
            return Ok(());
        }
        let mut sent = retry(|| self.socket.send(&self.datagram));
        if is_lost_route(&sent) && self.wrapping.is_sealed() && self.change_route(now) {
            sent = retry(|| self.socket.send(&self.datagram));
        }
        match sent {
            Ok(_) => self.is_waiting = false,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => self.is_writable = false,
                ErrorKind::ConnectionRefused => {
                    // An earlier datagram caused this error. This one waits for the next turn, and
                    // receiving goes on until the socket is empty.
                    (self.is_refused, self.is_readable) = (true, true);
                }
                _ => {
                    self.is_waiting = false;
                    return Err(error);
                }
            },
        }
        Ok(())
    }

    /// Moves a sealed membership to the address from which the server is reached now, after a time
    /// without datagrams: the machine may have changed networks (E10).
    pub(super) fn follow_route(&mut self, now: Instant) {
        let last = self.received_at.max(self.looked_at);
        if self.wrapping.is_sealed() && last + ROUTE_PATIENCE <= now {
            self.change_route(now);
        }
    }

    /// Replaces the socket if the route to the server begins at another local address. Returns true
    /// if it did.
    fn change_route(&mut self, now: Instant) -> bool {
        self.looked_at = now;
        // Without a route there is no better socket.
        let Ok(Some(socket)) = self.socket_of_route() else { return false };
        self.socket = socket;
        (self.is_readable, self.is_writable, self.is_refused) = (false, true, false);
        self.has_moved = true;
        true
    }

    /// Returns a socket at the local address that the kernel chooses now, if it is another one.
    fn socket_of_route(&self) -> io::Result<Option<UdpSocket>> {
        let any = match self.server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = std::net::UdpSocket::bind(any)?;
        socket.connect(self.server)?;
        if socket.local_addr()?.ip() == self.socket.local_addr()?.ip() {
            return Ok(None);
        }
        connected(socket, self.server, &self.registry, self.event).map(Some)
    }

    /// Returns true if the socket was replaced since the last call.
    pub(super) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    pub(super) fn take_unopened(&mut self) -> u64 {
        std::mem::take(&mut self.unopened)
    }
}

/// Returns true if the local address or the way from it is gone, with every error that says so. IPv4
/// reports an address that the machine does not have any more as an invalid argument (ip(7)).
fn is_lost_route(sent: &io::Result<usize>) -> bool {
    sent.as_ref().is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkDown
                | ErrorKind::AddrNotAvailable
                | ErrorKind::InvalidInput
        )
    })
}

/// Connects and registers a socket, with the options of a membership.
fn connected(
    socket: std::net::UdpSocket,
    server: SocketAddr,
    registry: &Registry,
    event: mio::Token,
) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    let mut socket = UdpSocket::from_std(socket);
    prepare(&socket, server)?;
    registry.register(&mut socket, event, Interest::READABLE | Interest::WRITABLE)?;
    Ok(socket)
}

fn prepare(socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    if server.is_ipv4() {
        // IPv6 routers never fragment, whatever a socket asks for.
        sys::let_routers_fragment(socket.as_fd())?;
    }
    // The server sends bursts. Received one by one, their datagrams cost more and overflow the
    // socket sooner. Kernels before 5.0 lack the option.
    let _ = sys::enable_gro(socket.as_fd());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::{Cipher, SealTerms, Secret, Token};
    use reactor_chat::seal::{CONTROL, Control, Sealer, ServerOpener};
    use reactor_chat::sys::{Address, Outgoing, SendBatch};
    use std::net::UdpSocket as Socket;

    const DEADLINE: Duration = Duration::from_secs(10);

    const TERMS: SealTerms = SealTerms {
        id: 7,
        cipher: Cipher::Aes128Gcm,
        up: Secret::from_bits([1; 32]),
        down: Secret::from_bits([2; 32]),
    };

    /// A link, its poll, and a server at the other end.
    struct Bench {
        link: UdpLink,
        server: Socket,
        poll: mio::Poll,
        start: Instant,
    }

    impl Bench {
        /// Opens a link from one loopback address to another.
        fn new(local: &str, loopback: &str, wrapping: Wrapping) -> Self {
            let poll = mio::Poll::new().expect("a poll");
            let server = Socket::bind((loopback, 0)).expect("a free port");
            server.set_read_timeout(Some(DEADLINE)).expect("a timeout");
            let socket = Socket::bind((local, 0)).expect("a free port");
            let at = server.local_addr().expect("an address");
            let place = (poll.registry(), mio::Token(0));
            let start = Instant::now();
            let link = UdpLink::open(place, socket, at, wrapping, start).expect("a link");
            Self { link, server, poll, start }
        }

        fn at(&self) -> SocketAddr {
            self.link.socket.local_addr().expect("an address")
        }

        /// Waits for datagrams, and returns those that were passed on.
        fn received(&mut self) -> Vec<Vec<u8>> {
            let mut events = mio::Events::with_capacity(4);
            let mut received = Vec::new();
            while !events.iter().any(|event| event.is_readable()) {
                self.poll.poll(&mut events, Some(DEADLINE)).expect("an event");
                assert!(!events.is_empty(), "nothing came");
            }
            events.iter().for_each(|event| self.link.note_event(event));
            let handle = |message: &[u8]| received.push(message.to_vec());
            let outcome = self.link.receive(self.start, handle);
            assert!(matches!(outcome, ReceiveOutcome::Received(_)));
            received
        }

        fn server_receives(&self) -> (Vec<u8>, SocketAddr) {
            let mut buffer = [0; 5000];
            let (size, from) = self.server.recv_from(&mut buffer).expect("a datagram");
            (buffer[..size].to_vec(), from)
        }
    }

    fn clear() -> Wrapping {
        Wrapping::clear("r", &Token::from_bits([7; 16]).into())
    }

    #[test]
    fn field_p2_gro_datagrams_are_split() {
        for loopback in ["127.0.0.1", "::1"] {
            let mut bench = Bench::new(loopback, loopback, clear());
            let to = Address::from(bench.at());
            let message = Outgoing { to: &to, local: None, pieces: &[(0, 5)], segment: Some(2) };
            let sent = SendBatch::new().send(bench.server.as_fd(), b"aabbc", [message].into_iter());
            assert_eq!(sent.expect("sent"), 1);
            assert_eq!(bench.received(), [&b"aa"[..], b"bb", b"c"]);
            let outcome = bench.link.receive(bench.start, |_| panic!("once"));
            assert!(matches!(outcome, ReceiveOutcome::Drained));
        }
    }

    #[test]
    fn e9_sealed_link_drops_clear_datagrams() {
        let mut bench = Bench::new("127.0.0.1", "127.0.0.1", Wrapping::sealed(&TERMS));
        bench.server.send_to(b"ann: hi", bench.at()).expect("sent");
        assert!(bench.received().is_empty());
        let mut datagram = Vec::new();
        let mut sealer = Sealer::new(TERMS.id, TERMS.cipher, TERMS.down);
        sealer.seal(0, b"ann: hi", &mut datagram).expect("sealed");
        bench.server.send_to(&datagram, bench.at()).expect("sent");
        assert_eq!(bench.received(), [b"ann: hi"]);
        assert_eq!((bench.link.take_unopened(), bench.link.take_unopened()), (1, 0));
    }

    #[test]
    fn e10_sealed_link_follows_route() {
        // The kernel reaches 127.0.0.1 from 127.0.0.1. So 127.0.0.2 is the address of a network that
        // the machine has left.
        let mut bench = Bench::new("127.0.0.2", "127.0.0.1", Wrapping::sealed(&TERMS));
        let old = bench.at();
        bench.link.send(b"hi", bench.start).expect("sent");
        assert_eq!(bench.server_receives().1, old);
        let late = bench.start + ROUTE_PATIENCE;
        bench.link.follow_route(late - Duration::from_millis(1));
        assert!(!bench.link.take_moved(), "a datagram came a moment ago");
        bench.link.follow_route(late);
        assert!(bench.link.take_moved() && !bench.link.take_moved());
        bench.link.send(b"hi", late).expect("sent");
        let (datagram, new) = bench.server_receives();
        assert_eq!(new.ip().to_string(), "127.0.0.1");

        let mut opener = ServerOpener::new(TERMS.id, TERMS.cipher, TERMS.up);
        let mut plaintext = Vec::new();
        assert_eq!(opener.open(&datagram, &mut plaintext).map(|opened| opened.number), Ok(1));
        let (mut asked, challenge) = (Vec::new(), Control::Challenge(*b"12345678").encode());
        let mut sealer = Sealer::new(TERMS.id, TERMS.cipher, TERMS.down);
        sealer.seal(CONTROL, &challenge, &mut asked).expect("sealed");
        bench.server.send_to(&asked, new).expect("sent");
        assert!(bench.received().is_empty(), "the user sees nothing of it");
        let (answer, from) = bench.server_receives();
        assert!(opener.open(&answer, &mut plaintext).is_ok_and(|opened| opened.is_control()));
        let expected = Some(Control::Answer(*b"12345678"));
        assert_eq!((Control::parse(&plaintext), from), (expected, new));
    }

    #[test]
    fn w18_clear_link_keeps_its_address() {
        let mut bench = Bench::new("127.0.0.2", "127.0.0.1", clear());
        let old = bench.at();
        bench.link.follow_route(bench.start + DEADLINE);
        assert!(!bench.link.take_moved());
        assert_eq!(bench.at(), old);
    }
}
