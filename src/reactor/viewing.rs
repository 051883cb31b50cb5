//! The sources of the figures of `/loop` and `/metrics`: the steps of a turn, and the objects of the server.

use std::fs;

use bytes::Bytes;

use super::figures::{Gauge, Limit, Value};
use super::steps::Step;
use super::{Context, EVENTS, Reactor};
use crate::web;

impl Reactor {
    /// Measures a step that has just ended, if somebody watches.
    pub(super) fn note_step(&mut self, step: Step) {
        if self.context.figures.is_watched() {
            let left = self.left_over(step);
            self.context.figures.end_step(step, left);
        }
    }

    /// Returns the limit that a step has reached, if it has left work over. No step ends before its work is
    /// done otherwise.
    fn left_over(&self, step: Step) -> Option<Limit> {
        let Self { acceptor, connections, context, .. } = self;
        let Context { chat, datagrams, quic, now, .. } = context;
        let (is_left, limit) = match step {
            Step::Wait | Step::HandleSignals => return None,
            Step::NoteReadiness => (self.events.iter().count() == EVENTS, Limit::Events),
            Step::Accept => (acceptor.has_input(), Limit::Budget),
            Step::ReadDatagrams => (datagrams.has_input(), Limit::Slice),
            Step::ReadConnections => match connections.has_ready() || quic.has_events() {
                true => (true, Limit::Slice),
                false => (connections.has_hellos(), Limit::Budget),
            },
            Step::ExpireTimers => {
                let deadlines =
                    [chat.poll_timeout(), connections.next_deadline(), quic.next_deadline()];
                (deadlines.into_iter().flatten().any(|due| due <= *now), Limit::Slice)
            }
            Step::Deliver => (chat.has_output(), Limit::Slice),
            Step::Flush => (connections.has_unflushed() || quic.has_work(), Limit::Slice),
            Step::Reap => (chat.has_garbage() || connections.has_doomed(), Limit::Slice),
        };
        is_left.then_some(limit)
    }

    /// Makes the text for the viewers, if it is due.
    pub(super) fn tick_figures(&mut self) {
        let context = &mut self.context;
        if context.figures.take_tick(context.now) {
            let event = web::event(&context.write_loop_json());
            self.connections.send_event(&event);
        }
    }
}

impl Context {
    /// Returns the text of `/loop.json`: that of the last tick, or a new one for the first viewer.
    pub(super) fn loop_json(&mut self) -> Bytes {
        self.figures.text().unwrap_or_else(|| self.write_loop_json())
    }

    fn write_loop_json(&mut self) -> Bytes {
        let gauges = self.gauges();
        self.figures.loop_json(&gauges, &self.metrics, self.now)
    }

    /// Returns the text of `/metrics`.
    pub(super) fn open_metrics(&self) -> String {
        self.figures.open_metrics(&self.gauges(), &self.metrics)
    }

    /// Returns everything that rises and falls. All of it is kept up to date anyway, but for a file of the
    /// kernel.
    fn gauges(&self) -> Vec<Gauge> {
        let parts = self.connection_gauges().into_iter().chain(self.chat_gauges());
        parts.chain(self.memory_gauges()).collect()
    }

    fn connection_gauges(&self) -> [Gauge; 4] {
        let connections = self.figures.connections();
        let [read, handshake, flush] = connections.queues;
        let (readable, full) = self.datagrams.busy_sockets();
        let sockets =
            [("all", self.datagrams.socket_count()), ("readable", readable), ("full", full)];
        let queues = [("read", read), ("handshake", handshake), ("flush", flush)];
        let quic = [("quic", self.quic.len() as u64)];
        let protocols = connections.tally.by_protocol().into_iter().chain(quic);
        [
            several(("datagram_sockets", "UDP sockets.", "state"), sockets),
            Gauge {
                name: "connections",
                help: "Connections, by their protocol.",
                value: Value::By("protocol", protocols.collect()),
            },
            Gauge {
                name: "connection_states",
                help: "Connections, by what they wait for.",
                value: Value::By("state", connections.tally.by_state()),
            },
            several(
                ("waiting_connections", "Connections that the next turn serves.", "for"),
                queues,
            ),
        ]
    }

    fn chat_gauges(&self) -> [Gauge; 5] {
        let census = self.chat.census();
        let rooms = [("open", census.open), ("closed", census.rooms - census.open)];
        let paths = census.paths;
        let members = [
            ("clear", paths.clear),
            ("sealed", paths.sealed),
            ("carried", paths.carried),
            ("quic", paths.quic),
            ("detached", paths.detached),
        ];
        [
            several(("rooms", "Rooms.", "state"), rooms),
            one("streams", "Rooms with members in stream delivery.", census.streams),
            one("waiting_rooms", "Rooms with output that is still to be sent.", census.waiting),
            several(("members", "Members, by the path of their messages.", "path"), members),
            one("viewers", "Open /events.", self.figures.viewers()),
        ]
    }

    fn memory_gauges(&self) -> [Gauge; 2] {
        let census = self.chat.census();
        let ceilings = self.figures.ceilings();
        let used = [
            ("backlog", census.backlog),
            ("history", census.history),
            ("buffers", self.figures.connections().buffered),
        ];
        let limits = [
            ("backlog", ceilings.backlog),
            ("history", ceilings.history),
            ("buffers", ceilings.buffers),
        ];
        let wide = |(of, limit): (&'static str, Option<usize>)| Some((of, limit? as u64));
        let whole = |bytes: Option<u64>| bytes.map(|bytes| ("resident", bytes));
        let used = used.map(|(of, bytes)| (of, Some(bytes))).into_iter().filter_map(wide);
        let limits = limits.into_iter().filter_map(wide);
        [
            Gauge {
                name: "memory_bytes",
                help: "Memory in use: all of it (resident), and the parts that are limited.",
                value: Value::By("of", whole(resident()).into_iter().chain(used).collect()),
            },
            Gauge {
                name: "memory_limit_bytes",
                help: "Limits of memory. That of resident follows from all other limits.",
                value: Value::By("of", whole(ceilings.whole).into_iter().chain(limits).collect()),
            },
        ]
    }
}

fn one(name: &'static str, help: &'static str, value: usize) -> Gauge {
    Gauge { name, help, value: Value::One(value as u64) }
}

fn several<const N: usize>(
    (name, help, label): (&'static str, &'static str, &'static str),
    values: [(&'static str, usize); N],
) -> Gauge {
    let values = values.map(|(of, value)| (of, value as u64));
    Gauge { name, help, value: Value::By(label, values.to_vec()) }
}

/// Returns the memory of this process that is in RAM, in bytes, if the kernel tells (proc_pid_status(5)).
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
