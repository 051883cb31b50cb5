//! Members with a UDP socket each, and how they enter a target. The same sockets serve every target
//! of a scenario: the same receivers, and no more descriptors than members.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use reactor_chat::connection;
use reactor_chat::protocol::carried;
use reactor_chat::sys::{self, Arrival, BATCH, MAX_ARRIVAL, ReceiveBatch};
use reactor_chat::unix_addr::UnixAddr;

use super::carried_link::CarriedLink;
use super::control::{self, CREATE, Control, JOIN, PATIENCE};
use super::envelope::Envelope;
use super::listener::Listener;
use super::quic_link::QuicLink;
use super::relay::{self, REGISTRATION, SOCKET_BUFFER};
use super::scenario::{Delivery, Path, Service, Shape};
use super::target::{Kind, Target};

/// Number of members that enter at a time: by default a server takes as many of one IP before they
/// have proved their port.
const AT_A_TIME: usize = 32;

/// Time after which a member without an answer introduces itself again.
const REPEAT: Duration = Duration::from_millis(300);

/// Descriptors that are not members' sockets: polls, pipes, the standard three.
const RESERVED_DESCRIPTORS: u64 = 100;

pub struct Crowd {
    pub shape: Shape,
    /// By member.
    pub sockets: Vec<UdpSocket>,
}

impl Crowd {
    /// Opens a socket on `ip` for everyone, with UDP_GRO if `gro` is set.
    ///
    /// # Errors
    /// If there are not as many to be had.
    pub fn gather(shape: Shape, ip: IpAddr, gro: bool) -> io::Result<Self> {
        let limit = sys::raise_descriptor_limit()?;
        let population = shape.population();
        if population as u64 + RESERVED_DESCRIPTORS > limit {
            let why =
                format!("{population} members need more than the {limit} descriptors allowed");
            return Err(io::Error::other(why));
        }
        let socket = |_| {
            let socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
            sys::request_buffers(socket.as_fd(), SOCKET_BUFFER);
            if gro {
                sys::enable_gro(socket.as_fd())?;
            }
            Ok(socket)
        };
        Ok(Self { shape, sockets: (0..population).map(socket).collect::<io::Result<_>>()? })
    }
}

/// A crowd in a target: the envelope of each member's datagrams, the target's address, and the form of
/// what is in the datagrams to the members.
pub struct Attendance {
    pub udp: SocketAddr,
    pub envelopes: Vec<Envelope>,
    pub wire: Wire,
    /// A connection of each member, if they carry the datagrams as units. Who needs a listener too locks
    /// that first.
    pub links: Option<Vec<Mutex<CarriedLink>>>,
    /// A connection over QUIC of each member, on that path. The order of locks is the one of links.
    pub quic: Option<Vec<Mutex<QuicLink>>>,
}

/// Form of the datagrams to the members.
pub enum Wire {
    /// `NAME: TEXT` each.
    Plain,
    /// Several of these, each behind its length.
    Packed,
    /// Entries of a stream. Every member keeps statistics of its own.
    Stream(Vec<Mutex<Listener>>),
}

impl Attendance {
    /// Lets everyone enter, and waits until each has received a datagram.
    ///
    /// # Errors
    /// If the target does not answer, or refuses.
    pub fn enter(crowd: &Crowd, target: &Target) -> io::Result<Self> {
        let wire = match target.kind {
            Kind::Server(Service { delivery: Delivery::Stream, .. }) => Wire::Stream(Vec::new()),
            Kind::Relay(relay::Kind::Pack) => Wire::Packed,
            _ => Wire::Plain,
        };
        let (udp, envelopes) = (target.udp, Vec::new());
        let mut attendance = Self { udp, envelopes, wire, links: None, quic: None };
        match (target.kind, &target.unix) {
            (Kind::Server(service), _) if service.is_carried() => {
                attendance.join_carried(crowd, target, service)?;
            }
            (Kind::Server(service), _) if service.path == Path::Quic => {
                attendance.join_quic(crowd, target.udp, service)?;
            }
            (Kind::Server(service), _) => attendance.join_server(crowd, target.tcp, service)?,
            (Kind::Relay(_), Some(name)) => attendance.connect_to_relay(crowd, name)?,
            (Kind::Relay(_), None) => attendance.register(crowd)?,
        }
        Ok(attendance)
    }

    /// Lets everyone enter over a connection that carries it from then on.
    fn join_carried(&mut self, crowd: &Crowd, target: &Target, service: Service) -> io::Result<()> {
        let shape = &crowd.shape;
        let mut links = Vec::new();
        for member in 0..shape.population() {
            let (operation, room) = entry_of(shape, member);
            let mut control = target.open_control(None, service)?;
            let admission = control.enter(operation, &room, &shape.name_of(member), service)?;
            self.envelopes.push(Envelope::new(&room, &admission, service.path)?);
            if let Wire::Stream(listeners) = &mut self.wire {
                let mut listener = Listener::new(admission, &room)?;
                listener.carry();
                listeners.push(Mutex::new(listener));
            }
            links.push(Mutex::new(control.into_carried_link()?));
        }
        self.links = Some(links);
        Ok(())
    }

    /// Lets everyone enter over QUIC.
    fn join_quic(&mut self, crowd: &Crowd, server: SocketAddr, service: Service) -> io::Result<()> {
        let shape = &crowd.shape;
        let mut links = Vec::new();
        for member in 0..shape.population() {
            let (operation, room) = entry_of(shape, member);
            let operation = if operation == CREATE { "create" } else { "join" };
            let (name, delivery) = (shape.name_of(member), service.delivery.word());
            let request = format!(
                r#"{{"operation":"{operation}","room":"{room}","username":"{name}","delivery":"{delivery}"}}"#
            );
            let (link, admission) = QuicLink::enter(&crowd.sockets[member], server, &request)?;
            self.envelopes.push(Envelope::new(&room, &admission, service.path)?);
            if let Wire::Stream(listeners) = &mut self.wire {
                listeners.push(Mutex::new(Listener::new(admission, &room)?));
            }
            links.push(Mutex::new(link));
        }
        self.quic = Some(links);
        Ok(())
    }

    /// A relay on a Unix socket gets the room of each connection in its first unit, and sends that back.
    fn connect_to_relay(&mut self, crowd: &Crowd, name: &UnixAddr) -> io::Result<()> {
        let shape = &crowd.shape;
        self.envelopes = relay_envelopes(shape);
        let link = |member| {
            let mut stream = UnixStream::connect_addr(&name.socket_addr()?)?;
            let mut unit = Vec::new();
            carried::encode(&room_of(shape, member), &mut unit);
            stream.write_all(&unit)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read_exact(&mut unit)?;
            stream.set_nonblocking(true)?;
            let stream = connection::Stream::Unix(mio::net::UnixStream::from_std(stream));
            Ok(CarriedLink::new(stream, None, Vec::new()).into())
        };
        self.links = Some((0..shape.population()).map(link).collect::<io::Result<_>>()?);
        Ok(())
    }

    fn join_server(
        &mut self,
        crowd: &Crowd,
        server: SocketAddr,
        service: Service,
    ) -> io::Result<()> {
        let shape = &crowd.shape;
        let mut control = Control::connect(server, None, service.needs_tls())?;
        for members in groups(shape) {
            for member in members.clone() {
                let (operation, room) = entry_of(shape, member);
                let admission = control.enter(operation, &room, &shape.name_of(member), service)?;
                self.envelopes.push(Envelope::new(&room, &admission, service.path)?);
                if let Wire::Stream(listeners) = &mut self.wire {
                    listeners.push(Mutex::new(Listener::new(admission, &room)?));
                }
            }
            self.prove_ports(crowd, members)?;
        }
        Ok(())
    }

    fn prove_ports(&self, crowd: &Crowd, members: Range<usize>) -> io::Result<()> {
        match &self.wire {
            Wire::Stream(listeners) => {
                let listener = |member: usize| listeners[member].lock().expect("no panic");
                let introduction =
                    |member: usize| self.envelopes[member].wrap(&listener(member).introduction());
                introduce(crowd, self.udp, members, introduction, |member, answer| {
                    self.envelopes[member].is(answer, |content| {
                        listener(member).handle_datagram(content, Instant::now(), |_| ())
                    })
                })
            }
            _ => {
                let introduction = |member: usize| self.envelopes[member].wrap(b"/help");
                introduce(crowd, self.udp, members, introduction, |member, answer| {
                    self.envelopes[member].is(answer, |content| content.starts_with(b"/"))
                })
            }
        }
    }

    /// A relay over UDP gets the room of each member in a datagram, and sends that back.
    fn register(&mut self, crowd: &Crowd) -> io::Result<()> {
        let shape = &crowd.shape;
        self.envelopes = relay_envelopes(shape);
        for members in groups(shape) {
            let introduction = |member| room_of(shape, member).to_vec();
            introduce(crowd, self.udp, members, introduction, |_, answer| {
                answer.len() == REGISTRATION
            })?;
        }
        Ok(())
    }

    /// Lets the hosts leave, which closes the rooms: nothing stays behind in a server that goes on.
    pub fn leave(&self, crowd: &Crowd) {
        for host in 0..crowd.shape.rooms {
            // If it is lost, the server's idle timeout closes the room.
            self.say(crowd, host, b"/exit");
        }
    }

    /// Sends a message of a member. Returns false if too many messages of its stream are under way.
    pub fn say(&self, crowd: &Crowd, member: usize, text: &[u8]) -> bool {
        let Wire::Stream(listeners) = &self.wire else {
            let message = self.envelopes[member].wrap(text);
            if let Some(links) = &self.links {
                return links[member].lock().expect("no panic").say(&message);
            }
            // A datagram that can't be sent is not delivered, and so counted as lost.
            let _ = crowd.sockets[member].send_to(&message, self.udp);
            return true;
        };
        let mut listener = listeners[member].lock().expect("no panic");
        let is_taken = listener.say(text);
        self.send_due(crowd, member, &mut listener, Instant::now());
        is_taken
    }

    /// Returns how often messages of a stream were put off up to now.
    pub fn put_off(&self) -> Option<u64> {
        let Wire::Stream(listeners) = &self.wire else { return None };
        let of = |listener: &Mutex<Listener>| listener.lock().expect("no panic").put_off();
        Some(listeners.iter().map(of).sum())
    }

    /// Sends the datagrams of a stream member that are due.
    pub fn send_due(&self, crowd: &Crowd, member: usize, listener: &mut Listener, now: Instant) {
        listener.send_due(now, |body| {
            let content = self.envelopes[member].wrap(body);
            if let Some(links) = &self.links {
                return links[member].lock().expect("no panic").push(&content);
            }
            if let Some(links) = &self.quic {
                let mut link = links[member].lock().expect("no panic");
                return link.say(&crowd.sockets[member], &content);
            }
            // A datagram that can't be sent is lost, as on any path.
            let _ = crowd.sockets[member].send_to(&content, self.udp);
        });
    }
}

fn groups(shape: &Shape) -> impl Iterator<Item = Range<usize>> {
    let population = shape.population();
    (0..population).step_by(AT_A_TIME).map(move |first| first..population.min(first + AT_A_TIME))
}

/// Sends introductions of all members until each has its answer.
fn introduce(
    crowd: &Crowd,
    udp: SocketAddr,
    members: Range<usize>,
    introduction: impl Fn(usize) -> Vec<u8>,
    is_answer: impl Fn(usize, &[u8]) -> bool,
) -> io::Result<()> {
    let mut batch = ReceiveBatch::new(MAX_ARRIVAL);
    let end = Instant::now() + PATIENCE;
    let mut waiting: Vec<usize> = members.collect();
    while !waiting.is_empty() {
        if Instant::now() > end {
            let why = format!("{udp} does not answer over UDP");
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        for member in &waiting {
            crowd.sockets[*member].send_to(&introduction(*member), udp)?;
        }
        let repeat = Instant::now() + REPEAT;
        while !waiting.is_empty() && Instant::now() < repeat {
            waiting.retain(|member| {
                !has_heard(&mut batch, &crowd.sockets[*member], |answer| is_answer(*member, answer))
            });
            if !waiting.is_empty() {
                thread::sleep(Duration::from_micros(50));
            }
        }
    }
    Ok(())
}

/// Reads a socket until it is empty. Returns true if the answer was there.
fn has_heard(
    batch: &mut ReceiveBatch,
    socket: &UdpSocket,
    is_answer: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut has_heard = false;
    while batch.receive(socket.as_fd(), BATCH).is_ok() {
        for datagram in batch.arrivals().flat_map(Arrival::datagrams) {
            has_heard |= is_answer(datagram);
        }
    }
    has_heard
}

/// Returns the envelopes of members of a relay. It does not change messages, so members send them there
/// in the server's form.
fn relay_envelopes(shape: &Shape) -> Vec<Envelope> {
    let name = |member| format!("{}: ", shape.name_of(member)).into_bytes();
    (0..shape.population()).map(name).map(Envelope::Prefix).collect()
}

/// Returns the bytes that name a member's room to a relay.
fn room_of(shape: &Shape, member: usize) -> [u8; REGISTRATION] {
    (shape.room_of(member) as u32).to_be_bytes()
}

/// Returns the operation with which a member enters, and its room: the first one creates it.
fn entry_of(shape: &Shape, member: usize) -> (u8, String) {
    let operation = if shape.place_of(member) == 0 { CREATE } else { JOIN };
    (operation, control::numbered_room(shape.room_of(member)))
}
