//! Tests of the machine against clients in memory: a network that loses packets, and a clock that a test sets.

mod limits;
mod sessions;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    Event as QuicEvent, Side, StreamEvent, StreamId,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;

use super::h3::encode::{HEADERS, SESSION_STREAM, put_frame, put_section, put_varint};
use super::*;
use crate::address::Endpoint as Address;
use crate::ids::Key;
use crate::protocol::carried::{DecodedUnit, SIZE_FIELD, decode, encode};

const TIMEOUTS: Timeouts =
    Timeouts { handshake: Some(Duration::from_secs(10)), request: Some(Duration::from_secs(120)) };

/// Returns the first stream of a client: that of the session.
fn session() -> StreamId {
    StreamId::new(Side::Client, Dir::Bi, 0)
}

fn member(slot: u32) -> MemberId {
    MemberId(Key { slot, generation: 0 })
}

/// A server's certificate, and the settings of a client that trusts it.
fn certificate() -> (rustls::ServerConfig, ClientConfig) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
    let certificate = CertificateDer::from(params.self_signed(&key).expect("a certificate"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![h3::ALPN.to_vec()];
    let client = QuicClientConfig::try_from(client).expect("the first cipher suite");
    (server, ClientConfig::new(Arc::new(client)))
}

/// A client: one connection, and what it has received.
struct Client {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    connection: Connection,
    address: SocketAddr,
    received: BTreeMap<StreamId, Vec<u8>>,
    finished: Vec<StreamId>,
    datagrams: Vec<Bytes>,
    lost: Option<ConnectionError>,
    is_connected: bool,
}

impl Client {
    fn new(config: &ClientConfig, port: u16, now: Instant) -> Self {
        let mut endpoint =
            Endpoint::new(Arc::new(quinn_proto::EndpointConfig::default()), None, false, None);
        let server = SocketAddr::from(([127, 0, 0, 1], 9002));
        let (handle, connection) =
            endpoint.connect(now, config.clone(), server, "localhost").expect("a connection");
        Self {
            endpoint,
            handle,
            connection,
            address: SocketAddr::from(([192, 0, 2, 1], port)),
            received: BTreeMap::new(),
            finished: Vec::new(),
            datagrams: Vec::new(),
            lost: None,
            is_connected: false,
        }
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        let written = self.connection.send_stream(stream).write(bytes);
        assert_eq!(written.expect("space"), bytes.len());
    }

    fn open(&mut self, dir: Dir, bytes: &[u8]) -> StreamId {
        let stream = self.connection.streams().open(dir).expect("a stream");
        self.write(stream, bytes);
        stream
    }

    /// Asks for a session.
    fn ask(&mut self) {
        let mut fields = Vec::new();
        let request = [
            (":method", "CONNECT"),
            (":protocol", "webtransport"),
            (":scheme", "https"),
            (":authority", "127.0.0.1:9002"),
            (":path", "/chat"),
        ];
        put_section(&mut fields, &request);
        let mut bytes = Vec::new();
        put_frame(&mut bytes, HEADERS, &fields);
        self.open(Dir::Uni, &h3::control_stream());
        assert_eq!(self.open(Dir::Bi, &bytes), session());
    }

    /// Opens a stream of the session that begins with a unit.
    fn request(&mut self, content: &[u8]) -> StreamId {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, SESSION_STREAM);
        put_varint(&mut bytes, 0);
        encode(content, &mut bytes);
        self.open(Dir::Bi, &bytes)
    }

    fn send_unit(&mut self, stream: StreamId, content: &[u8]) {
        let mut bytes = Vec::new();
        encode(content, &mut bytes);
        self.write(stream, &bytes);
    }

    fn send_datagram(&mut self, content: &[u8]) {
        let datagram = Bytes::from([&[0], content].concat());
        self.connection.datagrams().send(datagram, true).expect("datagrams");
    }

    /// Returns the units that came on a stream.
    fn units(&self, stream: StreamId) -> Vec<Vec<u8>> {
        let mut rest = self.received.get(&stream).map_or(&[][..], |bytes| bytes);
        let mut units = Vec::new();
        while let DecodedUnit::Whole(content) = decode(rest, usize::from(u16::MAX)) {
            units.push(content.to_vec());
            rest = &rest[SIZE_FIELD + content.len()..];
        }
        assert!(rest.is_empty(), "a part of a unit");
        units
    }

    /// Takes everything that has arrived.
    fn take(&mut self) {
        while let Some(event) = self.connection.poll() {
            match event {
                QuicEvent::Connected => self.is_connected = true,
                QuicEvent::ConnectionLost { reason } => self.lost = Some(reason),
                QuicEvent::Stream(StreamEvent::Readable { id }) => self.read(id),
                QuicEvent::Stream(StreamEvent::Opened { dir }) => {
                    while let Some(id) = self.connection.streams().accept(dir) {
                        self.read(id);
                    }
                }
                _ => {}
            }
        }
        while let Some(datagram) = self.connection.datagrams().recv() {
            self.datagrams.push(datagram.slice(1..));
        }
    }

    fn read(&mut self, stream: StreamId) {
        let mut receive = self.connection.recv_stream(stream);
        let Ok(mut chunks) = receive.read(true) else { return };
        let into = self.received.entry(stream).or_default();
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
                Ok(None) => {
                    self.finished.push(stream);
                    break;
                }
                Err(_) => break,
            }
        }
        let _ = chunks.finalize();
    }
}

/// The machine, its clients, and the network between them.
struct Stage {
    quic: Quic,
    client_config: ClientConfig,
    clients: Vec<Client>,
    now: Instant,
    /// Events that the machine has returned and no test has taken.
    events: VecDeque<Event>,
    /// One of so many packets is lost, 0 for none.
    loss: u64,
    /// One of so many packets to the machine is damaged, 0 for none.
    noise: u64,
    dice: u64,
    /// Limit for the connections.
    max: usize,
    /// Bytes of packets to the clients.
    sent: Vec<usize>,
}

impl Stage {
    fn new() -> Self {
        let (server, client_config) = certificate();
        let mut quic = Quic::new(TIMEOUTS);
        quic.set_certificate(&server);
        Self {
            quic,
            client_config,
            clients: Vec::new(),
            now: Instant::now(),
            events: VecDeque::new(),
            loss: 0,
            noise: 0,
            dice: 88_172_645_463_325_252,
            max: usize::MAX,
            sent: Vec::new(),
        }
    }

    fn add_client(&mut self) -> usize {
        let port = 1_000 + self.clients.len() as u16;
        self.clients.push(Client::new(&self.client_config, port, self.now));
        self.clients.len() - 1
    }

    fn add_clients(&mut self, count: usize) {
        for _ in 0..count {
            self.add_client();
        }
    }

    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice >> 11
    }

    fn is_lost(&mut self) -> bool {
        let roll = self.roll();
        self.loss > 0 && roll.is_multiple_of(self.loss)
    }

    /// Flips a bit of some packets.
    fn damage(&mut self, packet: &mut [u8]) {
        let (roll, place) = (self.roll(), self.roll() as usize % packet.len());
        if self.noise > 0 && roll.is_multiple_of(self.noise) {
            packet[place] ^= 1 << (roll >> 20 & 7);
        }
    }

    /// Sends what the clients have to send. Returns true if there was something.
    fn send_up(&mut self) -> bool {
        let mut has_sent = false;
        for index in 0..self.clients.len() {
            let mut buffer = Vec::new();
            while let Some(transmit) =
                self.clients[index].connection.poll_transmit(self.now, 1, &mut buffer)
            {
                has_sent = true;
                let remote = Address::from(self.clients[index].address);
                let origin = Origin { socket: 0, local: None, remote };
                self.damage(&mut buffer[..transmit.size]);
                if !self.is_lost() {
                    self.quic.handle_datagram(&origin, &buffer[..transmit.size], self.now);
                }
                buffer.clear();
            }
        }
        has_sent
    }

    /// One turn of a server: handshakes, events and packets. Returns true if there was something.
    fn turn(&mut self) -> bool {
        let (now, max) = (self.now, self.max);
        self.quic.answer_greetings(now, |_, (all, _)| all < max);
        while let Some(event) = self.quic.poll_event(now) {
            if let Event::Session { id, .. } = &event {
                self.quic.answer_session(*id, 200);
            }
            self.events.push_back(event);
        }
        let mut has_sent = false;
        while let Some((origin, reply)) = self.quic.poll_reply() {
            has_sent = true;
            self.send_down(&origin, &reply);
        }
        let mut packets = Vec::new();
        while let Some((origin, segment)) = self.quic.poll_transmit(10, &mut packets, |_| true, now)
        {
            has_sent = true;
            let size = segment.unwrap_or(packets.len());
            for packet in packets.chunks(size) {
                self.send_down(&origin, packet);
            }
        }
        self.quic.end_turn();
        has_sent
    }

    fn send_down(&mut self, origin: &Origin, packet: &[u8]) {
        self.sent.push(packet.len());
        let remote = origin.remote.socket_addr();
        let is_lost = self.is_lost();
        let Some(client) = self.clients.iter_mut().find(|client| client.address == remote) else {
            return;
        };
        if is_lost {
            return;
        }
        let server = SocketAddr::from(([127, 0, 0, 1], 9002));
        let data = BytesMut::from(packet);
        let event = client.endpoint.handle(self.now, server, None, None, data, &mut Vec::new());
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            client.connection.handle_event(event);
        }
        while let Some(event) = client.connection.poll_endpoint_events() {
            if let Some(event) = client.endpoint.handle_event(client.handle, event) {
                client.connection.handle_event(event);
            }
        }
        client.take();
    }

    /// Exchanges packets until nobody has any.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let is_up = self.send_up();
            let is_down = self.turn();
            if !is_up && !is_down {
                return;
            }
        }
        panic!("endless packets");
    }

    /// Moves the clock by so many milliseconds, with each deadline on the way.
    fn advance(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        loop {
            self.settle();
            let clients = self.clients.iter_mut().filter_map(|it| it.connection.poll_timeout());
            let due = clients.chain(self.quic.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.quic.handle_timeout(self.now, 999);
            for client in &mut self.clients {
                client.connection.handle_timeout(self.now);
                client.take();
            }
        }
        self.now = end;
    }

    /// Returns a client with an open session, and its connection.
    fn open_session(&mut self) -> (usize, QuicId) {
        let client = self.add_client();
        self.advance(3_000);
        assert!(self.clients[client].is_connected, "{:?}", self.clients[client].lost);
        self.clients[client].ask();
        self.advance(3_000);
        let id = self.events.drain(..).find_map(|event| match event {
            Event::Session { id, request } => {
                assert_eq!((&*request.authority, &*request.path), ("127.0.0.1:9002", "/chat"));
                Some(id)
            }
            _ => None,
        });
        (client, id.expect("a request for a session"))
    }

    /// Returns a client whose session has the member, with the stream of its request.
    fn enter(&mut self, member: MemberId, is_carried: bool) -> (usize, QuicId, StreamId) {
        let (client, id) = self.open_session();
        let stream = self.clients[client].request(b"{}");
        self.advance(3_000);
        let (asked, content) = self.take_request();
        assert_eq!((asked, &content[..]), (u64::from(stream), &b"{}"[..]));
        self.quic.reply_to_member((id, asked), b"welcome", (member, is_carried), self.now);
        self.advance(3_000);
        assert_eq!(self.clients[client].units(stream), [b"welcome"]);
        (client, id, stream)
    }

    fn take_request(&mut self) -> (u64, Bytes) {
        let request = self.events.drain(..).find_map(|event| match event {
            Event::Request { stream, content, .. } => Some((stream, content)),
            _ => None,
        });
        request.expect("a request")
    }

    /// Returns the contents that the members have sent.
    fn take_messages(&mut self) -> Vec<Bytes> {
        let messages = self.events.drain(..).filter_map(|event| match event {
            Event::Message { content, .. } => Some(content),
            _ => None,
        });
        messages.collect()
    }
}
