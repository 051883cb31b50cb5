//! Members with a UDP socket each, and how they enter a target. The same sockets serve every target
//! of a scenario: the same receivers, and no more descriptors than members.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use reactor_chat::sys;

use super::control::{self, CREATE, Control, JOIN, PATIENCE};
use super::relay::{self, REGISTRATION, SOCKET_BUFFER};
use super::scenario::Shape;
use super::target::{Kind, Target};

/// Members that enter at a time: as many as a server takes of one IP before they have shown their
/// port, by default.
const AT_A_TIME: usize = 32;

/// After so long without an answer a member introduces itself again.
const REPEAT: Duration = Duration::from_millis(300);

/// Descriptors that are not members' sockets: polls, pipes, the standard three.
const RESERVED_DESCRIPTORS: u64 = 100;

pub struct Crowd {
    pub shape: Shape,
    /// By member.
    pub sockets: Vec<UdpSocket>,
}

impl Crowd {
    /// Sockets on `ip` for everyone, with UDP_GRO if so wished.
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

/// A crowd in a target: what each member's messages begin with, where they go, and what comes back.
pub struct Attendance {
    pub udp: SocketAddr,
    pub prefixes: Vec<Vec<u8>>,
    pub wire: Wire,
}

/// What the datagrams to the members are.
pub enum Wire {
    /// `NAME: TEXT` each.
    Plain,
    /// Several of these, each behind its length.
    Packed,
}

impl Attendance {
    /// Everyone enters, and has heard from the target.
    ///
    /// # Errors
    /// If the target does not answer, or refuses.
    pub fn enter(crowd: &Crowd, target: &Target) -> io::Result<Self> {
        let wire = match target.kind {
            Kind::Relay(relay::Kind::Pack) => Wire::Packed,
            _ => Wire::Plain,
        };
        let mut attendance = Self { udp: target.udp, prefixes: Vec::new(), wire };
        match target.kind {
            Kind::Server => attendance.join_server(crowd, target.tcp)?,
            Kind::Relay(_) => attendance.register(crowd)?,
        }
        Ok(attendance)
    }

    fn join_server(&mut self, crowd: &Crowd, server: SocketAddr) -> io::Result<()> {
        let shape = &crowd.shape;
        let mut control = Control::connect(server, None)?;
        for members in groups(shape) {
            for member in members.clone() {
                let operation = if shape.place_of(member) == 0 { CREATE } else { JOIN };
                let room = control::numbered_room(shape.room_of(member));
                let token = control.enter(operation, &room, &shape.name_of(member))?;
                self.prefixes.push(control::prefix(&room, &token));
            }
            let introduction = |member: usize| [&self.prefixes[member][..], b"/help"].concat();
            introduce(crowd, self.udp, members, introduction, |answer| answer.starts_with(b"/"))?;
        }
        Ok(())
    }

    /// A relay passes on what it gets, so members say there what the server would have made of it.
    fn register(&mut self, crowd: &Crowd) -> io::Result<()> {
        let shape = &crowd.shape;
        let name = |member| format!("{}: ", shape.name_of(member)).into_bytes();
        self.prefixes = (0..shape.population()).map(name).collect();
        for members in groups(shape) {
            let introduction = |member| (shape.room_of(member) as u32).to_be_bytes().to_vec();
            introduce(crowd, self.udp, members, introduction, |answer| {
                answer.len() == REGISTRATION
            })?;
        }
        Ok(())
    }

    /// The hosts leave, which closes the rooms: nothing stays behind in a server that goes on.
    pub fn leave(&self, crowd: &Crowd) {
        for host in 0..crowd.shape.rooms {
            let exit = [&self.prefixes[host][..], b"/exit"].concat();
            // What is lost here, the server's idle timeout sees to.
            let _ = crowd.sockets[host].send_to(&exit, self.udp);
        }
    }
}

fn groups(shape: &Shape) -> impl Iterator<Item = Range<usize>> {
    let population = shape.population();
    (0..population).step_by(AT_A_TIME).map(move |first| first..population.min(first + AT_A_TIME))
}

/// Everyone says something until each has the answer that it waits for.
fn introduce(
    crowd: &Crowd,
    udp: SocketAddr,
    members: Range<usize>,
    introduction: impl Fn(usize) -> Vec<u8>,
    is_answer: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
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
            waiting.retain(|member| !has_heard(&crowd.sockets[*member], &is_answer));
            if !waiting.is_empty() {
                thread::sleep(Duration::from_micros(50));
            }
        }
    }
    Ok(())
}

/// Reads what lies in a socket, and gives whether the answer was there.
fn has_heard(socket: &UdpSocket, is_answer: impl Fn(&[u8]) -> bool) -> bool {
    let mut buffer = [0; 4096];
    let mut has_heard = false;
    while let Ok(size) = socket.recv(&mut buffer) {
        has_heard |= is_answer(&buffer[..size]);
    }
    has_heard
}
