//! A WebTransport client without a socket, over the QUIC library and the encoder of HTTP/3. Tests and the bench
//! drive it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    EndpointConfig, Event, ReadError, StreamEvent, StreamId, TransportConfig, VarInt,
};
use reactor_chat::proof_of_key::client_builder;
use reactor_chat::quic::h3::{ALPN, control_stream, encode};

/// Configuration that accepts any certificate, as a browser does that has its hash. Its making takes longer
/// than a connection.
static CONFIG: LazyLock<ClientConfig> = LazyLock::new(|| config(ALPN));

fn config(protocol: &[u8]) -> ClientConfig {
    let mut tls = client_builder().expect("TLS 1.3").with_no_client_auth();
    tls.alpn_protocols = vec![protocol.to_vec()];
    let crypto = QuicClientConfig::try_from(tls).expect("the cipher suite of first packets");
    let mut transport = TransportConfig::default();
    transport.mtu_discovery_config(None);
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config
}

/// Bytes and end of the server's half of a stream.
#[derive(Debug, Default)]
pub struct Input {
    pub bytes: Vec<u8>,
    pub has_ended: bool,
    /// Code of RESET_STREAM.
    pub reset: Option<u64>,
    /// Code of STOP_SENDING for our half.
    pub stopped: Option<u64>,
}

impl Input {
    /// Removes a unit (C1).
    pub fn take_unit(&mut self) -> Option<Vec<u8>> {
        let size = self.bytes.first_chunk().map(|size| usize::from(u16::from_be_bytes(*size)))?;
        let content = self.bytes.get(2..2 + size)?.to_vec();
        self.bytes.drain(..2 + size);
        Some(content)
    }

    /// Removes a frame of HTTP/3: type and value.
    pub fn take_frame(&mut self) -> Option<(u64, Vec<u8>)> {
        let mut rest = &self.bytes[..];
        let (kind, size) = (encode::take_varint(&mut rest)?, encode::take_varint(&mut rest)?);
        let value = rest.get(..size as usize)?.to_vec();
        let taken = self.bytes.len() - rest.len() + value.len();
        self.bytes.drain(..taken);
        Some((kind, value))
    }
}

/// A connection to a server. The caller has the socket and the clock.
pub struct WebTransport {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub connection: Connection,
    server: SocketAddr,
    /// The server's half of each stream.
    pub inputs: BTreeMap<u64, Input>,
    /// Bytes that wait for space, and the end behind them.
    outputs: BTreeMap<u64, (Vec<u8>, bool)>,
    /// Contents of datagrams.
    pub datagrams: VecDeque<Bytes>,
    pub is_connected: bool,
    /// The connection is closed for this reason.
    pub lost: Option<ConnectionError>,
    /// Code and reason with which the server has closed the session.
    pub closed: Option<(u32, String)>,
    /// Id of the session's stream.
    pub session: u64,
}

impl WebTransport {
    /// Begins a handshake.
    pub fn new(server: SocketAddr, now: Instant) -> Self {
        Self::with_config(server, CONFIG.clone(), now)
    }

    /// Begins a handshake for another protocol inside TLS.
    pub fn for_protocol(server: SocketAddr, protocol: &[u8], now: Instant) -> Self {
        Self::with_config(server, config(protocol), now)
    }

    fn with_config(server: SocketAddr, config: ClientConfig, now: Instant) -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, false, None);
        let (handle, connection) =
            endpoint.connect(now, config, server, "localhost").expect("a connection");
        Self {
            endpoint,
            handle,
            connection,
            server,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            datagrams: VecDeque::new(),
            is_connected: false,
            lost: None,
            closed: None,
            session: 0,
        }
    }

    // Packets.

    /// Handles a packet of the server.
    pub fn handle_packet(&mut self, packet: &[u8], now: Instant) {
        let mut reply = Vec::new();
        let packet = BytesMut::from(packet);
        let event = self.endpoint.handle(now, self.server, None, None, packet, &mut reply);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
        self.settle();
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        self.settle();
    }

    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.connection.poll_timeout()
    }

    /// Writes the next packet into `packet`. Returns false if there is none.
    pub fn poll_transmit(&mut self, packet: &mut Vec<u8>, now: Instant) -> bool {
        packet.clear();
        self.connection.poll_transmit(now, 1, packet).is_some()
    }

    /// Takes everything that the connection has to tell.
    fn settle(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.is_connected = true,
                Event::ConnectionLost { reason } => self.lost = Some(reason),
                Event::Stream(event) => self.take_stream_event(event),
                Event::DatagramReceived => {
                    while let Some(datagram) = self.connection.datagrams().recv() {
                        self.take_datagram(datagram);
                    }
                }
                Event::DatagramsUnblocked | Event::HandshakeDataReady => {}
            }
        }
    }

    fn take_datagram(&mut self, datagram: Bytes) {
        let mut content = &datagram[..];
        if encode::take_varint(&mut content) == Some(self.session / 4) {
            self.datagrams.push_back(datagram.slice_ref(content));
        }
    }

    fn take_stream_event(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.connection.streams().accept(dir) {
                    self.read(id);
                }
            }
            StreamEvent::Readable { id } => self.read(id),
            StreamEvent::Writable { id } => self.flush(id.into()),
            StreamEvent::Stopped { id, error_code } => {
                self.inputs.entry(id.into()).or_default().stopped = Some(error_code.into_inner());
                // RFC 9000, section 3.5.
                self.outputs.remove(&id.into());
                self.reset(id.into());
            }
            StreamEvent::Finished { .. } | StreamEvent::Available { .. } => {}
        }
    }

    fn read(&mut self, id: StreamId) {
        let input = self.inputs.entry(id.into()).or_default();
        let mut stream = self.connection.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => input.bytes.extend_from_slice(&chunk.bytes),
                Ok(None) => {
                    input.has_ended = true;
                    break;
                }
                Err(ReadError::Reset(code)) => {
                    input.reset = Some(code.into_inner());
                    break;
                }
                Err(ReadError::Blocked) => break,
            }
        }
        let _ = chunks.finalize();
        if u64::from(id) == self.session && self.is_connected {
            self.take_capsules();
        }
    }

    /// Looks for the capsule that closes the session, behind the answer to the request for it.
    fn take_capsules(&mut self) {
        let input = self.inputs.entry(self.session).or_default();
        while input.bytes.first() == Some(&(encode::DATA as u8)) {
            let Some((_, mut data)) = input.take_frame() else { return };
            // The type 0x2843 in two bytes, and the length.
            if data.starts_with(&[0x68, 0x43]) {
                let mut rest = &data.split_off(2)[..];
                encode::take_varint(&mut rest).expect("a length");
                let (code, reason) = rest.split_first_chunk().expect("a code");
                let reason = String::from_utf8(reason.to_vec()).expect("UTF-8");
                self.closed = Some((u32::from_be_bytes(*code), reason));
            }
        }
    }

    // Streams.

    /// Opens a stream, if the server allows one more.
    pub fn open(&mut self, dir: Dir) -> Option<u64> {
        self.connection.streams().open(dir).map(u64::from)
    }

    /// Writes to a stream. The rest waits if it does not fit.
    pub fn write(&mut self, stream: u64, bytes: &[u8]) {
        self.outputs.entry(stream).or_default().0.extend_from_slice(bytes);
        self.flush(stream);
    }

    /// Ends our half of a stream, behind what waits.
    pub fn finish(&mut self, stream: u64) {
        self.outputs.entry(stream).or_default().1 = true;
        self.flush(stream);
    }

    pub fn reset(&mut self, stream: u64) {
        // It may have ended already.
        let _ = self.connection.send_stream(id_of(stream)).reset(VarInt::from_u32(0));
    }

    fn flush(&mut self, stream: u64) {
        let Some((bytes, finish)) = self.outputs.get_mut(&stream) else { return };
        let mut send = self.connection.send_stream(id_of(stream));
        while !bytes.is_empty() {
            match send.write(bytes) {
                Ok(size) => drop(bytes.drain(..size)),
                Err(_) => return,
            }
        }
        if *finish {
            // The server may have stopped it.
            let _ = send.finish();
            self.outputs.remove(&stream);
        }
    }

    // HTTP/3 and the session.

    /// Opens the control stream.
    pub fn begin_http(&mut self) {
        let control = self.open(Dir::Uni).expect("a control stream");
        self.write(control, &control_stream());
    }

    /// Sends a request on a stream of its own, and returns that stream.
    pub fn request(&mut self, fields: &[(&str, &str)]) -> u64 {
        let (mut section, mut frame) = (Vec::new(), Vec::new());
        encode::put_section(&mut section, fields);
        encode::put_frame(&mut frame, encode::HEADERS, &section);
        let stream = self.open(Dir::Bi).expect("a stream for a request");
        self.write(stream, &frame);
        stream
    }

    /// Asks for a session.
    pub fn request_session(&mut self, authority: &str, path: &str, origin: Option<&str>) {
        let mut fields = vec![
            (":method", "CONNECT"),
            (":protocol", "webtransport"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ];
        fields.extend(origin.map(|origin| ("origin", origin)));
        self.session = self.request(&fields);
    }

    /// Returns the status of the answer on a stream, once it is there.
    pub fn take_status(&mut self, stream: u64) -> Option<String> {
        let (kind, section) = self.inputs.get_mut(&stream)?.take_frame()?;
        assert_eq!(kind, encode::HEADERS);
        // Two zeros, then the first field as a literal: its name with a length of 7 in 3 bits and the rest
        // in the next byte, and its value.
        assert!(section.starts_with(b"\0\0\x27\0:status\x03"), "{section:x?}");
        if stream == self.session {
            self.take_capsules();
        }
        Some(String::from_utf8(section[12..15].to_vec()).expect("digits"))
    }

    /// Opens a stream of the session, if the server allows one more.
    pub fn open_in_session(&mut self) -> Option<u64> {
        let stream = self.open(Dir::Bi)?;
        let mut header = Vec::new();
        encode::put_varint(&mut header, encode::SESSION_STREAM);
        encode::put_varint(&mut header, self.session);
        self.write(stream, &header);
        Some(stream)
    }

    /// Writes a unit (C1).
    pub fn write_unit(&mut self, stream: u64, content: &[u8]) {
        let size = u16::try_from(content.len()).expect("a unit's size");
        self.write(stream, &[&size.to_be_bytes()[..], content].concat());
    }

    /// Removes a unit of a stream.
    pub fn take_unit(&mut self, stream: u64) -> Option<Vec<u8>> {
        self.inputs.get_mut(&stream)?.take_unit()
    }

    /// Sends a datagram of the session. Returns false if it does not fit, or if too many wait.
    pub fn send_datagram(&mut self, content: &[u8]) -> bool {
        let mut datagram = Vec::new();
        encode::put_varint(&mut datagram, self.session / 4);
        datagram.extend_from_slice(content);
        self.connection.datagrams().send(datagram.into(), false).is_ok()
    }

    /// Closes the session with this code.
    pub fn close_session(&mut self, code: u32) {
        let mut capsule = Vec::new();
        encode::put_close(&mut capsule, code, "");
        self.write(self.session, &capsule);
        self.finish(self.session);
    }

    /// Closes the connection.
    pub fn close(&mut self, now: Instant) {
        self.connection.close(now, VarInt::from_u32(0x100), Bytes::new());
    }
}

fn id_of(stream: u64) -> StreamId {
    VarInt::from_u64(stream).expect("below 2^62").into()
}
