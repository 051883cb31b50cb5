//! The figures of the loop (H12): `/loop.json` and `/events`.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::carried::Carried;
use crate::support::http::{Response, get, response_to};
use crate::support::{CREATE, Control, Member, Server, text, wait_for};

const OPTIONS: &[&str] = &["--tls", "off"];

fn figures(server: &Server) -> Value {
    let response = response_to(server, &get("/loop.json", ""));
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.content).expect("JSON")
}

/// Returns the measurements of a step.
fn step<'a>(figures: &'a Value, name: &str) -> &'a Value {
    let steps = figures["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["step"] == name).expect("the step")
}

/// An open `/events`.
struct Viewer {
    events: BufReader<TcpStream>,
}

impl Viewer {
    fn open(server: &Server) -> Self {
        let mut connection = Control::connect(server);
        connection.send(&get("/events", ""));
        let head = Response::read_head(&mut connection.stream());
        assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
        let stream = connection.stream().try_clone().expect("a descriptor");
        Self { events: BufReader::new(stream) }
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        while !line.starts_with("data: ") {
            line.clear();
            assert!(self.events.read_line(&mut line).expect("an event in time") > 0, "the end");
        }
        serde_json::from_str(&line["data: ".len()..]).expect("JSON")
    }

    /// Returns the figures of the first event for which this is true.
    fn wait(&mut self, is_there: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + crate::support::DEADLINE;
        loop {
            let figures = self.next();
            if is_there(&figures) {
                return figures;
            }
            assert!(Instant::now() < end, "not in these figures: {figures}");
        }
    }
}

#[test]
fn h12_steps_are_measured_when_asked() {
    let server = Server::start(OPTIONS);
    let first = figures(&server);
    let steps = first["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 10);
    assert!(steps.iter().all(|step| step["count"] == 0), "nobody has asked before");
    let later = wait_for("a turn", || {
        let figures = figures(&server);
        (step(&figures, "reap")["count"] != 0).then_some(figures)
    });
    let wait = step(&later, "wait");
    assert!(wait["median"].as_u64() <= wait["p99"].as_u64());
    assert!(wait["p99"].as_u64() <= wait["longest"].as_u64());
}

#[test]
fn h12_events_are_at_most_two_a_second() {
    let server = Server::start(OPTIONS);
    let mut viewer = Viewer::open(&server);
    let uptime = |figures: Value| figures["uptime"].as_u64().expect("milliseconds");
    viewer.next();
    let (mut before, end) = (uptime(viewer.next()), Instant::now() + Duration::from_secs(1));
    while Instant::now() < end {
        let at = uptime(viewer.next());
        assert!(at - before >= 500, "{before} to {at}");
        before = at;
    }
}

#[test]
fn h12_viewers_are_counted() {
    let server = Server::start(OPTIONS);
    let mut first = Viewer::open(&server);
    let second = Viewer::open(&server);
    first.wait(|figures| figures["viewers"] == 2);
    drop(second);
    first.wait(|figures| figures["viewers"] == 1);
    drop(first);
    wait_for("the end of the viewer", || (metric(&server, "viewers") == "0").then_some(()));
}

/// Returns the value of a sample of `/metrics`.
fn metric(server: &Server, name: &str) -> String {
    let response = response_to(server, &get("/metrics", ""));
    let begin = format!("reactor_chat_{name} ");
    let value = response.text().lines().find_map(|line| line.strip_prefix(&begin));
    value.unwrap_or_else(|| panic!("no {name}")).into()
}

#[test]
fn h12_members_are_counted_by_path() {
    let server = Server::start(OPTIONS);
    let members = |path: &str| metric(&server, &format!("members{{path=\"{path}\"}}"));
    let counts = || ["clear", "carried", "detached"].map(members);
    let _clear = Member::create(&server, "r1", &text("ann"));
    let carried = Carried::stream(&server, CREATE, "bob");
    assert_eq!(counts(), ["1", "1", "0"]);
    drop(carried);
    wait_for("the end of the connection", || (counts() == ["1", "0", "1"]).then_some(()));
    assert_eq!(metric(&server, "rooms{state=\"open\"}"), "2");
}

#[test]
fn h12_flood_reaches_the_slice() {
    let server = Server::start(OPTIONS);
    let mut viewer = Viewer::open(&server);
    viewer.next();
    // All of it is there at once, as much as the receive buffer holds.
    server.freeze();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..20_000 {
        socket.send_to(b"junk", server.udp).expect("sent");
    }
    server.thaw();
    let figures = viewer.wait(|figures| step(figures, "read_datagrams")["left"] != 0);
    assert_eq!(step(&figures, "read_datagrams")["limit"], "slice");
    viewer.wait(|figures| figures["counters"]["dropped_datagrams"]["malformed"] != 0);
}

#[test]
fn h12_crowd_reaches_the_accept_budget() {
    let server = Server::start(OPTIONS);
    let mut viewer = Viewer::open(&server);
    viewer.next();
    server.freeze();
    let crowd: Vec<Control> = (0..200).map(|_| Control::connect(&server)).collect();
    server.thaw();
    let figures = viewer.wait(|figures| step(figures, "accept")["left"] != 0);
    assert_eq!(step(&figures, "accept")["limit"], "budget");
    let idle = |figures: &Value| figures["gauges"]["connection_states"]["idle"].as_u64();
    viewer.wait(|figures| idle(figures) == Some(200));
    drop(crowd);
    viewer.wait(|figures| idle(figures) == Some(0));
}

#[test]
fn h12_slow_reader_is_shown() {
    let server = Server::start(&["--tls", "off", "--rate-limit", "0", "--fanout-limit", "0"]);
    // It reads nothing from now on.
    let _slow = Carried::create(&server, "bob");
    let ann = Member::join(&server, "room", &text("ann"));
    let line = "x".repeat(1_000);
    wait_for("a full connection", || {
        ann.say(&line);
        let state = metric(&server, "connection_states{state=\"not_reading\"}");
        let dropped = metric(&server, "unsent_datagrams_total{reason=\"full_connection\"}");
        (state == "1" && dropped != "0").then_some(())
    });
}

#[test]
fn h12_strip_shows_each_second() {
    let server = Server::start(OPTIONS);
    let mut viewer = Viewer::open(&server);
    let figures = viewer.wait(|figures| figures["strip_turns"].as_array().map(Vec::len) == Some(2));
    let busy = step(&figures, "wait")["strip_busy"].as_array().expect("a strip");
    assert_eq!(busy.len(), 2);
    let second = busy[1].as_u64().expect("microseconds");
    assert!((500_000..=1_500_000).contains(&second), "an idle server waits: {second}");
}

#[test]
fn h12_slow_viewer_does_not_slow_others() {
    let server = Server::start(OPTIONS);
    // It reads nothing from now on.
    let mut slow = Control::connect(&server);
    slow.send(&get("/events", ""));
    slow.stream().read_exact(&mut [0]).expect("the begin of the head");
    let mut viewer = Viewer::open(&server);
    viewer.wait(|figures| figures["viewers"] == 2);
    let mut member = Control::connect(&server);
    member.enter(CREATE, "r1", text("ann").as_bytes());
    viewer.wait(|figures| figures["gauges"]["rooms"]["open"] == 1);
}
