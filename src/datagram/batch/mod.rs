//! Datagrams in batches: one contract, two implementations.
//!
//! [`mmsg`] uses Linux' batch calls and lets the kernel cut a message into datagrams; [`one_by_one`]
//! uses what std has everywhere. The server takes the first; both are held to the same contract by
//! the tests here.
//!
//! The contract of sending: messages are sent in order; the result is how many were, at least one; an
//! error is about the first message and nobody else's. So a caller that leaves out a message which
//! can't be sent, and calls again with what follows, sends each of the others exactly once.

mod mmsg;
mod one_by_one;
#[cfg(test)]
pub(super) mod played;

use std::io;

use mio::net::UdpSocket;

use crate::config::DatagramPath;
use crate::sys::{Arrival, Outgoing};

use mmsg::Mmsg;
use one_by_one::OneByOne;

/// A way to receive and send.
pub(super) enum Batch {
    Mmsg(Mmsg),
    OneByOne(OneByOne),
    /// Loopback never fills a send buffer and refuses no segments: what the kernel says of those is
    /// played here, at the one place where it would come from.
    #[cfg(test)]
    Played(played::Played),
}

impl Batch {
    /// Buffers for datagrams of at most `size` bytes; longer ones are cut.
    pub(super) fn new(path: DatagramPath, size: usize) -> Self {
        match path {
            DatagramPath::Mmsg => Self::Mmsg(Mmsg::new(size)),
            DatagramPath::Portable => Self::OneByOne(OneByOne::new(size)),
        }
    }

    /// Whether a message may be more than one datagram, either way.
    pub(super) fn can_segment(&self) -> bool {
        !matches!(self, Self::OneByOne(_))
    }

    /// Receives up to `max` arrivals, hands each to `take`, and gives how many there were.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, else an error that ends nothing.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        max: usize,
        take: impl FnMut(Arrival<'_>),
    ) -> io::Result<usize> {
        match self {
            Self::Mmsg(mmsg) => mmsg.receive(socket, max, take),
            Self::OneByOne(one_by_one) => one_by_one.receive(socket, max, take),
            #[cfg(test)]
            Self::Played(played) => played.receive(take),
        }
    }

    /// Sends messages whose pieces lie in `bytes`, and gives how many.
    ///
    /// # Errors
    /// Why the first can't be sent: `WouldBlock` when the socket is full.
    pub(super) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        bytes: &[u8],
        messages: impl Iterator<Item = Outgoing<'a>> + Clone,
    ) -> io::Result<usize> {
        match self {
            Self::Mmsg(mmsg) => mmsg.send(socket, bytes, messages),
            Self::OneByOne(one_by_one) => one_by_one.send(socket, bytes, messages),
            #[cfg(test)]
            Self::Played(played) => played.send(bytes, messages),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::SocketAddr;

    use crate::sys::{Address, BATCH};

    const PATHS: [DatagramPath; 2] = [DatagramPath::Mmsg, DatagramPath::Portable];

    fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0".parse().expect("an address")).expect("a free port")
    }

    /// Nothing can be sent to port 0: sendto(2) says EINVAL.
    const BAD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// Sends to every destination as a caller must, leaving out what can't be sent; gives how many
    /// that were.
    fn send_all(batch: &mut Batch, from: &UdpSocket, to: &[SocketAddr]) -> usize {
        let to: Vec<Address> = to.iter().map(|at| Address::from(*at)).collect();
        let outgoing = |to| Outgoing { to, local: None, pieces: &[(0, 2)], segment: None };
        let (mut next, mut refused) = (0, 0);
        while next < to.len() {
            match batch.send(from, b"hi", to[next..].iter().map(outgoing)) {
                Ok(sent) => {
                    assert!(sent >= 1, "at least one, or an error");
                    next += sent;
                }
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::WouldBlock);
                    refused += 1;
                    next += 1;
                }
            }
        }
        refused
    }

    /// How many datagrams lie in a socket.
    fn count(batch: &mut Batch, socket: &UdpSocket) -> usize {
        let mut total = 0;
        let error = loop {
            match batch.receive(socket, BATCH, |arrival| assert_eq!(arrival.bytes, b"hi")) {
                Ok(count) => total += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        total
    }

    #[test]
    fn d4_a_bad_destination_costs_only_itself_wherever_it_stands() {
        for path in PATHS {
            let mut batch = Batch::new(path, 16);
            for bad in [&[0][..], &[2], &[4], &[0, 1, 2], &[0, 4], &[0, 1, 2, 3, 4], &[]] {
                let sockets: Vec<UdpSocket> = (0..5).map(|_| socket()).collect();
                let to: Vec<SocketAddr> = (0..5)
                    .map(|index| match bad.contains(&index) {
                        true => BAD,
                        false => sockets[index].local_addr().expect("an address"),
                    })
                    .collect();
                assert_eq!(send_all(&mut batch, &socket(), &to), bad.len());
                for (index, socket) in sockets.iter().enumerate() {
                    let expected = usize::from(!bad.contains(&index));
                    assert_eq!(count(&mut batch, socket), expected, "{path:?} {bad:?} {index}");
                }
            }
        }
    }

    #[test]
    fn d4_more_than_one_batch_reaches_each_destination_exactly_once() {
        for path in PATHS {
            let mut batch = Batch::new(path, 16);
            let sockets: Vec<UdpSocket> = (0..2 * BATCH + 3).map(|_| socket()).collect();
            let to: Vec<SocketAddr> =
                sockets.iter().map(|socket| socket.local_addr().expect("an address")).collect();
            assert_eq!(send_all(&mut batch, &socket(), &to), 0);
            assert!(sockets.iter().all(|socket| count(&mut batch, socket) == 1), "{path:?}");
        }
    }

    #[test]
    fn d1_d2_empty_and_long_datagrams_are_told_apart() {
        for path in PATHS {
            let mut batch = Batch::new(path, 4);
            let (a, b) = (socket(), socket());
            let to = b.local_addr().expect("an address");
            for bytes in [&b""[..], b"1234", b"12345"] {
                a.send_to(bytes, to).expect("sent");
            }
            let mut sizes = Vec::new();
            while batch.receive(&b, 8, |arrival| sizes.push(arrival.bytes.len())).is_ok() {}
            assert_eq!(
                sizes,
                [0, 4, 4],
                "{path:?}: cut to the buffer, which is the limit plus one"
            );
        }
    }
}
