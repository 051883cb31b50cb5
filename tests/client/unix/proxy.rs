//! A relay between a client and the Unix socket of a server, which cuts connections.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::SockRef;

/// Both sockets of every connection.
type Pairs = Arc<Mutex<Vec<[UnixStream; 2]>>>;

/// A relay in threads of its own, until it is dropped.
pub struct UnixProxy {
    pub path: PathBuf,
    listener: UnixListener,
    pairs: Pairs,
}

impl UnixProxy {
    pub fn start(server: &Path, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let pairs = Pairs::default();
        let accepting = listener.try_clone().expect("a socket");
        let (server, shared) = (server.to_owned(), Arc::clone(&pairs));
        thread::spawn(move || {
            while let Ok((client, _)) = accepting.accept() {
                let server = UnixStream::connect(&server).expect("the server");
                relay(copy(&client), copy(&server));
                relay(copy(&server), copy(&client));
                shared.lock().expect("pairs").push([client, server]);
            }
        });
        Self { path: path.into(), listener, pairs }
    }

    /// Cuts every connection. Later ones are relayed again.
    pub fn cut(&self) {
        for stream in self.pairs.lock().expect("pairs").drain(..).flatten() {
            // The peer may have ended its socket already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for UnixProxy {
    fn drop(&mut self) {
        self.cut();
        // This ends the thread: accept(2) fails then.
        let _ = SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

fn copy(stream: &UnixStream) -> UnixStream {
    stream.try_clone().expect("a socket")
}

/// Starts to relay one direction. An error is an end.
fn relay(mut from: UnixStream, mut to: UnixStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
