//! A member's end of a QUIC connection, over the member's socket.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use reactor_chat::protocol::reply::Admission;

use super::control::PATIENCE;
use super::webtransport::WebTransport;

/// Bytes that no packet exceeds.
const PACKET: usize = 2048;

pub struct QuicLink {
    link: WebTransport,
    server: SocketAddr,
    packet: Vec<u8>,
}

impl QuicLink {
    /// Opens a session, and enters a room with this request. Returns the link and the admission.
    ///
    /// # Errors
    /// If the server does not answer, or refuses.
    pub fn enter(
        socket: &UdpSocket,
        server: SocketAddr,
        request: &str,
    ) -> io::Result<(Self, Admission)> {
        let link = WebTransport::new(server, Instant::now());
        let mut quic = Self { link, server, packet: Vec::with_capacity(PACKET) };
        quic.wait(socket, |link| link.is_connected.then_some(()))?;
        quic.link.begin_http();
        quic.link.request_session(&server.to_string(), "/chat", None);
        let session = quic.link.session;
        quic.wait(socket, |link| link.take_status(session))?;
        let stream = quic.wait(socket, WebTransport::open_in_session)?;
        quic.link.write_unit(stream, request.as_bytes());
        let reply = quic.wait(socket, |link| link.take_unit(stream))?;
        let admission = Admission::parse(&reply).ok_or_else(|| {
            io::Error::other(format!("the server refuses: {}", String::from_utf8_lossy(&reply)))
        })?;
        Ok((quic, admission))
    }

    /// Drives the connection until there is an answer.
    fn wait<T>(
        &mut self,
        socket: &UdpSocket,
        mut ask: impl FnMut(&mut WebTransport) -> Option<T>,
    ) -> io::Result<T> {
        let end = Instant::now() + PATIENCE;
        let mut buffer = [0; PACKET];
        loop {
            if let Some(answer) = ask(&mut self.link) {
                self.flush(socket);
                return Ok(answer);
            }
            if Instant::now() > end {
                let why = format!("{} does not answer over QUIC", self.server);
                return Err(io::Error::new(ErrorKind::TimedOut, why));
            }
            self.flush(socket);
            match socket.recv(&mut buffer) {
                Ok(size) => self.link.handle_packet(&buffer[..size], Instant::now()),
                Err(_) => thread::sleep(Duration::from_micros(50)),
            }
            self.handle_timeout(socket, Instant::now());
        }
    }

    /// Sends a message in a datagram.
    pub fn say(&mut self, socket: &UdpSocket, content: &[u8]) {
        // A datagram that cannot be sent is lost, as on any path.
        let _ = self.link.send_datagram(content);
        self.flush(socket);
    }

    /// Handles packets, and passes the contents of their datagrams to `take`.
    pub fn receive<'a>(
        &mut self,
        socket: &UdpSocket,
        packets: impl Iterator<Item = &'a [u8]>,
        now: Instant,
        mut take: impl FnMut(&[u8]),
    ) {
        for packet in packets {
            self.link.handle_packet(packet, now);
        }
        while let Some(content) = self.link.datagrams.pop_front() {
            take(&content);
        }
        self.flush(socket);
    }

    /// Acts on the deadline if it has passed. Returns the next one.
    pub fn handle_timeout(&mut self, socket: &UdpSocket, now: Instant) -> Option<Instant> {
        if self.link.poll_timeout().is_some_and(|due| due <= now) {
            self.link.handle_timeout(now);
            self.flush(socket);
        }
        self.link.poll_timeout()
    }

    fn flush(&mut self, socket: &UdpSocket) {
        while self.link.poll_transmit(&mut self.packet, Instant::now()) {
            let _ = socket.send_to(&self.packet, self.server);
        }
    }
}
