//! The words that the tests are written in: a server, connections that speak raw bytes, members.
//!
//! Everything is real: the built binary, sockets on loopback, ports from the system. The bytes of
//! the protocol are written out here and not taken from the library, so that a mistake there does
//! not hide itself. Waiting is always for something, with a deadline.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub mod namespace;
pub mod peers;
#[cfg(feature = "client")]
pub mod program;
pub mod proxy;
#[cfg(feature = "client")]
pub mod pty;
pub mod random;
pub mod streams;
#[cfg(feature = "client")]
pub mod talkers;

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen. Long, because machines are shared; a test
/// that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub const CREATE: u8 = 1;
pub const JOIN: u8 = 2;
pub const LIST: u8 = 3;

/// A running server; killed and waited for when it goes out of scope.
pub struct Server {
    child: Child,
    /// The first `--bind`'s addresses, with their real ports.
    pub tcp: SocketAddr,
    pub udp: SocketAddr,
    /// All of them.
    pub addresses: Vec<(SocketAddr, SocketAddr)>,
    log: Receiver<String>,
}

impl Server {
    /// Starts a server on free ports and waits until it listens.
    pub fn start(options: &[&str]) -> Self {
        Self::start_at("0", "0", options)
    }

    /// Starts a server on these ports and waits until it listens.
    pub fn start_at(tcp_port: &str, udp_port: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", tcp_port, "--udp-port", udp_port]).args(options);
        Self::spawn(command, options.iter().filter(|option| **option == "--bind").count().max(1))
    }

    /// Starts a command that runs a server with so many addresses.
    pub fn spawn(mut command: Command, addresses: usize) -> Self {
        command.env_remove("RUST_LOG");
        Self::spawn_with_environment(command, addresses)
    }

    /// The same, with `RUST_LOG` as it is.
    pub fn spawn_with_environment(mut command: Command, addresses: usize) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the built server");
        let log = lines_of(child.stderr.take().expect("piped"));
        let out = lines_of(child.stdout.take().expect("piped"));
        let addresses: Vec<_> = (0..addresses)
            .map(|_| {
                let line = out.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                    panic!("the server does not listen: {:?}", log.try_iter().collect::<Vec<_>>())
                });
                parse_listening(&line)
            })
            .collect();
        let (tcp, udp) = addresses[0];
        Self { child, tcp, udp, addresses, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, as kill(1) knows it.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill(1)");
        assert!(sent.success());
    }

    /// Stops the server in its tracks, so that what is sent meanwhile meets it all at once.
    pub fn freeze(&self) {
        self.signal("STOP");
        wait_for("the server to stop", || (self.state() == "T").then_some(()));
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Starts to send these signals in turn, `rounds` times, as fast as a shell can.
    pub fn storm(&self, signals: &[&str], rounds: usize) -> Child {
        let kills: String = signals.iter().map(|name| format!("kill -s {name} $0; ")).collect();
        let script = format!("i=0; while [ $i -lt {rounds} ]; do {kills} i=$((i+1)); done");
        let pid = self.pid().to_string();
        Command::new("sh").args(["-c", &script, &pid]).spawn().expect("a shell")
    }

    /// Lets the server open so many more files from now on, as if the system had no more. Fails where
    /// the machine has no prlimit(1).
    pub fn leave_descriptors(&self, count: usize) -> io::Result<()> {
        let open = self.open_descriptors();
        // The limit is about numbers, and the lowest free one is taken: what is open may lie above.
        let mut free = (0..).filter(|number| !open.contains(number));
        let beyond = free.nth(count).expect("a number");
        // The hard limit stays, so that this can be taken back.
        let (pid, soft) = (self.pid().to_string(), format!("--nofile={beyond}:"));
        let output = Command::new("prlimit").args(["--pid", &pid, &soft]).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.child.try_wait().expect("a child"))
    }

    /// Ends the server and gives the line in which it says what it has counted.
    pub fn final_counts(&self) -> String {
        self.signal("TERM");
        self.expect_log("connections accepted")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for a line in the log that holds `part`, and gives it.
    pub fn expect_log(&self, part: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(_) => panic!("no {part:?} in the log"),
            }
        }
    }

    /// Everything logged up to now that was not looked at yet.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    /// Everything that the server logs until it ends, as far as it was not looked at yet.
    pub fn log_to_the_end(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("the server does not end"),
            }
        }
    }

    /// CPU time used up to now, user and system, from /proc/PID/stat (proc(5), fields 14 and 15).
    pub fn cpu_time(&self) -> Duration {
        let ticks: u64 =
            self.stat()[11..13].iter().map(|field| field.parse::<u64>().expect("ticks")).sum();
        // USER_HZ is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    /// The state of the process, a letter.
    fn state(&self) -> String {
        self.stat().swap_remove(0)
    }

    /// /proc/PID/stat from its third field on.
    fn stat(&self) -> Vec<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("proc(5)");
        let after_name = stat.rsplit(')').next().expect("a name in parentheses");
        after_name.split_whitespace().map(String::from).collect()
    }

    /// Memory in use, in bytes.
    pub fn memory(&self) -> u64 {
        self.memory_of("VmRSS:")
    }

    /// Memory asked of the system, in bytes, whether it was touched or not.
    pub fn reserved_memory(&self) -> u64 {
        self.memory_of("VmData:")
    }

    /// A line of /proc/PID/status.
    fn memory_of(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("proc(5)");
        let line = status.lines().find(|line| line.starts_with(what)).expect("a known line");
        let kilobytes: u64 =
            line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kilobytes * 1024
    }

    /// How many descriptors the server has open.
    pub fn descriptors(&self) -> usize {
        self.open_descriptors().len()
    }

    fn open_descriptors(&self) -> Vec<u32> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("proc(5)");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().parse().expect("a number")).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse_listening(line: &str) -> (SocketAddr, SocketAddr) {
    let words: Vec<&str> = line.split(' ').collect();
    let ["listening", "on", "tcp", tcp, "udp", udp] = words[..] else {
        panic!("not the line that scripts wait for: {line:?}")
    };
    (tcp.parse().expect("an address"), udp.parse().expect("an address"))
}

/// The lines of a child's output, read as they come so that it never blocks.
pub fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may be interested any more.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A frame: 32 bytes of header, the room name, the payload.
pub fn frame(operation: u8, room: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![room.len() as u8, operation, 0];
    bytes.extend_from_slice(&[0; 25]);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// One frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub operation: u8,
    pub state: u8,
    pub room: Vec<u8>,
    pub payload: Vec<u8>,
}

/// A TCP connection to a server.
pub struct Control {
    stream: TcpStream,
}

impl Control {
    pub fn connect(server: &Server) -> Self {
        Self::connect_to(server.tcp)
    }

    pub fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("a connection");
        Self::over(stream)
    }

    /// Connects from an address of the loopback range, to be another client than the others.
    pub fn connect_from(server: &Server, source: IpAddr) -> Self {
        Self::connect_to_from(server.tcp, source)
    }

    /// The same where the server itself is not at hand.
    pub fn connect_to_from(address: SocketAddr, source: IpAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("one");
        socket.bind(&SocketAddr::new(source, 0).into()).expect("a loopback address");
        socket.connect_timeout(&address.into(), DEADLINE).expect("a connection");
        Self::over(socket.into())
    }

    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn local_ip(&self) -> IpAddr {
        self.stream.local_addr().expect("an address").ip()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    pub fn request(&mut self, operation: u8, room: &str, payload: &[u8]) {
        self.send(&frame(operation, room, payload));
    }

    /// Reads one frame.
    pub fn expect_reply(&mut self) -> Reply {
        let mut header = [0; 32];
        self.stream.read_exact(&mut header).expect("a header");
        let size = header[3..].iter().fold(0usize, |size, byte| size << 8 | usize::from(*byte));
        assert!(size <= 1 << 29, "no frame of the server's: {header:?}");
        let mut room = vec![0; usize::from(header[0])];
        self.stream.read_exact(&mut room).expect("a room name");
        let mut payload = vec![0; size];
        self.stream.read_exact(&mut payload).expect("a payload");
        Reply { operation: header[1], state: header[2], room, payload }
    }

    /// Reads an acknowledgement and gives its status.
    pub fn expect_status(&mut self) -> u8 {
        let reply = self.expect_reply();
        assert_eq!((reply.state, reply.payload.len()), (1, 1), "{reply:?}");
        reply.payload[0]
    }

    /// Reads an acknowledgement of success and a completion, and gives the completion's payload.
    pub fn expect_success(&mut self) -> Vec<u8> {
        assert_eq!(self.expect_status(), 0);
        let completion = self.expect_reply();
        assert_eq!(completion.state, 2, "{completion:?}");
        completion.payload
    }

    /// Asks and gives the status.
    pub fn status_of(&mut self, operation: u8, room: &str, payload: &[u8]) -> u8 {
        self.request(operation, room, payload);
        let status = self.expect_status();
        if status == 0 {
            assert_eq!(self.expect_reply().state, 2);
        }
        status
    }

    /// Asks for a place in a room and gives the token.
    pub fn enter(&mut self, operation: u8, room: &str, payload: &[u8]) -> Token {
        self.request(operation, room, payload);
        self.expect_success().try_into().expect("32 characters")
    }

    /// Ends our half of the stream.
    pub fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// The server ends its half, having sent nothing more.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b"", "nothing but the end"),
            Err(error) => panic!("not an end of stream but {error}"),
        }
    }

    /// The server has sent nothing up to now that was not read.
    #[track_caller]
    pub fn expect_nothing(&self) {
        assert!(!self.has_heard(), "neither bytes nor an end");
    }

    /// Whether something can be read, be it the end.
    pub fn has_heard(&self) -> bool {
        self.stream.set_nonblocking(true).expect("an option");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("an option");
        !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Ends the connection with a reset, whatever is under way.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("an option");
    }
}

pub type Token = [u8; 32];

/// A client's datagram: sizes, room name, token, message.
pub fn datagram(room: &str, token: &Token, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![room.len() as u8, token.len() as u8];
    bytes.extend_from_slice(room.as_bytes());
    bytes.extend_from_slice(token);
    bytes.extend_from_slice(message);
    bytes
}

/// One user in a room, with a UDP socket of its own.
pub struct Member {
    pub room: String,
    pub token: Token,
    pub socket: UdpSocket,
    pub server: SocketAddr,
}

impl Member {
    /// Makes a room. The payload is what the request says: a JSON object or a bare name.
    pub fn create(server: &Server, room: &str, payload: &str) -> Self {
        Self::enter(server, CREATE, room, payload)
    }

    /// Joins a room.
    pub fn join(server: &Server, room: &str, payload: &str) -> Self {
        Self::enter(server, JOIN, room, payload)
    }

    /// Gets a token over a connection that is closed at once, as many clients do, and proves its
    /// address.
    fn enter(server: &Server, operation: u8, room: &str, payload: &str) -> Self {
        let member = Self::enter_unproved(server, operation, room, payload);
        member.prove();
        member
    }

    /// Gets a token and leaves it at that: the server knows no address.
    pub fn enter_unproved(server: &Server, operation: u8, room: &str, payload: &str) -> Self {
        let mut control = Control::connect(server);
        let token = control.enter(operation, room, payload.as_bytes());
        Self::with_token(server.udp, control.local_ip(), room, token)
    }

    /// Gets a token over `control`, which stays open, and proves the address that it came from.
    pub fn enter_over(
        control: &mut Control,
        server: &Server,
        operation: u8,
        room: &str,
        payload: &str,
    ) -> Self {
        let token = control.enter(operation, room, payload.as_bytes());
        let member = Self::with_token(server.udp, control.local_ip(), room, token);
        member.prove();
        member
    }

    /// The same member with another socket, at `ip`; the server has not heard from there.
    pub fn at(&self, ip: IpAddr) -> Self {
        Self::with_token(self.server, ip, &self.room, self.token)
    }

    /// The same member with another socket at the same IP.
    pub fn elsewhere(&self) -> Self {
        self.at(self.socket.local_addr().expect("an address").ip())
    }

    /// A member that has a token already, at `ip`.
    pub fn with_token(server: SocketAddr, ip: IpAddr, room: &str, token: Token) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { room: room.into(), token, socket, server }
    }

    /// Sends an empty datagram and makes sure that the server has taken it: an answer comes back.
    pub fn prove(&self) {
        self.say("");
        self.settle();
    }

    /// Sends a message.
    pub fn say(&self, message: &str) {
        self.say_bytes(message.as_bytes());
    }

    pub fn say_bytes(&self, message: &[u8]) {
        self.send_datagram(&datagram(&self.room, &self.token, message));
    }

    /// Sends a datagram as it is.
    pub fn send_datagram(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, self.server).expect("sent");
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().expect("an address").port()
    }

    /// Reads one datagram.
    pub fn hear(&self) -> Vec<u8> {
        let mut buffer = [0; 5000];
        // With a timeout the kernel does not restart a call that a signal broke off (signal(7)).
        let (size, from) = loop {
            match self.socket.recv_from(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome.expect("a datagram in time"),
            }
        };
        assert_eq!(from.port(), self.server.port(), "from the server");
        buffer[..size].to_vec()
    }

    /// Reads one datagram as text.
    pub fn hear_text(&self) -> String {
        String::from_utf8(self.hear()).expect("UTF-8")
    }

    /// The next datagram is this.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        assert_eq!(self.hear_text(), text);
    }

    /// Reads datagrams up to this one.
    #[track_caller]
    pub fn expect_sometime(&self, text: &str) {
        while self.hear_text() != text {}
    }

    /// Reads all that the server has sent up to now, and drops it: asks for the commands, whose
    /// answer comes after whatever was sent before.
    pub fn settle(&self) {
        self.heard_up_to_now();
    }

    /// Waits until so many have been told of who join, by name or in a count, which comes up to a
    /// second later.
    #[track_caller]
    pub fn hear_of_joins(&self, count: usize) {
        let mut joined = 0;
        while joined < count {
            let notice = self.hear_text();
            let who = notice.strip_suffix(" joined").expect("a notice of those who join");
            joined += who.parse().unwrap_or(1);
        }
    }

    /// Everything that the server has sent up to now, found by asking for something and reading
    /// until its answer. The server does one thing after the other, so what it does about an earlier
    /// datagram, of anyone, is done by then.
    pub fn heard_up_to_now(&self) -> Vec<String> {
        self.say("/help");
        let mut heard = Vec::new();
        loop {
            let text = self.hear_text();
            let is_answer = text.trim_start_matches('\0').starts_with('/');
            if is_answer {
                return heard;
            }
            heard.push(text);
        }
    }

    /// The server has sent nothing up to now.
    #[track_caller]
    pub fn expect_silence(&self) {
        assert_eq!(self.heard_up_to_now(), Vec::<String>::new());
    }

    /// Nothing lies in the socket, for a member that can't ask any more.
    #[track_caller]
    pub fn expect_empty_socket(&self) {
        self.socket.set_nonblocking(true).expect("an option");
        let error = self.socket.recv(&mut [0; 16]).expect_err("nothing there");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).expect("an option");
    }
}

/// The payload of a request for text delivery.
pub fn text(name: &str) -> String {
    format!(r#"{{"username":"{name}"}}"#)
}

/// Alice, the host of the room "room", and her guest Bob, both with text delivery; they have heard
/// of each other.
pub fn alice_and_bob(server: &Server) -> (Member, Member) {
    let alice = Member::create(server, "room", &text("alice"));
    let bob = Member::join(server, "room", &text("bob"));
    alice.expect("bob joined");
    (alice, bob)
}

/// A member of "room" with text delivery that speaks to `ip` over TCP and UDP; its connected socket
/// hears nobody else. For servers with a wildcard bind.
pub fn speak_to(server: &Server, ip: IpAddr, operation: u8, name: &str) -> Member {
    let mut control = Control::connect_to(SocketAddr::new(ip, server.tcp.port()));
    let token = control.enter(operation, "room", text(name).as_bytes());
    let udp = SocketAddr::new(ip, server.udp.port());
    let member = Member::with_token(udp, control.local_ip(), "room", token);
    member.socket.connect(udp).expect("a route");
    member.prove();
    member
}

/// An address of the loopback range: another client than 127.0.0.1.
pub fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}
