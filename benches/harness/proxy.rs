//! A network between members and server that loses datagrams, in threads of its own.
//!
//! All members send to one socket of the proxy, and it sends to the server from one socket for each
//! member, so that the server learns a different address of each. It loses the same datagrams in every
//! run. TCP does not pass through it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use reactor_chat::sys::{self, BATCH, ReceiveBatch};

use super::relay::SOCKET_BUFFER;
use super::scenario::scatter;

/// Threads that forward datagrams. One would be slower than the server.
const THREADS: usize = 2;

/// Longer than any datagram here: these sockets have no UDP_GRO.
const MAX_DATAGRAM: usize = 4_096;

const FRONT: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);

/// Runs until it is dropped.
pub struct Proxy {
    /// Members send to this address.
    pub address: SocketAddr,
    way: Arc<Way>,
    wakers: Vec<Waker>,
    carriers: Vec<JoinHandle<io::Result<()>>>,
}

/// State that the threads share.
struct Way {
    members: Vec<SocketAddr>,
    places: HashMap<SocketAddr, usize>,
    /// Members send to this socket.
    front: UdpSocket,
    /// By member: the socket that sends to the server.
    backs: Vec<UdpSocket>,
    /// Percentage of datagrams that are lost.
    percent: AtomicU64,
    /// Datagrams to members and to the server, including those that were lost here.
    down: AtomicU64,
    up: AtomicU64,
    is_over: AtomicBool,
}

impl Proxy {
    /// Starts a proxy on the address `ip` between a server and members. It loses nothing yet.
    ///
    /// # Errors
    /// If there are no sockets to be had.
    pub fn start(server: SocketAddr, ip: IpAddr, members: Vec<SocketAddr>) -> io::Result<Self> {
        let polls = (0..THREADS).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let listen = |thread: usize, token| {
            let mut socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
            sys::request_buffers(socket.as_fd(), SOCKET_BUFFER);
            polls[thread].registry().register(&mut socket, token, Interest::READABLE)?;
            io::Result::Ok(socket)
        };
        let front = listen(0, FRONT)?;
        let back = |member| {
            let socket = listen(member % THREADS, Token(member))?;
            socket.connect(server)?;
            io::Result::Ok(socket)
        };
        let backs = (0..members.len()).map(back).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(|poll| Waker::new(poll.registry(), WAKE));
        let wakers = wakers.collect::<io::Result<Vec<_>>>()?;
        let address = front.local_addr()?;
        let way = Arc::new(Way {
            places: members.iter().copied().zip(0..).collect(),
            members,
            front,
            backs,
            percent: AtomicU64::new(0),
            down: AtomicU64::new(0),
            up: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let carry = |(thread, poll)| {
            let way = way.clone();
            thread::spawn(move || way.carry(poll, thread as u64))
        };
        let carriers = (0..).zip(polls).map(carry).collect();
        Ok(Self { address, way, wakers, carriers })
    }

    /// Loses `percent` of all datagrams from now on, in each direction.
    pub fn lose(&self, percent: u8) {
        self.way.percent.store(percent.into(), Relaxed);
    }

    /// Returns the number of datagrams to members and to the server, including lost ones.
    pub fn counts(&self) -> (u64, u64) {
        (self.way.down.load(Relaxed), self.way.up.load(Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.way.is_over.store(true, Relaxed);
        for waker in &self.wakers {
            // A thread that can't be woken ends with the program.
            let _ = waker.wake();
        }
        for carrier in self.carriers.drain(..) {
            // An error on the way lost datagrams, which is the proxy's purpose.
            let _ = carrier.join();
        }
    }
}

impl Way {
    fn carry(&self, mut poll: Poll, seed: u64) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut batch = ReceiveBatch::new(MAX_DATAGRAM);
        let mut luck = Luck { drawn: seed << 32 };
        while !self.is_over.load(Relaxed) {
            poll.poll(&mut events, None)?;
            for event in &events {
                match event.token() {
                    WAKE => {}
                    FRONT => self.carry_up(&mut batch, &mut luck),
                    Token(member) => self.carry_down(&mut batch, &mut luck, member),
                }
            }
        }
        Ok(())
    }

    /// Forwards datagrams from members to the server.
    fn carry_up(&self, batch: &mut ReceiveBatch, luck: &mut Luck) {
        let percent = self.percent.load(Relaxed);
        each_batch(batch, &self.front, |batch, count| {
            self.up.fetch_add(count, Relaxed);
            for arrival in batch.arrivals() {
                let Some(place) = self.places.get(&arrival.remote) else { continue };
                if !luck.is_lost(percent) {
                    // A datagram that can't be sent is lost.
                    let _ = self.backs[*place].send(arrival.bytes);
                }
            }
        });
    }

    /// Forwards datagrams from the server to a member.
    fn carry_down(&self, batch: &mut ReceiveBatch, luck: &mut Luck, member: usize) {
        let percent = self.percent.load(Relaxed);
        each_batch(batch, &self.backs[member], |batch, count| {
            self.down.fetch_add(count, Relaxed);
            for arrival in batch.arrivals().filter(|_| !luck.is_lost(percent)) {
                // As above.
                let _ = self.front.send_to(arrival.bytes, self.members[member]);
            }
        });
    }
}

/// Reads a socket until it is empty, which a batch that is not full says.
fn each_batch(
    batch: &mut ReceiveBatch,
    socket: &UdpSocket,
    mut carry: impl FnMut(&ReceiveBatch, u64),
) {
    loop {
        let count = batch.receive(socket.as_fd(), BATCH).unwrap_or(0);
        carry(batch, count as u64);
        if count < BATCH {
            return;
        }
    }
}

/// Selects the datagrams that are lost: the same ones in every run.
struct Luck {
    drawn: u64,
}

impl Luck {
    fn is_lost(&mut self, percent: u64) -> bool {
        self.drawn += 1;
        scatter(self.drawn) % 100 < percent
    }
}
