//! A service manager: the socket on which a server tells its state.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::DEADLINE;

/// A datagram that is no state.
const FILLER: &str = "X_FILLER=1";

/// A service manager's socket. Its file, if it has one, is removed when it is dropped.
pub struct Manager {
    socket: UnixDatagram,
    /// The value of `NOTIFY_SOCKET`.
    name: String,
    file: Option<PathBuf>,
}

impl Manager {
    /// Opens a socket with a file.
    pub fn at_path() -> Self {
        let file = std::env::temp_dir().join(unique_name());
        let socket = UnixDatagram::bind(&file).expect("a free path");
        let name = file.to_str().expect("UTF-8").into();
        Self::of(socket, name, Some(file))
    }

    /// Opens a socket with an abstract name.
    pub fn at_name() -> Self {
        let name = unique_name();
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("a free name");
        Self::of(socket, format!("@{name}"), None)
    }

    fn of(socket: UnixDatagram, name: String, file: Option<PathBuf>) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        Self { socket, name, file }
    }

    /// Returns a command that runs this server as its service, on free ports.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reactor-chat"));
        command.args(["--tcp-port", "0", "--udp-port", "0"]).args(options);
        command.env("NOTIFY_SOCKET", &self.name);
        command
    }

    /// Waits for the next state. The kernel does not restart a call with a timeout after a signal (signal(7)).
    pub fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let size = loop {
            match self.socket.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => break outcome.expect("a state in time"),
            }
        };
        String::from_utf8(buffer[..size].to_vec()).expect("UTF-8")
    }

    /// Checks the next state.
    #[track_caller]
    pub fn expect(&self, state: &str) {
        assert_eq!(self.next(), state);
    }

    /// Waits for this state.
    pub fn expect_sometime(&self, state: &str) {
        while self.next() != state {}
    }

    /// Checks that no state comes for this long.
    #[track_caller]
    pub fn expect_silence(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).expect("a timeout");
        let error = self.socket.recv(&mut [0; 256]).expect_err("nothing");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        self.socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    }

    /// Fills the socket, so that it takes no state until the manager reads again.
    pub fn fill(&self) {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.set_nonblocking(true).expect("an option");
        let address = self.socket.local_addr().expect("an address");
        while socket.send_to_addr(FILLER.as_bytes(), &address).is_ok() {}
    }

    /// Reads what [`Manager::fill`] has sent.
    pub fn skip_filling(&self) -> String {
        loop {
            let state = self.next();
            if state != FILLER {
                return state;
            }
        }
    }

    /// Discards the states that wait, and returns their number.
    pub fn settle(&self) -> usize {
        self.socket.set_nonblocking(true).expect("an option");
        let count = std::iter::from_fn(|| self.socket.recv(&mut [0; 256]).ok()).count();
        self.socket.set_nonblocking(false).expect("an option");
        count
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // A test may have removed it.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Returns a name that no other test uses.
fn unique_name() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("reactor-chat-manager-{}-{count}", std::process::id())
}
