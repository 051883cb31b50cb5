//! The socket on which the service manager learns the server's state (sd_notify(3)).
//!
//! It is a Unix datagram socket. A reader that sleeps blocks its sender once a few datagrams wait, so
//! everything is sent with `O_NONBLOCK`. The crate sd-notify sends without it, and takes an abstract
//! name for a file. A state that was not taken waits for the next call, and of each kind only the last
//! one waits. So a reader that never reads costs no more than that.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A state of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It reads again what can be read again. The value is the time of the monotonic clock, which
    /// `Type=notify-reload` requires (systemd.service(5)).
    Reloading(Duration),
    /// It listens, or has finished a reload.
    Ready,
    /// A line for `systemctl status`.
    Status(String),
    /// It ends.
    Stopping,
    /// Its loop turns.
    Alive,
}

/// The number of kinds of states.
const KINDS: usize = 5;

/// The socket, and the states that it has not taken.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    /// One state of each kind, in the order in which they are sent.
    waiting: [Option<String>; KINDS],
    is_failing: bool,
}

impl Notifier {
    /// Opens a socket that sends to this path or, after an `@`, this abstract name.
    ///
    /// # Errors
    /// If it is neither, is too long, or no descriptor is left.
    pub fn open(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, waiting: Default::default(), is_failing: false })
    }

    /// Sends a state, after those that wait. It replaces a waiting one of its kind.
    pub fn send(&mut self, state: State) {
        let (kind, text) = match state {
            State::Reloading(time) => {
                (0, format!("RELOADING=1\nMONOTONIC_USEC={}", time.as_micros()))
            }
            State::Ready => (1, "READY=1".into()),
            State::Status(text) => (2, format!("STATUS={text}")),
            State::Stopping => (3, "STOPPING=1".into()),
            State::Alive => (4, "WATCHDOG=1".into()),
        };
        self.waiting[kind] = Some(text);
        self.flush();
    }

    /// Sends the waiting states, as far as the socket takes them.
    pub fn flush(&mut self) {
        for waiting in &mut self.waiting {
            let Some(text) = waiting else { continue };
            match self.socket.send_to_addr(text.as_bytes(), &self.address) {
                Ok(_) => (*waiting, self.is_failing) = (None, false),
                Err(error) => {
                    let is_news = !std::mem::replace(&mut self.is_failing, true);
                    if is_news && error.kind() != ErrorKind::WouldBlock {
                        log::warn!("cannot tell the service manager the server's state: {error}");
                    }
                    return;
                }
            }
        }
    }

    /// Returns true if a state waits.
    pub fn has_waiting(&self) -> bool {
        self.waiting.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a manager's socket with an abstract name of this test, and a notifier of it.
    fn manager(test: &str) -> (UnixDatagram, Notifier) {
        let name = format!("reactor-chat-{}-{test}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let manager = UnixDatagram::bind_addr(&address).expect("a free name");
        manager.set_nonblocking(true).expect("an option");
        let notifier = Notifier::open(OsStr::new(&format!("@{name}"))).expect("a socket");
        (manager, notifier)
    }

    fn received(manager: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 256];
        std::iter::from_fn(|| manager.recv(&mut buffer).ok().map(|size| buffer[..size].to_vec()))
            .map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
            .collect()
    }

    #[test]
    fn u5_states_have_their_lines() {
        let (manager, mut notifier) = manager("lines");
        notifier.send(State::Ready);
        notifier.send(State::Status("rooms 1".into()));
        notifier.send(State::Reloading(Duration::from_micros(1_234_567)));
        notifier.send(State::Alive);
        notifier.send(State::Stopping);
        let reloading = "RELOADING=1\nMONOTONIC_USEC=1234567";
        let all = ["READY=1", "STATUS=rooms 1", reloading, "WATCHDOG=1", "STOPPING=1"];
        assert_eq!(received(&manager), all);
    }

    #[test]
    fn u5_sleeping_manager_costs_little() {
        let (manager, mut notifier) = manager("sleeping");
        for number in 0..100_000 {
            notifier.send(State::Status(format!("rooms {number}")));
        }
        notifier.send(State::Ready);
        assert!(notifier.has_waiting());
        let early = received(&manager);
        assert!(!early.is_empty() && early.len() < 100_000, "{}", early.len());
        notifier.flush();
        assert_eq!(received(&manager), ["READY=1", "STATUS=rooms 99999"], "the last of each kind");
        assert!(!notifier.has_waiting());
    }

    #[test]
    fn u5_absent_manager_is_tried_again() {
        let (manager, mut notifier) = manager("absent");
        let address = manager.local_addr().expect("a name");
        drop(manager);
        notifier.send(State::Ready);
        assert!(notifier.has_waiting());
        let manager = UnixDatagram::bind_addr(&address).expect("a free name");
        manager.set_nonblocking(true).expect("an option");
        notifier.flush();
        assert_eq!(received(&manager), ["READY=1"]);
    }

    #[test]
    fn u5_odd_notify_sockets_are_refused() {
        for name in ["", "run/notify", "vsock:2:1", &format!("/{}", "x".repeat(108))] {
            Notifier::open(OsStr::new(name)).expect_err(name);
        }
    }
}
