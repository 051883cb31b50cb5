//! A mixed flood, all loads at once and within the server's limits: members of a large room talk,
//! one creator has hundreds of busy rooms, and junk datagrams arrive.
//!
//! These members never read, so the kernel drops what they get. All members of a load share one
//! socket, as a program in several rooms may.

use std::io;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use reactor_chat::seal::{Header, TAG};
use reactor_chat::sys::{Address, BATCH, Outgoing, SendBatch};

use super::control::{self, CREATE, Control, JOIN};
use super::envelope::Envelope;
use super::scenario::{Delivery, Mixed, Service, Shape, Text};
use super::target::Target;

/// Messages a second of each member that talks: the server's default limit.
const RATE: u32 = 20;

/// Interval between two bursts of each load.
const TICK: Duration = Duration::from_millis(5);

/// Number of forged datagrams that are sent again and again.
const FORGERIES: u64 = 640;

/// The number of the first forged datagram. It is newer than all numbers of a member, and in their epoch,
/// so only the tag tells that the datagram is forged.
const FORGED: u64 = 1 << 21;

/// Number of members that enter before they prove their port together.
const AT_A_TIME: usize = 32;

/// Client numbers for the addresses of the two crowds. Clients that join during the run have
/// others.
const BUSY_CLIENT: usize = 150_000;
const CREATING_CLIENT: usize = 150_001;
const FORGING_CLIENT: usize = 150_002;

/// The loads, ready to begin.
pub struct Loads {
    loads: Vec<Load>,
}

/// Datagrams that leave one socket in turn, at a rate.
struct Load {
    socket: UdpSocket,
    server: Address,
    datagrams: Vec<Vec<u8>>,
    per_s: u32,
}

impl Loads {
    /// Lets all members enter.
    ///
    /// # Errors
    /// If the server does not answer, or refuses.
    pub fn enter(target: &Target, mixed: &Mixed) -> io::Result<Self> {
        let shape = |rooms, members| Shape { rooms, members, text: Text::Fixed(64) };
        let busy = Load::enter(target, BUSY_CLIENT, shape(1, mixed.busy), mixed.talkers)?;
        control::begin_scenario();
        let crowded = shape(mixed.rooms, mixed.members);
        let rooms = Load::enter(target, CREATING_CLIENT, crowded, mixed.rooms)?;
        let ip = target.local_ip()?;
        let junk = Load::of_stranger(target, ip, vec![vec![b'j'; 64]], mixed.junk)?;
        Ok(Self { loads: vec![busy, rooms, junk] })
    }

    /// Returns forged datagrams with ids of these members, half of them from the address of the members, and
    /// as many with ids that nobody has.
    ///
    /// # Errors
    /// If there is no port to be had.
    pub fn forged(target: &Target, members: &[Envelope], per_s: u32) -> io::Result<Self> {
        let ids: Vec<u32> = members.iter().filter_map(Envelope::id).collect();
        // Ids are random, so the inverse of one belongs to nobody.
        let unknown: Vec<u32> = ids.iter().map(|id| !id).collect();
        let near = target.local_ip()?;
        let far = control::source_of(target.tcp, FORGING_CLIENT).unwrap_or(near);
        let load = |ip, ids, per_s| Load::of_stranger(target, ip, forge(ids), per_s);
        let loads = vec![
            load(near, &ids, per_s / 4)?,
            load(far, &ids, per_s / 4)?,
            load(far, &unknown, per_s / 2)?,
        ];
        Ok(Self { loads })
    }

    /// Sends all loads until the flag is set, and returns the number of datagrams sent.
    pub fn pour(&self, is_over: &AtomicBool) -> u64 {
        let (mut batch, start) = (SendBatch::new(), Instant::now());
        let mut sent = vec![0; self.loads.len()];
        while !is_over.load(Relaxed) {
            for (load, sent) in self.loads.iter().zip(&mut sent) {
                let due = start.elapsed().as_secs_f64() * f64::from(load.per_s);
                load.send(&mut batch, sent, due as u64);
            }
            thread::sleep(TICK);
        }
        sent.into_iter().sum()
    }
}

impl Load {
    /// Returns the load of a peer that is no member.
    fn of_stranger(
        target: &Target,
        ip: IpAddr,
        datagrams: Vec<Vec<u8>>,
        per_s: u32,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        Ok(Self { socket, server: target.udp.into(), datagrams, per_s })
    }

    /// Lets all members of a load enter. The first `talkers` of them talk.
    fn enter(target: &Target, client: usize, shape: Shape, talkers: usize) -> io::Result<Self> {
        let mut control =
            Control::connect(target.tcp, control::source_of(target.tcp, client), false)?;
        let socket = UdpSocket::bind(SocketAddr::new(control.local_ip(), 0))?;
        let (service, mut prefixes) = (Service::clear(Delivery::Text), Vec::new());
        for member in 0..shape.population() {
            let operation = if shape.place_of(member) == 0 { CREATE } else { JOIN };
            let room = control::numbered_room(shape.room_of(member));
            let admission = control.enter(operation, &room, &shape.name_of(member), service)?;
            prefixes.push(Envelope::new(&room, &admission, service.path)?.wrap(b""));
            if prefixes.len() % AT_A_TIME == 0 || prefixes.len() == shape.population() {
                let newest = prefixes.len() - 1 - (prefixes.len() - 1) % AT_A_TIME;
                prove(&socket, target.udp, &prefixes[newest..]);
            }
        }
        let text = |prefix: &Vec<u8>| {
            let mut datagram = prefix.clone();
            shape.write_text(0, &mut datagram);
            datagram
        };
        let datagrams = prefixes[..talkers].iter().map(text).collect();
        Ok(Self { socket, server: target.udp.into(), datagrams, per_s: RATE * talkers as u32 })
    }

    /// Sends until `due` datagrams were sent in all. Datagrams that cannot be sent are skipped.
    fn send(&self, batch: &mut SendBatch, sent: &mut u64, due: u64) {
        while *sent < due {
            let count = (due - *sent).min(BATCH as u64);
            for number in *sent..*sent + count {
                let datagram = &self.datagrams[(number % self.datagrams.len() as u64) as usize];
                let pieces = &[(0, datagram.len() as u32)];
                let message = Outgoing { to: &self.server, local: None, pieces, segment: None };
                // An error is a full buffer, or the echo of an earlier datagram.
                let _ = batch.send(self.socket.as_fd(), datagram, iter::once(message));
            }
            *sent += count;
        }
    }
}

/// Returns sealed datagrams with these ids in turn, which nobody has sealed.
fn forge(ids: &[u32]) -> Vec<Vec<u8>> {
    let forgery = |(index, id): (u64, &u32)| {
        let header = Header { flags: 0, id: *id, number: FORGED + index };
        [&header.encode()[..], &[b'f'; 64 + TAG]].concat()
    };
    (0..FORGERIES).zip(ids.iter().cycle()).map(forgery).collect()
}

/// Proves the ports of these members, twice, because nobody checks whether the first datagram came.
fn prove(socket: &UdpSocket, server: SocketAddr, prefixes: &[Vec<u8>]) {
    for prefix in prefixes.iter().chain(prefixes) {
        // A datagram that cannot be sent counts as lost.
        let _ = socket.send_to(prefix, server);
    }
}
