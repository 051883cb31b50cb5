//! In the steady state a relayed message allocates nothing: the server runs in a thread of this
//! test, under an allocator that counts what that thread asks for.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use reactor_chat::options::{self, Invocation};
use reactor_chat::reactor::{Exit, Reactor};
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

/// Few enough that their joining is told by name, and not in a count a second later.
const MEMBERS: usize = 5;
const ROUNDS: usize = 200;

/// Every member says something in every round, so that messages wait and go together, and everyone
/// reads what the others said.
fn chat(members: &[Member]) {
    for round in 0..ROUNDS {
        for member in members {
            member.say(&format!("round {round:05}"));
        }
        for member in members {
            for _ in 1..members.len() {
                member.hear();
            }
        }
    }
}

#[test]
fn a_relayed_message_allocates_nothing() {
    let (listening, listens) = channel();
    let server = thread::spawn(move || {
        IS_SERVER.set(true);
        let options = ["--tcp-port=0", "--udp-port=0", "--rate-limit=0"].map(Into::into);
        let Ok(Invocation::Serve { config, .. }) = options::parse(options) else { panic!("serve") };
        let mut reactor = Reactor::bind(*config).expect("free ports");
        listening.send(reactor.addresses().expect("addresses")[0]).expect("the test");
        reactor.run().expect("the poll")
    });
    let (tcp, udp) = listens.recv_timeout(DEADLINE).expect("a server that listens");
    let members: Vec<Member> = (0..MEMBERS).map(|index| enter(tcp, udp, index)).collect();
    for member in &members {
        member.settle();
    }

    chat(&members); // Until every buffer has its size.
    IS_COUNTING.store(true, Ordering::SeqCst);
    chat(&members);
    IS_COUNTING.store(false, Ordering::SeqCst);
    assert_eq!(COUNTED.load(Ordering::SeqCst), 0, "allocations for {} messages", ROUNDS * MEMBERS);

    // The counter counts: a new member allocates.
    IS_COUNTING.store(true, Ordering::SeqCst);
    enter(tcp, udp, MEMBERS);
    IS_COUNTING.store(false, Ordering::SeqCst);
    assert_ne!(COUNTED.load(Ordering::SeqCst), 0);

    let own_pid = std::process::id().to_string();
    std::process::Command::new("kill").args(["-s", "TERM", &own_pid]).status().expect("kill(1)");
    assert_eq!(server.join().expect("no panic"), Exit::Drained);
}

/// The first makes the room; half of the others take the other form of delivery.
fn enter(tcp: SocketAddr, udp: SocketAddr, index: usize) -> Member {
    let mut control = Control::connect_to(tcp);
    let operation = if index == 0 { CREATE } else { JOIN };
    let payload = match index % 2 {
        0 => format!(r#"{{"username":"member {index}"}}"#),
        _ => format!("member {index}"),
    };
    let token = control.enter(operation, "r", payload.as_bytes());
    let member = Member::with_token(udp, Ipv4Addr::LOCALHOST.into(), "r", token);
    member.prove();
    member
}
