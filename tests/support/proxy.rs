//! A network between client and server that loses datagrams, by chance or all of them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

const FRONT: Token = Token(0);
const STOP: Token = Token(usize::MAX);

/// A proxy in a thread of its own, until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    record: Arc<Mutex<Vec<u8>>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Forwards datagrams to this server and back, and loses a percentage of them each way, always
    /// the same ones for one seed and order of arrival.
    pub fn start(server: SocketAddr, percent: u64, seed: u64) -> Self {
        let poll = Poll::new().expect("a poll");
        let mut front = bind();
        let address = front.local_addr().expect("an address");
        let waker = Waker::new(poll.registry(), STOP).expect("a waker");
        let is_cut = Arc::new(AtomicBool::new(false));
        let record = Arc::<Mutex<_>>::default();
        register(poll.registry(), &mut front, FRONT);
        let mut network = Network {
            server,
            poll,
            front,
            clients: Vec::new(),
            places: HashMap::new(),
            is_cut: Arc::clone(&is_cut),
            record: Arc::clone(&record),
            percent,
            // Xorshift never leaves 0.
            random: seed | 1,
        };
        let thread = Some(thread::spawn(move || network.run()));
        Self { address, is_cut, record, waker, thread }
    }

    /// Returns all datagrams so far, in both directions, those that were lost too.
    pub fn record(&self) -> Vec<u8> {
        self.record.lock().expect("a record").clone()
    }

    /// Loses everything from now on.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    /// Loses no more datagrams.
    pub fn heal(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // If it panicked the test has failed anyway.
        let _ = self.waker.wake();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Network {
    server: SocketAddr,
    poll: Poll,
    front: UdpSocket,
    /// The addresses of clients, and the socket that each has to the server.
    clients: Vec<(SocketAddr, UdpSocket)>,
    places: HashMap<SocketAddr, usize>,
    is_cut: Arc<AtomicBool>,
    record: Arc<Mutex<Vec<u8>>>,
    percent: u64,
    random: u64,
}

impl Network {
    fn run(&mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            self.poll.poll(&mut events, None).expect("a wait");
            for event in &events {
                match event.token() {
                    STOP => return,
                    FRONT => self.pass_up(),
                    Token(place) => self.pass_down(place - 1),
                }
            }
        }
    }

    fn pass_up(&mut self) {
        let mut buffer = [0; 5000];
        loop {
            match self.front.recv_from(&mut buffer) {
                Ok((size, from)) => {
                    self.keep(&buffer[..size]);
                    let place = self.place_of(from);
                    if !self.loses() {
                        // A datagram that can't be sent is lost.
                        let _ = self.clients[place].1.send(&buffer[..size]);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // An error is the echo of a datagram to a client that has gone.
                Err(_) => {}
            }
        }
    }

    fn pass_down(&mut self, place: usize) {
        let mut buffer = [0; 5000];
        loop {
            match self.clients[place].1.recv(&mut buffer) {
                Ok(size) => {
                    self.keep(&buffer[..size]);
                    if !self.loses() {
                        // As above.
                        let _ = self.front.send_to(&buffer[..size], self.clients[place].0);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    fn keep(&self, datagram: &[u8]) {
        self.record.lock().expect("a record").extend_from_slice(datagram);
    }

    fn place_of(&mut self, client: SocketAddr) -> usize {
        *self.places.entry(client).or_insert_with(|| {
            let socket = bind();
            socket.connect(self.server).expect("a route");
            self.clients.push((client, socket));
            let place = self.clients.len();
            let (_, socket) = &mut self.clients[place - 1];
            register(self.poll.registry(), socket, Token(place));
            place - 1
        })
    }

    fn loses(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.is_cut.load(Ordering::SeqCst) || self.random % 100 < self.percent
    }
}

fn bind() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port")
}

fn register(registry: &Registry, socket: &mut UdpSocket, token: Token) {
    registry.register(socket, token, Interest::READABLE).expect("a socket");
}
