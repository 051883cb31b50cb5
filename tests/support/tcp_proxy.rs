//! A relay between a client and the TCP port of a server: it records what passes, and cuts
//! connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// A relay in threads of its own, until it is dropped.
pub struct TcpProxy {
    pub address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    server: SocketAddr,
    has_ended: AtomicBool,
    /// Both sockets of every connection so far.
    pairs: Mutex<Vec<[TcpStream; 2]>>,
    record: Mutex<Vec<u8>>,
}

impl TcpProxy {
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            server,
            has_ended: AtomicBool::new(false),
            pairs: Mutex::default(),
            record: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let thread = Some(thread::spawn(move || accept(&listener, &shared)));
        Self { address, state, thread }
    }

    /// Cuts every connection. Later ones are relayed again.
    pub fn cut(&self) {
        for [client, server] in self.state.pairs.lock().expect("pairs").drain(..) {
            // The peer may have ended its socket already.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Returns everything that has passed in both directions. The bytes of one connection and
    /// direction are in order.
    pub fn record(&self) -> Vec<u8> {
        self.state.record.lock().expect("a record").clone()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.state.has_ended.store(true, Ordering::SeqCst);
        self.cut();
        // This wakes the thread. If it panicked the test has failed anyway.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while let Ok((client, _)) = listener.accept()
        && !state.has_ended.load(Ordering::SeqCst)
    {
        // Without a server the client finds its connection closed.
        let Ok(server) = TcpStream::connect(state.server) else { continue };
        let copies = [client.try_clone(), server.try_clone()].map(|copy| copy.expect("a socket"));
        let others = [client.try_clone(), server.try_clone()].map(|copy| copy.expect("a socket"));
        state.pairs.lock().expect("pairs").push(others);
        let [client_copy, server_copy] = copies;
        relay(client, server_copy, Arc::clone(state));
        relay(server, client_copy, Arc::clone(state));
    }
}

/// Starts to relay one direction.
fn relay(mut from: TcpStream, mut to: TcpStream, state: Arc<State>) {
    thread::spawn(move || {
        let mut chunk = [0; 16384];
        // An error is an end.
        while let Ok(size @ 1..) = from.read(&mut chunk) {
            state.record.lock().expect("a record").extend_from_slice(&chunk[..size]);
            if to.write_all(&chunk[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
