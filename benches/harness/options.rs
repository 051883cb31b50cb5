//! Parses the command line.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use getopts::{Matches, Options as Parser};
use reactor_chat::unix_addr::UnixAddr;

use super::relay;
use super::scenario::{self, DIGITS, Flood, Idle, Mixed, Scenario, Source, Text};

pub struct Options {
    pub scenarios: Vec<Scenario>,
    /// Duration of one measurement.
    pub seconds: f64,
    pub runs: usize,
    /// Pause between the joins and the measurement. Notices of joins are merged over a second, and have
    /// to be out by then.
    pub settling: Duration,
    /// A server that runs already: its TCP and its UDP address.
    pub connect: Option<(SocketAddr, SocketAddr)>,
    /// The server's datagram path, if not its default.
    pub path: Option<String>,
    /// Enables UDP_GRO on the members' sockets.
    pub gro: bool,
    pub json: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    /// The command line, for the head of the table.
    pub words: Vec<String>,
}

pub enum Invocation {
    Measure(Options),
    /// Run as a relay: the bench starts itself as one.
    Relay(relay::Kind, Option<UnixAddr>),
    /// Print this and exit.
    Print(String),
}

/// Limits the tables of a measurement, which have an entry for every message.
const MOST_SECONDS: f64 = 60.0;

const SETTLING: Duration = Duration::from_millis(1_100);

const HELP: &str = "\
Usage: cargo bench -- [OPTIONS]

Measures the server's cost of one delivery beside that of plain relays.

Scenarios, all by default:
  --scenario NAME       one of them; may be given several times:
                        with text delivery fanout_10x64 fanout_100x64
                        fanout_1000x64 fanout_100x1000 fanout_100xmix
                        rooms_500x10x64 idle_100000, with stream delivery
                        stream_10x64 stream_100x64 stream_1000x64
                        stream_100x1000 stream_1000x1000 stream_100xmix
                        stream_rooms_500x10x64 idle_stream_100000, sealed
                        sealed_100x64 sealed_stream_100x64
                        sealed_stream_100x1000 idle_sealed_100000, carried
                        inside TLS carried_100x64, on WebSockets ws_100x64
                        ws_1000x64 idle_ws_10000, over QUIC quic_100x64,
                        on a Unix socket
                        unix_100x64 unix_stream_100x64 idle_unix_10000,
                        through a network that loses 5 % loss_5, with a
                        viewer of /loop loop_watched, beside a
                        member that floods its room flood_text flood_stream,
                        beside several loads at once flood_mixed, beside
                        forged datagrams flood_forged, beside a storm of
                        handshakes flood_handshakes, and joins tls_joins, and
                        system calls without a server sockets
  --members N           in each room
  --rooms N
  --size BYTES          of a text, 10 to 4000
  --rate MSGS           messages a second in all, where the pace is fixed
                        (without --scenario, any of these four measures one
                        scenario of its own, 1 room of 100, 64 bytes, 1000/s,
                        text delivery)

Measurements:
  --seconds SECONDS     one measurement                      [0.2]
  --runs N              measurements of each kind            [3]
  --smoke               everything, small, in a few seconds
  --path mmsg|portable  the server's datagram path           [mmsg]
  --gro                 the members' sockets have UDP_GRO: datagrams that
                        are sent together arrive together

A server that runs already, without floors and without its CPU time:
  --connect HOST
  --tcp-port PORT       [9001]
  --udp-port PORT       [9002]

Output:
  --json FILE           a list of rows
  --svg FILE            a picture
  -h, --help            print this
";

/// Parses the command line without the program's name.
///
/// # Errors
/// One line that says what is wrong.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation, String> {
    let args: Vec<OsString> = args.collect();
    let words = args.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let matches = parser()
        .parse(args)
        .map_err(|error| format!("{error} (cargo bench -- --help lists the options)"))?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(HELP.into()));
    }
    if let Some(kind) = matches.opt_str("relay") {
        let name = matches.opt_str("name").and_then(|name| UnixAddr::parse(&name));
        let name = name.transpose().map_err(|error| error.to_string())?;
        return Ok(Invocation::Relay(kind.parse()?, name));
    }
    if let Some(stray) = matches.free.first() {
        return Err(format!("unexpected argument '{stray}'"));
    }
    options(&matches, words).map(Invocation::Measure)
}

fn parser() -> Parser {
    let mut parser = Parser::new();
    parser.optmulti("", "scenario", "", "");
    for name in [
        "members", "rooms", "size", "rate", "seconds", "runs", "connect", "tcp-port", "udp-port",
        "path", "json", "svg", "relay", "name",
    ] {
        parser.optopt("", name, "", "");
    }
    parser.optflag("", "smoke", "");
    parser.optflag("", "gro", "");
    // Cargo passes this to every bench.
    parser.optflag("", "bench", "");
    parser.optflag("h", "help", "");
    parser
}

fn options(matches: &Matches, words: Vec<String>) -> Result<Options, String> {
    let smoke = matches.opt_present("smoke");
    let (seconds, runs) = if smoke { (0.05, 1) } else { (0.2, 3) };
    let settling = if smoke { Duration::ZERO } else { SETTLING };
    let connect = connect(matches)?;
    let path = matches.opt_str("path");
    match path.as_deref() {
        None | Some("mmsg" | "portable") => {}
        Some(other) => return Err(format!("--path takes mmsg or portable, not '{other}'")),
    }
    if connect.is_some() && path.is_some() {
        return Err("--path is for a server that the bench starts, not for --connect".into());
    }
    let mut scenarios = scenarios(matches, smoke)?;
    if connect.is_some() {
        scenarios.retain(|scenario| !scenario.is_local());
        if scenarios.is_empty() {
            return Err("scenarios on Unix sockets do not go with --connect".into());
        }
    }
    Ok(Options {
        scenarios,
        seconds: number(matches, "seconds", 0.01, MOST_SECONDS)?.unwrap_or(seconds),
        runs: number(matches, "runs", 1, 1_000)?.unwrap_or(runs),
        settling,
        connect,
        path,
        gro: matches.opt_present("gro"),
        json: matches.opt_str("json").map(PathBuf::from),
        svg: matches.opt_str("svg").map(PathBuf::from),
        words: words.into_iter().filter(|word| word != "--bench").collect(),
    })
}

fn scenarios(matches: &Matches, smoke: bool) -> Result<Vec<Scenario>, String> {
    let names = matches.opt_strs("scenario");
    let is_shaped =
        ["members", "rooms", "size", "rate"].iter().any(|name| matches.opt_present(name));
    let mut chosen = match (names.is_empty(), is_shaped) {
        (true, true) => vec![scenario::custom()],
        (true, false) => scenario::all(),
        (false, _) => names.iter().map(|name| by_name(name)).collect::<Result<_, _>>()?,
    };
    for scenario in &mut chosen {
        if smoke {
            shrink(scenario);
        }
        reshape(scenario, matches)?;
    }
    Ok(chosen)
}

fn by_name(name: &str) -> Result<Scenario, String> {
    let all = scenario::all();
    let names: Vec<&str> = all.iter().map(Scenario::name).collect();
    let unknown = format!("--scenario takes one of {}, not '{name}'", names.join(", "));
    all.into_iter().find(|scenario| scenario.name() == name).ok_or(unknown)
}

/// Makes a scenario small enough to be over in seconds, and large enough to run all code.
fn shrink(scenario: &mut Scenario) {
    match scenario {
        Scenario::Fanout(fanout) | Scenario::Loss(fanout, _) | Scenario::Watched(fanout) => {
            let shape = &mut fanout.shape;
            shape.rooms = shape.rooms.min(5);
            shape.members = shape.members.min(20);
        }
        Scenario::Flood(Flood { source: Source::Peers(mixed), .. }) => {
            *mixed = Mixed { busy: 40, rooms: 5, junk: 2_000, ..*mixed };
        }
        Scenario::Joins { .. } | Scenario::Flood(_) | Scenario::Sockets => {}
        Scenario::Idle(idle) => *idle = Idle { rooms: 10, members: 20, seconds: 0.5, ..*idle },
    }
}

fn reshape(scenario: &mut Scenario, matches: &Matches) -> Result<(), String> {
    let members = number(matches, "members", 2, 1_000_000)?;
    let rooms = number(matches, "rooms", 1, 1_000_000)?;
    let size = number(matches, "size", DIGITS, 4_000)?;
    let rate = number(matches, "rate", 1, 1_000_000)?;
    match scenario {
        Scenario::Fanout(fanout) | Scenario::Loss(fanout, _) | Scenario::Watched(fanout) => {
            let shape = &mut fanout.shape;
            shape.members = members.unwrap_or(shape.members);
            shape.rooms = rooms.unwrap_or(shape.rooms);
            shape.text = size.map_or(shape.text, Text::Fixed);
            fanout.rate = rate.unwrap_or(fanout.rate);
        }
        Scenario::Joins { .. } | Scenario::Flood(_) | Scenario::Sockets => {}
        Scenario::Idle(idle) => {
            idle.members = members.unwrap_or(idle.members);
            idle.rooms = rooms.unwrap_or(idle.rooms);
            idle.seconds = number(matches, "seconds", 0.01, MOST_SECONDS)?.unwrap_or(idle.seconds);
        }
    }
    Ok(())
}

fn connect(matches: &Matches) -> Result<Option<(SocketAddr, SocketAddr)>, String> {
    let tcp_port = number(matches, "tcp-port", 1, u16::MAX)?;
    let udp_port = number(matches, "udp-port", 1, u16::MAX)?;
    let Some(host) = matches.opt_str("connect") else {
        return match tcp_port.or(udp_port) {
            None => Ok(None),
            Some(_) => Err("--tcp-port and --udp-port go with --connect".into()),
        };
    };
    let tcp = (host.as_str(), tcp_port.unwrap_or(9001))
        .to_socket_addrs()
        .map_err(|error| format!("--connect '{host}': no such address ({error})"))?
        .next()
        .ok_or_else(|| format!("--connect '{host}': it has no address"))?;
    Ok(Some((tcp, SocketAddr::new(tcp.ip(), udp_port.unwrap_or(9002)))))
}

fn number<T>(matches: &Matches, name: &str, least: T, most: T) -> Result<Option<T>, String>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(Some(number)),
        _ => Err(format!("--{name} takes a number from {least} to {most}, not '{text}'")),
    }
}
