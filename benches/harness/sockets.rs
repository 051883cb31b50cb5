//! The cost of one message of 64 bytes over each kind of socket, and of a datagram socket that is full.
//!
//! Both ends are in one thread, so that nobody has to be woken.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self as unix, UnixStream};
use std::process;
use std::time::{Duration, Instant};

use mio::net::UnixDatagram;
use mio::{Events, Interest, Poll, Token};

use super::target::own_cpu_time;

/// Bytes of a message.
const SIZE: usize = 64;

/// Number of messages that wait in the second measurement: fewer than a Unix datagram socket takes.
const WAITING: usize = 10;

/// Number of messages between two looks at the clock.
const ROUND: usize = 1_000;

/// The costs of all kinds of sockets. Each list has a figure of each run.
pub struct Costs {
    pub kinds: Vec<Kind>,
    /// Failed sends in a second of CPU, of a sender that sends again at each writable edge.
    pub spins_per_s: Vec<f64>,
    pub messages: u64,
}

/// One kind of socket. The figures are in microseconds of CPU for a message, sent and received.
pub struct Kind {
    pub name: &'static str,
    pub one_by_one: Vec<f64>,
    /// If [`WAITING`] messages are sent before any is received.
    pub several: Vec<f64>,
}

/// Two ends of one kind.
trait Pair {
    fn send(&mut self, message: &[u8]) -> io::Result<()>;
    /// Receives once, and returns the size.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

struct Stream<T>(T, T);

impl<T: Read + Write> Pair for Stream<T> {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.write_all(message)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.read(buffer)
    }
}

/// Two sockets, and the address of the second.
struct Udp(UdpSocket, UdpSocket, SocketAddr);

impl Pair for Udp {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.send_to(message, self.2).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.recv(buffer)
    }
}

/// Two sockets, and the address of the second.
struct UnixDatagrams(unix::UnixDatagram, unix::UnixDatagram, unix::SocketAddr);

impl Pair for UnixDatagrams {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.send_to_addr(message, &self.2).map(drop)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.recv(buffer)
    }
}

/// Measures all kinds, each `runs` times for this long.
///
/// # Errors
/// If there is no socket to be had, or a call fails.
pub fn measure(seconds: f64, runs: usize) -> io::Result<Costs> {
    let time = Duration::from_secs_f64(seconds);
    let mut pairs: [(&'static str, Box<dyn Pair>); 4] = [
        ("UDP, 127.0.0.1", Box::new(udp()?)),
        ("Unix datagram", Box::new(unix_datagrams()?)),
        ("Unix stream", Box::new(unix_streams()?)),
        ("TCP, 127.0.0.1", Box::new(tcp()?)),
    ];
    let mut kinds = pairs.each_ref().map(|(name, _)| Kind::new(name));
    let (mut spins_per_s, mut messages) = (Vec::new(), 0);
    for _ in 0..runs {
        for ((_, pair), kind) in pairs.iter_mut().zip(&mut kinds) {
            kind.one_by_one.push(exchange(pair.as_mut(), 1, time, &mut messages)?);
            kind.several.push(exchange(pair.as_mut(), WAITING, time, &mut messages)?);
        }
        spins_per_s.push(spin(time)?);
    }
    Ok(Costs { kinds: kinds.into(), spins_per_s, messages })
}

impl Kind {
    fn new(name: &'static str) -> Self {
        Self { name, one_by_one: Vec::new(), several: Vec::new() }
    }
}

fn udp() -> io::Result<Udp> {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let (sender, reader) = (socket()?, socket()?);
    let address = reader.local_addr()?;
    Ok(Udp(sender, reader, address))
}

fn tcp() -> io::Result<Stream<TcpStream>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sender = TcpStream::connect(listener.local_addr()?)?;
    sender.set_nodelay(true)?;
    Ok(Stream(sender, listener.accept()?.0))
}

fn unix_streams() -> io::Result<Stream<UnixStream>> {
    let (sender, reader) = UnixStream::pair()?;
    Ok(Stream(sender, reader))
}

fn unix_datagrams() -> io::Result<UnixDatagrams> {
    let address = name("reader")?;
    let reader = unix::UnixDatagram::bind_addr(&address)?;
    Ok(UnixDatagrams(unix::UnixDatagram::unbound()?, reader, address))
}

/// Returns a name in the abstract namespace, which leaves no file.
fn name(of: &str) -> io::Result<unix::SocketAddr> {
    unix::SocketAddr::from_abstract_name(format!("reactor-chat-bench-{}-{of}", process::id()))
}

/// Sends `waiting` messages and receives them, for `time`. Returns microseconds of CPU a message.
fn exchange(
    pair: &mut dyn Pair,
    waiting: usize,
    time: Duration,
    messages: &mut u64,
) -> io::Result<f64> {
    let mut buffer = [0; SIZE * WAITING];
    let (start, cpu, mut count) = (Instant::now(), own_cpu_time(), 0);
    while start.elapsed() < time {
        for _ in 0..ROUND / waiting {
            for _ in 0..waiting {
                pair.send(&[b'x'; SIZE])?;
            }
            let mut left = waiting * SIZE;
            while left > 0 {
                left -= pair.receive(&mut buffer)?;
            }
            count += waiting;
        }
    }
    *messages += count as u64;
    Ok((own_cpu_time() - cpu).as_secs_f64() * 1e6 / count as f64)
}

/// Fills a reader that sleeps, and then sends again at each writable edge for `time`. Returns the failed
/// sends in a second of CPU.
fn spin(time: Duration) -> io::Result<f64> {
    let address = name("sleeper")?;
    let _reader = unix::UnixDatagram::bind_addr(&address)?;
    let sender = unix::UnixDatagram::unbound()?;
    sender.set_nonblocking(true)?;
    while is_taken(sender.send_to_addr(&[b'x'; SIZE], &address))? {}
    let mut polled = UnixDatagram::from_std(sender.try_clone()?);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    poll.registry().register(&mut polled, Token(0), Interest::WRITABLE)?;
    let (start, cpu, mut count) = (Instant::now(), own_cpu_time(), 0_u64);
    while start.elapsed() < time {
        poll.poll(&mut events, Some(time))?;
        for _ in &events {
            count += u64::from(!is_taken(sender.send_to_addr(&[b'x'; SIZE], &address))?);
        }
    }
    Ok(count as f64 / (own_cpu_time() - cpu).as_secs_f64())
}

/// Returns false for a send that would have blocked.
fn is_taken(outcome: io::Result<usize>) -> io::Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
