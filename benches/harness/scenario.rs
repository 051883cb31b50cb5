//! The scenarios by name: their rooms, members, messages and rates.

/// Digits of the sequence number at the beginning of every message, which identifies a delivery.
pub const DIGITS: usize = 10;

/// Lengths of names and texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// All names have one length, and all texts have this many bytes.
    Fixed(usize),
    /// Names of 3 to 20 bytes and texts of 10 to 300, as people have and write them.
    Mixed,
}

/// Delivery of messages to members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A datagram a message, `NAME: TEXT`.
    Text,
    /// One order for all, repaired, several messages in a datagram.
    Stream,
}

impl Delivery {
    /// Returns its name in a request.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Stream => "stream",
        }
    }
}

/// The way of messages between members and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Datagrams in the clear.
    Clear,
    /// Sealed datagrams.
    Sealed,
    /// The connection of the request.
    Carried,
    /// The connection of the request, inside TLS.
    CarriedInTls,
    /// The connection of the request, on a Unix socket.
    CarriedOnUnix,
    /// A WebSocket, in the clear.
    WebSocket,
    /// Datagrams over QUIC, in a session of WebTransport.
    Quic,
}

/// The membership that members request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    pub delivery: Delivery,
    pub path: Path,
}

impl Service {
    pub fn clear(delivery: Delivery) -> Self {
        Self { delivery, path: Path::Clear }
    }

    /// Returns its description.
    pub fn words(self) -> String {
        let path = match self.path {
            Path::Clear => "",
            Path::Sealed => ", sealed",
            Path::Carried => ", carried",
            Path::CarriedInTls => ", carried inside TLS",
            Path::CarriedOnUnix => ", carried on a Unix socket",
            Path::WebSocket => ", carried on a WebSocket",
            Path::Quic => ", over QUIC",
        };
        format!("{} delivery{path}", self.delivery.word())
    }

    /// Returns true if requests must be made inside TLS.
    pub fn needs_tls(self) -> bool {
        matches!(self.path, Path::Sealed | Path::CarriedInTls)
    }

    /// Returns true if each member needs a connection of its own.
    pub fn is_carried(self) -> bool {
        !matches!(self.path, Path::Clear | Path::Sealed | Path::Quic)
    }

    /// Returns true if the connections are those of a Unix socket.
    pub fn is_on_unix(self) -> bool {
        self.path == Path::CarriedOnUnix
    }
}

/// Rooms of one size, and the texts in them. Members are numbered across the rooms, so that members who
/// speak in turn speak in different rooms.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub rooms: usize,
    /// In each room.
    pub members: usize,
    pub text: Text,
}

impl Shape {
    pub fn population(&self) -> usize {
        self.rooms * self.members
    }

    pub fn room_of(&self, member: usize) -> usize {
        member % self.rooms
    }

    /// Returns the member's number in its room. Number 0 has created it.
    pub fn place_of(&self, member: usize) -> usize {
        member / self.rooms
    }

    /// Returns the sender of a message.
    pub fn speaker(&self, sequence: u64) -> usize {
        (sequence % self.population() as u64) as usize
    }

    /// Returns the number of receivers of a message. Its sender is none.
    pub fn audience(&self) -> usize {
        self.members - 1
    }

    pub fn name_of(&self, member: usize) -> String {
        let place = self.place_of(member);
        match self.text {
            Text::Fixed(_) => format!("m{place:04}"),
            Text::Mixed => {
                let size = 3 + (scatter(place as u64) % 18) as usize;
                format!("{:x<size$}", format!("m{place:02}"))
            }
        }
    }

    /// Appends the text of the message with this number.
    pub fn write_text(&self, sequence: u64, bytes: &mut Vec<u8>) {
        let size = match self.text {
            Text::Fixed(size) => size,
            Text::Mixed => DIGITS + (scatter(sequence) % 291) as usize,
        };
        let end = bytes.len() + size;
        bytes.extend_from_slice(format!("{sequence:0DIGITS$}").as_bytes());
        bytes.resize(end, b'.');
    }
}

/// Returns the sequence number of a delivery `NAME: TEXT`. No name holds a colon.
pub fn sequence_of(delivery: &[u8]) -> Option<u64> {
    let colon = delivery.iter().position(|byte| *byte == b':')?;
    number_of(delivery.get(colon + 2..)?)
}

/// Returns the sequence number of a text.
pub fn number_of(text: &[u8]) -> Option<u64> {
    text.get(..DIGITS)?.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })
}

/// Hashes a number, alike on every machine (the finalizer of SplitMix64).
pub fn scatter(index: u64) -> u64 {
    let mut x = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Messages from members to members.
#[derive(Clone, Debug)]
pub struct Fanout {
    pub name: &'static str,
    pub shape: Shape,
    /// Messages a second in all, where the pace is fixed.
    pub rate: u32,
    pub service: Service,
    /// True if each number of messages in flight is measured, and not only the best: the throughput
    /// of the room depends on it.
    pub every_window: bool,
}

/// Members that say nothing.
#[derive(Clone, Debug)]
pub struct Idle {
    pub name: &'static str,
    pub rooms: usize,
    /// In each room.
    pub members: usize,
    pub seconds: f64,
    pub service: Service,
}

/// A flood beside quiet rooms.
#[derive(Clone, Debug)]
pub struct Flood {
    pub name: &'static str,
    /// The membership of everyone in the quiet rooms and in the flooded one.
    pub service: Service,
    pub source: Source,
}

/// The source of a flood.
#[derive(Clone, Debug)]
pub enum Source {
    /// A member that floods its room.
    Member,
    /// Several peers.
    Peers(Mixed),
    /// An attacker that forges this many sealed datagrams a second.
    Forger { per_s: u32 },
    /// Clients that begin handshakes.
    Handshakes,
}

impl Source {
    /// Returns the things that its rate counts.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Member | Self::Peers(_) | Self::Forger { .. } => "datagrams",
            Self::Handshakes => "connections",
        }
    }
}

/// Several loads at once, all of them within the server's limits.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// Members of the busy room.
    pub busy: usize,
    /// Members of it that talk.
    pub talkers: usize,
    /// Rooms that one peer has created; one member talks in each.
    pub rooms: usize,
    /// Members of each of these rooms.
    pub members: usize,
    /// Junk datagrams a second.
    pub junk: u32,
}

#[derive(Clone, Debug)]
pub enum Scenario {
    Fanout(Fanout),
    /// Fan-out through a network that loses this percentage of datagrams each way.
    Loss(Fanout, u8),
    /// Fan-out while somebody watches the loop, beside the same without a viewer.
    Watched(Fanout),
    /// Create and join exchanges, as fast as they go.
    Joins {
        /// True if each exchange is inside TLS, with a handshake of its own.
        is_encrypted: bool,
    },
    Idle(Idle),
    Flood(Flood),
    /// System calls on sockets of each kind, without a server.
    Sockets,
}

impl Scenario {
    /// Returns true if it cannot be measured on a server that runs already, at an IP.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Fanout(fanout) => fanout.service.is_on_unix(),
            Self::Idle(idle) => idle.service.is_on_unix(),
            Self::Sockets => true,
            _ => false,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Fanout(fanout) | Self::Loss(fanout, _) | Self::Watched(fanout) => fanout.name,
            Self::Joins { is_encrypted: false } => "joins",
            Self::Joins { is_encrypted: true } => "tls_joins",
            Self::Idle(idle) => idle.name,
            Self::Flood(flood) => flood.name,
            Self::Sockets => "sockets",
        }
    }
}

/// Returns a fan-out to text members.
fn text(name: &'static str, rooms: usize, members: usize, text: Text, rate: u32) -> Fanout {
    let shape = Shape { rooms, members, text };
    Fanout { name, shape, rate, service: Service::clear(Delivery::Text), every_window: false }
}

/// Returns a fan-out to stream members.
fn stream(name: &'static str, rooms: usize, members: usize, size: Text, rate: u32) -> Fanout {
    let service = Service::clear(Delivery::Stream);
    Fanout { service, ..text(name, rooms, members, size, rate) }
}

/// Returns a fan-out of long texts, with each number of messages in flight.
fn long(name: &'static str, members: usize, rate: u32) -> Scenario {
    let fanout = stream(name, 1, members, Text::Fixed(1_000), rate);
    Scenario::Fanout(Fanout { every_window: true, ..fanout })
}

/// Returns the same fan-out with all members on another path.
fn on_path(path: Path, fanout: Fanout) -> Scenario {
    let service = Service { path, ..fanout.service };
    Scenario::Fanout(Fanout { service, ..fanout })
}

fn idle(name: &'static str, service: Service) -> Scenario {
    Scenario::Idle(Idle { name, rooms: 1_000, members: 100, seconds: 10.0, service })
}

fn flood(name: &'static str, service: Service, source: Source) -> Scenario {
    Scenario::Flood(Flood { name, service, source })
}

/// Every scenario, in the order of the table.
pub fn all() -> Vec<Scenario> {
    let sealed = |fanout| on_path(Path::Sealed, fanout);
    let sealed_text = Service { delivery: Delivery::Text, path: Path::Sealed };
    // As many members as one IP may have, in as many rooms.
    let mixed = Mixed { busy: 2_000, talkers: 20, rooms: 500, members: 20, junk: 100_000 };
    let lossy = stream("loss_5", 1, 100, Text::Fixed(64), 2_000);
    let mut all = vec![
        Scenario::Fanout(text("fanout_10x64", 1, 10, Text::Fixed(64), 5_000)),
        Scenario::Fanout(text("fanout_100x64", 1, 100, Text::Fixed(64), 2_000)),
        Scenario::Fanout(text("fanout_1000x64", 1, 1_000, Text::Fixed(64), 200)),
        Scenario::Fanout(text("fanout_100x1000", 1, 100, Text::Fixed(1_000), 1_000)),
        Scenario::Fanout(text("fanout_100xmix", 1, 100, Text::Mixed, 2_000)),
        Scenario::Fanout(text("rooms_500x10x64", 500, 10, Text::Fixed(64), 10_000)),
        Scenario::Fanout(stream("stream_10x64", 1, 10, Text::Fixed(64), 5_000)),
        Scenario::Fanout(stream("stream_100x64", 1, 100, Text::Fixed(64), 2_000)),
        Scenario::Fanout(stream("stream_1000x64", 1, 1_000, Text::Fixed(64), 200)),
        long("stream_100x1000", 100, 1_000),
        long("stream_1000x1000", 1_000, 100),
        Scenario::Fanout(stream("stream_100xmix", 1, 100, Text::Mixed, 2_000)),
        Scenario::Fanout(stream("stream_rooms_500x10x64", 500, 10, Text::Fixed(64), 10_000)),
        Scenario::Loss(lossy, 5),
        Scenario::Watched(text("loop_watched", 1, 100, Text::Fixed(64), 2_000)),
        flood("flood_text", Service::clear(Delivery::Text), Source::Member),
        flood("flood_stream", Service::clear(Delivery::Stream), Source::Member),
        flood("flood_mixed", Service::clear(Delivery::Text), Source::Peers(mixed)),
        flood("flood_forged", sealed_text, Source::Forger { per_s: 10_000 }),
        flood("flood_handshakes", sealed_text, Source::Handshakes),
        Scenario::Joins { is_encrypted: false },
        Scenario::Joins { is_encrypted: true },
        sealed(text("sealed_100x64", 1, 100, Text::Fixed(64), 2_000)),
        sealed(stream("sealed_stream_100x64", 1, 100, Text::Fixed(64), 2_000)),
        sealed(stream("sealed_stream_100x1000", 1, 100, Text::Fixed(1_000), 1_000)),
        on_path(Path::CarriedInTls, text("carried_100x64", 1, 100, Text::Fixed(64), 2_000)),
        idle("idle_100000", Service::clear(Delivery::Text)),
        idle("idle_stream_100000", Service::clear(Delivery::Stream)),
        idle("idle_sealed_100000", sealed_text),
    ];
    all.extend(on_websockets());
    all.push(on_path(Path::Quic, stream("quic_100x64", 1, 100, Text::Fixed(64), 2_000)));
    all.extend(on_unix());
    all.push(Scenario::Sockets);
    all
}

/// The scenarios on WebSockets. Pages use stream delivery.
fn on_websockets() -> [Scenario; 3] {
    let (path, delivery) = (Path::WebSocket, Delivery::Stream);
    let service = Service { delivery, path };
    let (rooms, members, seconds) = (100, 100, 10.0);
    [
        on_path(path, stream("ws_100x64", 1, 100, Text::Fixed(64), 2_000)),
        on_path(path, stream("ws_1000x64", 1, 1_000, Text::Fixed(64), 200)),
        Scenario::Idle(Idle { name: "idle_ws_10000", rooms, members, seconds, service }),
    ]
}

/// The scenarios on a Unix socket.
fn on_unix() -> [Scenario; 3] {
    let (path, delivery) = (Path::CarriedOnUnix, Delivery::Text);
    let service = Service { delivery, path };
    // Each idle member needs a descriptor here, and one in the server.
    let (rooms, members, seconds) = (100, 100, 10.0);
    [
        on_path(path, text("unix_100x64", 1, 100, Text::Fixed(64), 2_000)),
        on_path(path, stream("unix_stream_100x64", 1, 100, Text::Fixed(64), 2_000)),
        Scenario::Idle(Idle { name: "idle_unix_10000", rooms, members, seconds, service }),
    ]
}

/// Returns the scenario that options of the command line define.
pub fn custom() -> Scenario {
    let shape = Shape { rooms: 1, members: 100, text: Text::Fixed(64) };
    let (name, rate, service) = ("custom", 1_000, Service::clear(Delivery::Text));
    Scenario::Fanout(Fanout { name, shape, rate, service, every_window: false })
}
