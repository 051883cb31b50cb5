//! Floors on a Unix socket: relays of units on stream sockets, without any protocol around them.
//!
//! A member is a connection. Its first unit names its room and is sent back; all others go to everyone
//! in that room as they are. A relay looks at sizes only, to cut what it has read behind a whole unit.
//! It does as little as it can for one member: one write of bytes that are the same for all.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::{UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token};
use reactor_chat::protocol::carried::{self, DecodedUnit, MAX_DOWN, SIZE_FIELD};
use reactor_chat::unix_addr::UnixAddr;

use super::REGISTRATION;

/// Limit for one read: as in the server.
const READ: usize = 16 * 1024;

const LISTENER: Token = Token(usize::MAX);

/// A member's connection, and its bytes that wait.
struct Member {
    stream: UnixStream,
    room: Option<u32>,
    /// Bytes behind the last whole unit.
    input: Vec<u8>,
    /// Bytes that the kernel did not take.
    output: Vec<u8>,
}

/// A room: its members, and the units that they have sent in this turn.
#[derive(Default)]
struct Room {
    members: Vec<usize>,
    bytes: Vec<u8>,
    /// The only sender of `bytes`, who does not get them back. It is `None` if there are several: they
    /// get their own units too, as in one write they cannot be left out.
    only_sender: Option<usize>,
}

#[derive(Default)]
struct Relay {
    members: Vec<Member>,
    rooms: HashMap<u32, Room>,
    /// Rooms with bytes that wait.
    busy: Vec<u32>,
}

/// Relays until the bench is gone. In turns, everything that all members have sent goes out in one write
/// a member; otherwise what one read of one member has returned does.
///
/// # Errors
/// If there is no socket to be had.
pub fn serve(name: &UnixAddr, in_turns: bool) -> io::Result<()> {
    let mut listener = UnixListener::bind_addr(&name.socket_addr()?)?;
    writeln!(io::stdout(), "listening on unix {name}")?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let (mut relay, mut buffer) = (Relay::default(), vec![0; READ]);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => relay.accept(&listener, &poll)?,
                Token(member) if event.is_readable() => {
                    relay.read(member, &mut buffer, in_turns);
                    relay.members[member].flush();
                }
                Token(member) => relay.members[member].flush(),
            }
        }
        relay.send();
    }
}

impl Relay {
    fn accept(&mut self, listener: &UnixListener, poll: &Poll) -> io::Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            let (token, interest) =
                (Token(self.members.len()), Interest::READABLE | Interest::WRITABLE);
            poll.registry().register(&mut stream, token, interest)?;
            self.members.push(Member { stream, room: None, input: Vec::new(), output: Vec::new() });
        }
        Ok(())
    }

    /// Reads until nothing is left. A member that is gone has nothing more.
    fn read(&mut self, member: usize, buffer: &mut [u8], in_turns: bool) {
        while let Ok(size @ 1..) = self.members[member].stream.read(buffer) {
            self.members[member].input.extend_from_slice(&buffer[..size]);
            self.take_units(member);
            if !in_turns {
                self.send();
            }
        }
    }

    fn take_units(&mut self, index: usize) {
        let member = &mut self.members[index];
        let end = end_of_units(&member.input);
        let units = &member.input[..end];
        match (member.room, units.get(SIZE_FIELD..).map(<[u8; REGISTRATION]>::try_from)) {
            (Some(number), _) if end > 0 => {
                let room = self.rooms.entry(number).or_default();
                if room.bytes.is_empty() {
                    room.only_sender = Some(index);
                    self.busy.push(number);
                } else if room.only_sender != Some(index) {
                    room.only_sender = None;
                }
                room.bytes.extend_from_slice(units);
            }
            (None, Some(Ok(number))) => {
                let number = u32::from_be_bytes(number);
                member.room = Some(number);
                member.output.extend_from_slice(units);
                self.rooms.entry(number).or_default().members.push(index);
            }
            _ => {}
        }
        member.input.drain(..end);
    }

    /// Sends the units that wait in each room.
    fn send(&mut self) {
        for number in self.busy.drain(..) {
            let Some(room) = self.rooms.get_mut(&number) else { continue };
            for index in room.members.iter().filter(|index| room.only_sender != Some(**index)) {
                self.members[*index].send(&room.bytes);
            }
            room.bytes.clear();
        }
    }
}

impl Member {
    /// Writes, and keeps what the kernel does not take.
    fn send(&mut self, bytes: &[u8]) {
        let size = match self.output.is_empty() {
            true => self.stream.write(bytes).unwrap_or(0),
            false => 0,
        };
        self.output.extend_from_slice(&bytes[size..]);
    }

    fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(size) => drop(self.output.drain(..size)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // A member that is gone costs the others nothing.
                Err(_) => self.output.clear(),
            }
        }
    }
}

/// Returns the end of the last whole unit.
fn end_of_units(input: &[u8]) -> usize {
    let mut end = 0;
    while let DecodedUnit::Whole(content) = carried::decode(&input[end..], MAX_DOWN) {
        end += SIZE_FIELD + content.len();
    }
    end
}
