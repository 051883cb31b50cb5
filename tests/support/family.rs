//! A stand-in for the course's model server: its behaviour on the wire, including its faults.
//!
//! A request is JSON with a username and perhaps a password, and must come in one write. A password
//! of `null` ends the connection without a reply. The client then sends its UDP port in 2 bytes,
//! and the server closes. Datagrams from any other port are dropped. Every message goes to all
//! other members as `NAME: MESSAGE`, empty ones and commands included. The host's `/exit` closes
//! the room.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::{CREATE, JOIN, frame, wait_for};

const HEADER: usize = 32;
const CLOSED: &str = "チャットルームが閉じられました";

/// The server. Its threads end with the test.
pub struct Family {
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    rooms: Rooms,
}

struct Member {
    token: Vec<u8>,
    name: String,
    address: Option<SocketAddr>,
}

/// A room: the first member is the host.
struct Room {
    password: String,
    members: Vec<Member>,
}

type Rooms = Arc<Mutex<HashMap<Vec<u8>, Room>>>;

impl Family {
    /// Starts a server. `token` makes each token from the number of those before.
    pub fn start(token: fn(u8) -> Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let [tcp, udp] = [listener.local_addr(), socket.local_addr()];
        let [tcp, udp] = [tcp, udp].map(|address| address.expect("an address"));
        let rooms = Rooms::default();
        let sender = socket.try_clone().expect("a descriptor");
        let (of_relay, of_test) = (Arc::clone(&rooms), Arc::clone(&rooms));
        thread::spawn(move || relay(&socket, &of_relay));
        thread::spawn(move || {
            for (count, stream) in (0..).zip(listener.incoming()) {
                let (rooms, sender) = (Arc::clone(&rooms), sender.try_clone());
                let sender = sender.expect("a descriptor");
                let mut stream = stream.expect("a client");
                thread::spawn(move || admit(&mut stream, &token(count), &rooms, &sender));
            }
        });
        Self { tcp, udp, rooms: of_test }
    }

    /// Waits until a member of this name has announced its port.
    pub fn wait_for_member(&self, name: &str) {
        wait_for("a member's port", || {
            let rooms = self.rooms.lock().expect("rooms");
            let mut members = rooms.values().flat_map(|room| &room.members);
            members.any(|member| member.name == name && member.address.is_some()).then_some(())
        });
    }
}

/// Serves one request. `None` is an exception there: the connection ends.
fn admit(stream: &mut TcpStream, token: &[u8], rooms: &Rooms, socket: &UdpSocket) -> Option<()> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).ok()?;
    let (room_size, operation) = (usize::from(header[0]), header[1]);
    let size = room_size + usize::from(u16::from_be_bytes([header[30], header[31]]));
    let mut body = vec![0; size];
    // Not `read_exact`: the model server does not wait for a second write.
    (stream.read(&mut body).ok()? == size).then_some(())?;
    let (room, payload) = body.split_at(room_size);
    let payload: Value = serde_json::from_slice(payload).ok()?;
    let of_key = |key| payload.get(key).map_or(Some(""), Value::as_str).map(String::from);
    let (name, password) = (of_key("username")?, of_key("password")?);
    let mut reply = |state: u8, payload: &[u8]| {
        let mut frame = frame(operation, str::from_utf8(room).expect("UTF-8"), payload);
        frame[2] = state;
        stream.write_all(&frame).ok()
    };
    let member = Member { token: token.into(), name: name.clone(), address: None };
    let status = enter(&mut rooms.lock().expect("rooms"), operation, room, password, member);
    reply(1, &[status])?;
    if status != 0 {
        return None;
    }
    reply(2, token)?;
    if operation == JOIN {
        tell(
            &rooms.lock().expect("rooms")[room],
            &format!("{name} がチャットルームに参加しました"),
            socket,
        );
    }
    let mut port = [0; 2];
    stream.read_exact(&mut port).ok()?;
    let mut address = stream.peer_addr().ok()?;
    address.set_port(u16::from_be_bytes(port));
    let mut rooms = rooms.lock().expect("rooms");
    let members = &mut rooms.get_mut(room)?.members;
    members.iter_mut().find(|member| member.token == token)?.address = Some(address);
    Some(())
}

/// Returns the status.
fn enter(
    rooms: &mut HashMap<Vec<u8>, Room>,
    operation: u8,
    name: &[u8],
    password: String,
    member: Member,
) -> u8 {
    match rooms.get_mut(name) {
        Some(_) if operation == CREATE => return 1,
        None if operation == CREATE => {
            rooms.insert(name.into(), Room { password, members: vec![member] });
        }
        None => return 2,
        Some(room) if room.password != password => return 3,
        Some(room) => room.members.push(member),
    }
    0
}

fn relay(socket: &UdpSocket, rooms: &Rooms) {
    let mut buffer = [0; 4096];
    while let Ok((size, from)) = socket.recv_from(&mut buffer) {
        let _ = take_message(&buffer[..size], from, &mut rooms.lock().expect("rooms"), socket);
    }
}

fn take_message(
    datagram: &[u8],
    from: SocketAddr,
    rooms: &mut HashMap<Vec<u8>, Room>,
    socket: &UdpSocket,
) -> Option<()> {
    let (&[room_size, token_size], rest) = datagram.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(room_size.into())?;
    let (token, message) = rest.split_at_checked(token_size.into())?;
    let room = rooms.get(name)?;
    let sender = room.members.iter().position(|member| member.token == token)?;
    (room.members[sender].address == Some(from)).then_some(())?;
    let message = str::from_utf8(message).ok()?;
    let line = format!("{}: {message}", room.members[sender].name);
    let others = room.members.iter().enumerate().filter(|(at, _)| *at != sender);
    others.for_each(|(_, member)| send(socket, member, &line));
    if sender == 0 && message.trim().eq_ignore_ascii_case("/exit") {
        tell(room, CLOSED, socket);
        rooms.remove(name);
    }
    Some(())
}

fn tell(room: &Room, line: &str, socket: &UdpSocket) {
    room.members.iter().for_each(|member| send(socket, member, line));
}

fn send(socket: &UdpSocket, member: &Member, line: &str) {
    if let Some(address) = member.address {
        socket.send_to(line.as_bytes(), address).expect("sent");
    }
}
