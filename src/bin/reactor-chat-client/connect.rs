//! TCP connections to a host that may have many addresses, some of them dead.
//!
//! Connections race as in RFC 8305 (Happy Eyeballs): the addresses are tried in turn, a quarter of
//! a second apart or as soon as one fails, and the first connection wins. A dead address costs that
//! quarter of a second and not a timeout.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::address::ServerAddress;
use crate::explain;
use crate::failure::Failure;
use crate::request_error::{FailedAttempt, PATIENCE};
use crate::resolve::{resolve, resolve_patiently};

/// Delay between two attempts (RFC 8305, section 8, Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Delay between two attempts while some addresses are known to pass no datagrams. The other
/// addresses go first even if they are slower.
const CAREFUL_DELAY: Duration = Duration::from_secs(2);

/// Connects while the user waits. Repeats a name look-up after a temporary failure.
pub(crate) fn connect_tcp(server: &ServerAddress) -> Result<TcpStream, Failure> {
    connect_in_order(server, &interleave(resolve_patiently(server)?), ATTEMPT_DELAY)
}

/// Connects in the background. The `silent` addresses seem to pass no datagrams. They are tried
/// last, the longest silent one first.
pub(crate) fn connect_tcp_around(
    server: &ServerAddress,
    silent: &[SocketAddr],
) -> Result<TcpStream, Failure> {
    let rank = |address: &SocketAddr| silent.iter().position(|of| of.ip() == address.ip());
    let addresses = resolve(server).map_err(|why| explain::failed_lookup(server, &why))?;
    let mut addresses = interleave(addresses);
    addresses.sort_by_key(|address| rank(address).map_or(0, |at| at + 1));
    let delay = if silent.is_empty() { ATTEMPT_DELAY } else { CAREFUL_DELAY };
    connect_in_order(server, &addresses, delay)
}

fn connect_in_order(
    server: &ServerAddress,
    addresses: &[SocketAddr],
    delay: Duration,
) -> Result<TcpStream, Failure> {
    let place = addresses.first().copied();
    let broken = |error| Vec::from_iter(place.map(|place| (place, error)));
    race(addresses, delay)
        .and_then(|stream| prepare(&stream).map(|()| stream).map_err(broken))
        .map_err(|attempts| explain::failed_connection(server, &attempts))
}

/// Makes calls block, with a timeout for writes.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    // Carried messages that are ready leave in one write. The next ones must not wait for its
    // acknowledgement (RFC 896).
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// Alternates between the two address families, beginning with the system's first choice (RFC 8305,
/// section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_ipv4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == is_first_ipv4);
    let mut turns = [VecDeque::from(first), VecDeque::from(second)];
    let mut ordered = Vec::new();
    while turns.iter().any(|turn| !turn.is_empty()) {
        ordered.extend(turns.iter_mut().filter_map(VecDeque::pop_front));
    }
    ordered
}

/// Returns the first connection that succeeds, or the errors of all attempts.
fn race(addresses: &[SocketAddr], delay: Duration) -> Result<TcpStream, Vec<FailedAttempt>> {
    let mut race = match ConnectRace::new(addresses) {
        Ok(race) => race,
        Err(error) => {
            return Err(addresses.first().map(|first| (*first, error)).into_iter().collect());
        }
    };
    let deadline = Instant::now() + PATIENCE;
    let mut next_at = Instant::now();
    while !race.is_lost() {
        let now = Instant::now();
        if now >= deadline {
            race.give_up();
            break;
        }
        if now >= next_at || race.running.iter().all(Option::is_none) {
            race.start_next();
            next_at = Instant::now() + delay;
        }
        if let Some(stream) = race.wait(next_at.min(deadline)) {
            return Ok(stream);
        }
    }
    Err(race.failed)
}

/// The connection attempts in progress.
struct ConnectRace {
    poll: Poll,
    events: Events,
    waiting: VecDeque<SocketAddr>,
    /// Indexed by event token.
    running: Vec<Option<(SocketAddr, mio::net::TcpStream)>>,
    failed: Vec<FailedAttempt>,
}

impl ConnectRace {
    fn new(addresses: &[SocketAddr]) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(addresses.len().max(1)),
            waiting: addresses.iter().copied().collect(),
            running: Vec::new(),
            failed: Vec::new(),
        })
    }

    fn is_lost(&self) -> bool {
        self.waiting.is_empty() && self.running.iter().all(Option::is_none)
    }

    fn start_next(&mut self) {
        let Some(address) = self.waiting.pop_front() else { return };
        let token = Token(self.running.len());
        let started = mio::net::TcpStream::connect(address).and_then(|mut stream| {
            self.poll.registry().register(&mut stream, token, Interest::WRITABLE)?;
            Ok(stream)
        });
        match started {
            Ok(stream) => self.running.push(Some((address, stream))),
            Err(error) => self.failed.push((address, error)),
        }
    }

    /// Waits for an event of any attempt. Returns the connection if an attempt has succeeded.
    fn wait(&mut self, until: Instant) -> Option<TcpStream> {
        let is_idle = self.running.iter().all(Option::is_none);
        let timeout = match is_idle {
            true => Duration::ZERO,
            false => until.saturating_duration_since(Instant::now()),
        };
        if self.poll.poll(&mut self.events, Some(timeout)).is_err() {
            // A signal handler ran (signal(7)).
            self.events.clear();
        }
        let tokens: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        tokens.into_iter().find_map(|token| self.finish(token))
    }

    /// Handles an event of one attempt. Returns its connection if it has succeeded.
    fn finish(&mut self, token: usize) -> Option<TcpStream> {
        let (address, stream) = self.running.get_mut(token)?.take()?;
        let failure = stream.take_error().unwrap_or_else(Some);
        match failure.map_or_else(|| stream.peer_addr(), Err) {
            Ok(_) => return Some(stream.into()),
            // The event came too early. The attempt goes on.
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.running[token] = Some((address, stream));
            }
            Err(error) => self.failed.push((address, error)),
        }
        None
    }

    fn give_up(&mut self) {
        let running = self.running.drain(..).flatten().map(|(address, _)| address);
        let late = running.chain(self.waiting.drain(..));
        self.failed.extend(late.map(|address| (address, ErrorKind::TimedOut.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::TcpListener;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Returns a bound socket, whose port nobody else can get, that does not listen.
    fn refusing() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&address("127.0.0.1:0").into()).expect("a free port");
        let at = socket.local_addr().ok().and_then(|at| at.as_socket()).expect("an address");
        (socket, at)
    }

    /// Returns a listener whose queue is full: like a dead host, it answers no further connection.
    fn silent() -> (Socket, Vec<mio::net::TcpStream>, SocketAddr) {
        let (socket, at) = refusing();
        socket.listen(0).expect("a listener");
        let connect = |_| mio::net::TcpStream::connect(at).expect("a socket");
        (socket, (0..8).map(connect).collect(), at)
    }

    #[test]
    fn field_e_families_take_turns() {
        let [a, b, c] = ["[::1]:1", "[::2]:1", "[::3]:1"].map(address);
        let [x, y] = ["127.0.0.1:1", "127.0.0.2:1"].map(address);
        assert_eq!(interleave(vec![a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(interleave(vec![x, y, a]), [x, a, y]);
        assert_eq!(interleave(Vec::new()), []);
    }

    #[test]
    fn field_e_dead_address_costs_250_ms() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let live = listener.local_addr().expect("an address");
        let (_socket, _queue, dead) = silent();
        let start = Instant::now();
        let stream = race(&[dead, live], ATTEMPT_DELAY).expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), live);
        assert!(start.elapsed() >= ATTEMPT_DELAY, "{:?}", start.elapsed());
        assert!(start.elapsed() < PATIENCE / 4, "{:?}", start.elapsed());
    }

    #[test]
    fn field_e_all_errors_are_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let live = listener.local_addr().expect("an address");
        let ((_one, first), (_other, second)) = (refusing(), refusing());
        let forever = PATIENCE;
        let stream = race(&[first, second, live], forever).expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), live);
        let attempts = race(&[first, second], forever).expect_err("no listener");
        let told: Vec<_> = attempts.iter().map(|(at, why)| (*at, why.kind())).collect();
        assert_eq!(told, [first, second].map(|at| (at, ErrorKind::ConnectionRefused)));
        assert!(race(&[], forever).is_err_and(|attempts| attempts.is_empty()));
    }
}
