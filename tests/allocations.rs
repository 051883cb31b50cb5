//! In the steady state a relayed message allocates nothing, whatever the delivery, in the clear and
//! sealed, also to members on WebSockets. The server runs in a thread of this test, under an allocator that
//! counts the requests of that thread.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use reactor_chat::options::{self, Invocation};
use reactor_chat::protocol::stream::Completion;
use reactor_chat::reactor::{Exit, Reactor};
use reactor_chat::service::ServiceManager;
use reactor_chat::stream::{StreamReceiver, StreamSender};
use support::carried::{Carried, carried};
use support::sealed::Sealed;
use support::websocket::{BINARY, Socket, WebMember, entry};
use support::*;

struct Counting;

static COUNTED: AtomicUsize = AtomicUsize::new(0);
static IS_COUNTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_SERVER: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: every call is handed to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTING.load(Ordering::Relaxed) && IS_SERVER.try_with(Cell::get).unwrap_or(false) {
            COUNTED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer is from `alloc`, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// So few that each join has a notice of its own. A summary would come a second later.
const MEMBERS: usize = 2;
const SEALED: usize = 1;
const STREAMERS: usize = 1;
const CARRIED: usize = 1;
/// They only read: the library that reads their messages allocates for each.
const ON_WEBSOCKETS: usize = 1;
/// Members that send messages.
const SPEAKERS: usize = MEMBERS + SEALED + STREAMERS + CARRIED;
const ROUNDS: usize = 200;

/// A member with stream delivery.
struct Streamer {
    member: Member,
    receiver: StreamReceiver,
    sender: StreamSender,
}

impl Streamer {
    fn new(member: Member, completion: &Completion) -> Self {
        let keep_alive = Duration::from_secs(completion.keep_alive);
        let Completion { tag, next, expected, .. } = *completion;
        let receiver = StreamReceiver::new(tag, next, keep_alive, Instant::now());
        Self { member, receiver, sender: StreamSender::new(completion.member, expected, "room") }
    }

    fn say(&mut self, text: &str) {
        self.sender.push(text.as_bytes()).expect("space");
        self.transmit();
    }

    fn transmit(&mut self) {
        let (now, mut body) = (Instant::now(), Vec::new());
        while self.receiver.poll_transmit(now, &mut body)
            || self.sender.poll_transmit(now, &mut body)
        {
            self.member.say_bytes(&body);
        }
    }

    /// Receives up to this entry.
    fn hear_to(&mut self, next: u64) {
        while self.receiver.next() < next {
            let (datagram, now) = (self.member.hear(), Instant::now());
            let Self { receiver, sender, .. } = self;
            receiver.handle_datagram(&datagram, now, |event| sender.handle_event(&event, now));
            self.transmit();
        }
    }
}

/// Members on all paths.
struct Crowd {
    members: Vec<Member>,
    sealed: Vec<Sealed>,
    streamers: Vec<Streamer>,
    carried: Vec<Carried>,
    on_websockets: Vec<WebMember>,
}

impl Crowd {
    /// Enters all members, which then read what has come so far.
    fn enter(tcp: SocketAddr, udp: SocketAddr) -> Self {
        let enter_sealed = |index| Sealed::enter((tcp, udp), JOIN, &format!("sealed {index}"), "");
        let mut crowd = Self {
            members: (0..MEMBERS).map(|index| enter(tcp, udp, index)).collect(),
            sealed: (0..SEALED).map(enter_sealed).collect(),
            streamers: (0..STREAMERS).map(|index| enter_stream(tcp, udp, index)).collect(),
            carried: (0..CARRIED).map(|index| enter_carried(tcp, index)).collect(),
            on_websockets: (0..ON_WEBSOCKETS).map(|index| enter_on_websocket(tcp, index)).collect(),
        };
        for streamer in &mut crowd.streamers {
            streamer.hear_to(1 + (STREAMERS + CARRIED + ON_WEBSOCKETS) as u64);
        }
        crowd.carried.iter_mut().for_each(Carried::settle);
        crowd.members.iter().for_each(Member::settle);
        for member in &crowd.sealed {
            member.heard_up_to_now();
        }
        crowd
    }

    /// In every round all members send a message, so that messages wait and are packed, and then
    /// everyone reads.
    fn chat(&mut self) {
        let Self { members, sealed, streamers, carried, on_websockets } = self;
        for round in 0..ROUNDS {
            let text = format!("round {round:05}");
            members.iter().for_each(|member| member.say(&text));
            sealed.iter().for_each(|member| member.say(&text));
            streamers.iter_mut().for_each(|streamer| streamer.say(&text));
            carried.iter_mut().for_each(|member| member.say(&text));
            for _ in 1..SPEAKERS {
                members.iter().for_each(|member| drop(member.hear()));
                carried.iter_mut().for_each(|member| drop(member.hear()));
                sealed.iter().for_each(|member| drop(member.hear()));
            }
            for member in &mut *on_websockets {
                for _ in 0..SPEAKERS {
                    member.socket.expect_frame(BINARY);
                }
            }
            // All stream members have the same cursor now, and the same again at the end.
            for streamer in &mut *streamers {
                streamer.hear_to(streamer.receiver.next() + SPEAKERS as u64);
            }
        }
    }
}

/// Starts a server in a thread. Returns the thread, and the addresses of the server.
fn start_server() -> (JoinHandle<Exit>, (SocketAddr, SocketAddr)) {
    let (listening, listens) = channel();
    let server = thread::spawn(move || {
        IS_SERVER.set(true);
        // A ring that is full soon, because a ring that grows allocates.
        let options = ["--tcp-port=0", "--udp-port=0", "--rate-limit=0", "--room-history=8192"];
        let options = options.map(Into::into);
        let Ok(Invocation::Serve { config, .. }) = options::parse(options) else { panic!("serve") };
        let mut reactor = Reactor::bind(*config, ServiceManager::default()).expect("free ports");
        listening.send(reactor.addresses().expect("addresses")[0]).expect("the test");
        reactor.run().expect("the poll")
    });
    (server, listens.recv_timeout(DEADLINE).expect("a server that listens"))
}

#[test]
fn relaying_allocates_nothing() {
    let (server, (tcp, udp)) = start_server();
    let mut crowd = Crowd::enter(tcp, udp);
    crowd.chat(); // Until every buffer has its size.
    IS_COUNTING.store(true, Ordering::SeqCst);
    crowd.chat();
    IS_COUNTING.store(false, Ordering::SeqCst);
    assert_eq!(COUNTED.load(Ordering::SeqCst), 0, "allocations for {} messages", ROUNDS * SPEAKERS);

    // Checks the counter: a new member allocates.
    IS_COUNTING.store(true, Ordering::SeqCst);
    enter(tcp, udp, MEMBERS);
    IS_COUNTING.store(false, Ordering::SeqCst);
    assert_ne!(COUNTED.load(Ordering::SeqCst), 0);

    let own_pid = std::process::id().to_string();
    std::process::Command::new("kill").args(["-s", "TERM", &own_pid]).status().expect("kill(1)");
    assert_eq!(server.join().expect("no panic"), Exit::Drained);
}

/// The first creates the room. Half of the others have named delivery.
fn enter(tcp: SocketAddr, udp: SocketAddr, index: usize) -> Member {
    let mut control = Control::connect_to(tcp);
    let operation = if index == 0 { CREATE } else { JOIN };
    let payload = match index % 2 {
        0 => format!(r#"{{"username":"member {index}"}}"#),
        _ => format!("member {index}"),
    };
    let token = control.enter(operation, "room", payload.as_bytes());
    let member = Member::with_token(udp, Ipv4Addr::LOCALHOST.into(), "room", token);
    member.prove();
    member
}

fn enter_stream(tcp: SocketAddr, udp: SocketAddr, index: usize) -> Streamer {
    let payload = format!(r#"{{"username":"streamer {index}","delivery":"stream"}}"#);
    let mut control = Control::connect_to(tcp);
    control.request(JOIN, "room", payload.as_bytes());
    let completion = Completion::parse(&control.expect_success()).expect("a stream's completion");
    let token = completion.token.to_wire();
    let member = Member::with_token(udp, Ipv4Addr::LOCALHOST.into(), "room", token);
    let mut streamer = Streamer::new(member, &completion);
    streamer.transmit();
    streamer
}

fn enter_carried(tcp: SocketAddr, index: usize) -> Carried {
    let mut control = Control::connect_to(tcp);
    control.request(JOIN, "room", carried(&format!("carried {index}"), "").as_bytes());
    let payload = control.expect_success();
    Carried { control, payload }
}

fn enter_on_websocket(tcp: SocketAddr, index: usize) -> WebMember {
    let stream = TcpStream::connect(tcp).expect("a connection");
    let socket = Socket::over_tcp(stream, &tcp.to_string());
    WebMember::enter(socket, &entry("join", &format!("on websocket {index}"), ""))
}
