//! Batches: the contract of one receive call and one send call, with two implementations.
//!
//! **Receiving** hands over at least one arrival, or fails. An arrival is a datagram, or several of one size
//! from one sender that the kernel has joined (UDP_GRO), with the sender's address, the local address
//! that it was sent to, and the number of datagrams that the kernel had dropped. `WouldBlock` means that
//! the socket is empty. Any other error is about a datagram sent earlier; the caller counts it and
//! calls again.
//!
//! **Sending** takes messages in order, and returns the number of messages that were sent: at least one. A
//! message is one datagram, or several of one size that the kernel cuts it into (UDP_SEGMENT). An error
//! is about the first message and no other. So a caller that leaves out a message which cannot be sent,
//! and calls again with the messages after it, sends each of them exactly once.
//!
//! The rest of the datagram layer needs nothing else. [`mmsg`] uses the batch calls of Linux;
//! [`one_by_one`] uses the calls that std has on every system. The server uses the first; the tests here
//! hold both to the contract.

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
    /// A kernel for tests. Loopback never fills a send buffer and never refuses segments, so a script
    /// plays those outcomes.
    #[cfg(test)]
    Played(played::Played),
}

impl Batch {
    /// Creates buffers for arrivals of at most `size` bytes; longer ones are cut.
    pub(super) fn new(path: DatagramPath, size: usize) -> Self {
        match path {
            DatagramPath::Mmsg => Self::Mmsg(Mmsg::new(size)),
            DatagramPath::Portable => Self::OneByOne(OneByOne::new(size)),
        }
    }

    /// Returns true if a message or an arrival may be several datagrams.
    pub(super) fn can_segment(&self) -> bool {
        !matches!(self, Self::OneByOne(_))
    }

    /// Receives up to `max` arrivals, hands each to `take`, and returns their number.
    ///
    /// # Errors
    /// `WouldBlock` if there is none; otherwise an error that ends nothing.
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

    /// Sends messages whose pieces refer to `bytes`, and returns the number of messages sent.
    ///
    /// # Errors
    /// If the first message cannot be sent: `WouldBlock` if the send buffer is full.
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

    /// Nothing can be sent to port 0: sendto(2) fails with EINVAL.
    const BAD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    /// Sends to every destination as the contract demands, and returns the number of messages that
    /// could not be sent.
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

    /// Returns the number of our datagrams in a socket. Other programs may still send to the last owner of
    /// its port.
    fn count(batch: &mut Batch, socket: &UdpSocket) -> usize {
        let mut total = 0;
        let error = loop {
            let received = batch.receive(socket, BATCH, |arrival| {
                total += usize::from(arrival.bytes == b"hi");
            });
            if let Err(error) = received {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        total
    }

    #[test]
    fn d4_bad_destination_costs_only_itself() {
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
    fn d4_several_batches_send_each_once() {
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
    fn d1_d2_empty_and_long_datagrams() {
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
                "{path:?}: cut to the buffer, which is larger than the limit by one"
            );
        }
    }
}
