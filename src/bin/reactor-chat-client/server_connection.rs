//! A connection to the server that the client trusts: inside TLS (E12), in the clear if the user
//! agrees (E13), or over a Unix socket.

use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::address::{Server, ServerAddress};
use crate::ask::ask;
use crate::connect::{connect_tcp, connect_tcp_around};
use crate::connect_unix::connect_unix;
use crate::explain_trust as explain;
use crate::failure::Failure;
use crate::known_hosts::{KnownHosts, Pins};
use crate::server_stream::ServerStream;
use crate::stdout::notify;
use crate::tls::{HandshakeError, shake_hands};
use crate::trust::{Trust, Verdict};
use reactor_chat::fingerprint::Fingerprint;
use reactor_chat::unix_addr::UnixAddr;

/// Milliseconds before each further handshake. A server ends connections beyond the number of
/// handshakes that it makes at once with one IP (E4), and a class may share one.
const PAUSES: [u64; 3] = [200, 500, 1000];

/// A connection to the server, and the addresses for datagrams.
pub(crate) struct ServerConnection {
    pub(crate) stream: ServerStream,
    /// The ends of datagrams. A Unix socket has none.
    pub(crate) ends: Option<DatagramEnds>,
    /// The trust for further connections of this run.
    pub(crate) trust: Trust,
    /// The server's key, if the user has accepted it for this connection.
    pub(crate) new_key: Option<Fingerprint>,
}

/// The addresses between which datagrams travel.
pub(crate) struct DatagramEnds {
    /// Our address as the server sees it, with port 0.
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// Connects while the user waits. On a terminal it asks what only the user can decide.
pub(crate) fn connect(server: &Server) -> Result<ServerConnection, Failure> {
    match server {
        Server::Network(server) => connect_network(server),
        Server::Unix(addr) => ServerConnection::unix(addr),
    }
}

/// Connects in the background, where nobody is asked. The `silent` addresses are tried last.
pub(crate) fn connect_around(
    server: &Server,
    silent: &[SocketAddr],
) -> Result<ServerConnection, Failure> {
    match server {
        Server::Network(server) => connect_network_around(server, silent),
        Server::Unix(addr) => ServerConnection::unix(addr),
    }
}

fn connect_network(server: &ServerAddress) -> Result<ServerConnection, Failure> {
    let socket = connect_tcp(server)?;
    if server.trust == Trust::Plain {
        return ServerConnection::clear(server, socket);
    }
    let is_loopback = is_loopback(&socket);
    let pins = pins(server)?;
    let secured = match secure_patiently(server, socket, &pins)? {
        Ok(secured) => secured,
        Err(error) => return connect_in_clear(server, &error, &pins, is_loopback),
    };
    match secured.verdict {
        Verdict::Accepted => {}
        Verdict::Renewed => {
            keep(server, secured.key);
            notify(&explain::renewed_key(server));
        }
        Verdict::Unknown => return connect_by_consent(server, secured.key),
        _ => return Err(secured.refusal(server, &pins)),
    }
    if server.trust == Trust::Anything {
        notify(&explain::unchecked_key(server, secured.key));
    }
    secured.connection(server)
}

fn connect_network_around(
    server: &ServerAddress,
    silent: &[SocketAddr],
) -> Result<ServerConnection, Failure> {
    let socket = connect_tcp_around(server, silent)?;
    if server.trust == Trust::Plain {
        return ServerConnection::clear(server, socket);
    }
    let pins = Pins::default();
    let secured = Secured::over(server, socket, &pins)
        .map_err(|error| explain::failed_handshake(server, &error))?;
    match secured.verdict {
        Verdict::Accepted => secured.connection(server),
        _ => Err(secured.refusal(server, &pins)),
    }
}

/// Makes a handshake, and tries again for a while if the server ends the connection.
fn secure_patiently(
    server: &ServerAddress,
    socket: TcpStream,
    pins: &Pins,
) -> Result<Result<Secured, HandshakeError>, Failure> {
    let mut outcome = Secured::over(server, socket, pins);
    for pause in PAUSES {
        if !matches!(outcome, Err(HandshakeError::Ended | HandshakeError::Broken(_))) {
            break;
        }
        thread::sleep(Duration::from_millis(pause));
        outcome = Secured::over(server, connect_tcp(server)?, pins);
    }
    Ok(outcome)
}

/// A connection inside TLS, and the verdict on its key.
struct Secured {
    stream: ServerStream,
    key: Fingerprint,
    verdict: Verdict,
}

impl Secured {
    fn over(
        server: &ServerAddress,
        socket: TcpStream,
        pins: &Pins,
    ) -> Result<Self, HandshakeError> {
        let is_loopback = is_loopback(&socket);
        let (stream, identity) = shake_hands(socket, &server.host)?;
        let is_vouched = || identity.is_vouched(&server.host);
        let key = identity.key;
        let verdict = server.trust.judge(key, &pins.keys, is_loopback, is_vouched);
        Ok(Self { stream, key, verdict })
    }

    fn refusal(&self, server: &ServerAddress, pins: &Pins) -> Failure {
        match (self.verdict, place_of(pins)) {
            (Verdict::Foreign, _) => explain::foreign_key(server, self.key),
            (Verdict::Changed, Some(place)) => explain::changed_key(server, self.key, &place),
            (Verdict::Changed, None) => explain::key_changed_meanwhile(server, self.key),
            _ => explain::unknown_key(server, self.key),
        }
    }

    fn connection(self, server: &ServerAddress) -> Result<ServerConnection, Failure> {
        let trust = match server.trust {
            Trust::Usual | Trust::Settled(_) => Trust::Settled(self.key),
            trust => trust,
        };
        ServerConnection::over(self.stream, server, trust)
    }
}

impl ServerConnection {
    fn clear(server: &ServerAddress, socket: TcpStream) -> Result<Self, Failure> {
        Self::over(ServerStream::clear(socket.into()), server, Trust::Plain)
    }

    fn over(stream: ServerStream, server: &ServerAddress, trust: Trust) -> Result<Self, Failure> {
        let socket = stream.socket();
        let ends = socket.local_addr().and_then(|local| Ok((local, socket.peer_addr()?)));
        let (local, peer) = ends.map_err(|error| Failure::new("connect", error))?;
        let ends = local.as_socket().zip(peer.as_socket()).map(|(mut local, mut peer)| {
            local.set_port(0);
            peer.set_port(server.udp_port);
            DatagramEnds { local, server: peer }
        });
        Ok(Self { stream, ends, trust, new_key: None })
    }

    fn unix(addr: &UnixAddr) -> Result<Self, Failure> {
        let stream = ServerStream::clear(connect_unix(addr)?);
        Ok(Self { stream, ends: None, trust: Trust::Plain, new_key: None })
    }
}

/// Asks for the key of a server that is not known, and connects again: the server may have ended a
/// connection that was idle while the user thought.
fn connect_by_consent(
    server: &ServerAddress,
    key: Fingerprint,
) -> Result<ServerConnection, Failure> {
    let answer = ask_if_terminal(&explain::key_question(server, key));
    if !answer.ok_or_else(|| explain::unknown_key(server, key))? {
        return Err(explain::declined_key(server));
    }
    keep(server, key);
    let connection = connect_network(&server.trusting(Trust::Settled(key)))?;
    Ok(ServerConnection { new_key: Some(key), ..connection })
}

/// Goes on in the clear after a handshake that the server did not take, if E13 allows it and the
/// user agrees.
fn connect_in_clear(
    server: &ServerAddress,
    error: &HandshakeError,
    pins: &Pins,
    is_loopback: bool,
) -> Result<ServerConnection, Failure> {
    let has_no_tls = matches!(error, HandshakeError::Acknowledged | HandshakeError::Silent);
    if !has_no_tls || !server.trust.may_turn_plain() {
        return Err(explain::failed_handshake(server, error));
    }
    if let Some(place) = place_of(pins) {
        return Err(explain::lost_tls(server, error, &place));
    }
    if is_loopback {
        notify(&explain::clear_loopback(server, error));
    } else {
        let answer = ask_if_terminal(&explain::clear_question(server, error));
        if !answer.ok_or_else(|| explain::failed_handshake(server, error))? {
            return Err(explain::declined_clear(server));
        }
    }
    connect_network(&server.trusting(Trust::Plain))
}

/// Returns the user's answer, or `None` without a terminal.
fn ask_if_terminal(question: &str) -> Option<bool> {
    io::stdin().is_terminal().then(|| ask(question).ok()).flatten()
}

fn is_loopback(socket: &TcpStream) -> bool {
    socket.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Reads the server's keys in known_hosts, if its trust depends on them.
fn pins(server: &ServerAddress) -> Result<Pins, Failure> {
    let known_hosts = KnownHosts::of_user().filter(|_| server.trust.may_turn_plain());
    let Some(known_hosts) = known_hosts else { return Ok(Pins::default()) };
    let path = known_hosts.path().display();
    let pins = known_hosts.pins(server);
    let pins = pins.map_err(|error| Failure::new(format_args!("read {path}"), error))?;
    for line in &pins.damaged {
        notify(&explain::damaged_line(known_hosts.path(), *line));
    }
    Ok(pins)
}

/// Returns the file and the number of the line that has the server's key.
fn place_of(pins: &Pins) -> Option<explain::PinPlace> {
    let path = KnownHosts::of_user()?.path().to_owned();
    pins.line.map(|line| explain::PinPlace { path, line })
}

/// Keeps a key. A failure only means that the user is asked again.
fn keep(server: &ServerAddress, key: Fingerprint) {
    let kept = match KnownHosts::of_user() {
        None => Err("there is no home directory".into()),
        Some(known_hosts) => known_hosts.keep(server, key).map_err(|error| error.to_string()),
    };
    if let Err(why) = kept {
        notify(&explain::unkept_key(server, &why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Returns a server without TLS that ends this number of connections, and then acknowledges what
    /// comes.
    fn server_without_tls(ended: usize) -> ServerAddress {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port().to_string();
        thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let mut stream = stream.expect("a client");
                assert!(stream.read(&mut [0; 4096]).expect("a handshake") > 0);
                if count >= ended {
                    let mut acknowledgement = [0; 33];
                    [acknowledgement[2], acknowledgement[31], acknowledgement[32]] = [1, 1, 9];
                    stream.write_all(&acknowledgement).expect("sent");
                    // Until the client ends: an earlier end could overtake the answer.
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            }
        });
        ServerAddress::of_options(None, Some(&port), None).expect("a server")
    }

    const NO_TLS: &str = "has no TLS although it should; ask its operator";

    /// A token that was given inside TLS works only there (E9).
    #[test]
    fn e13_way_back_is_never_in_clear() {
        let server = server_without_tls(0);
        let refusal = |trust| {
            let refused = connect_network_around(&server.trusting(trust), &[]);
            refused.err().expect("a refusal").to_string()
        };
        let key = Fingerprint::of_key(b"a");
        for trust in [Trust::Settled(key), Trust::Only(key)] {
            assert!(refusal(trust).ends_with(NO_TLS), "{}", refusal(trust));
        }
        // Nobody can be asked there, not even for loopback.
        assert!(refusal(Trust::Anything).ends_with("add --plain"));
    }

    #[test]
    fn e4_ended_handshake_is_repeated() {
        let trust = Trust::Only(Fingerprint::of_key(b"a"));
        let why = |ended| {
            let refused = connect_network(&server_without_tls(ended).trusting(trust));
            refused.err().expect("a refusal").to_string()
        };
        assert!(why(3).ends_with(NO_TLS), "{}", why(3));
        assert!(!why(4).ends_with(NO_TLS));
    }
}
