//! Prints the table: its head, its rows, its legend.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, StdoutLock, Write};
use std::thread;

use hdrhistogram::Histogram;

use super::figures::{Extra, Figure, Row, Spread};
use super::flood;
use super::loss::Repairs;
use super::options::Options;
use super::scenario::{Fanout, Flood, Scenario, Source, Text};
use super::sockets::Costs;
use super::target::SERVER_OPTIONS;

/// If a thread of the load side is busier than this, the figure may measure it and not the server.
const BUSY: f64 = 0.9;

/// Share of all deliveries that may be lost in a figure that counts.
const TOLERATED_AT_SATURATION: f64 = 0.01;

/// The reader of stdout has gone, as head(1) does, which is no failure of the server.
#[derive(Debug)]
struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads stdout any more")
    }
}

impl Error for ReaderGone {}

/// Returns true for the error of a table that nobody reads any more. The kind of the error does not
/// tell: a connection to a server breaks with the same one.
pub fn is_reader_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ReaderGone>())
}

/// Writes to stdout without `println`, which panics if stdout takes nothing more.
fn to_stdout(write: impl FnOnce(&mut StdoutLock<'_>) -> io::Result<()>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write(&mut out).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => io::Error::other(ReaderGone),
        kind => io::Error::new(kind, format!("stdout: {error}")),
    })
}

/// Prints a text.
///
/// # Errors
/// If stdout takes nothing more.
pub fn print(text: &str) -> io::Result<()> {
    to_stdout(|out| out.write_all(text.as_bytes()))
}

/// Prints the machine and the options of the measurement.
///
/// # Errors
/// If stdout takes nothing more.
pub fn print_head(options: &Options) -> io::Result<()> {
    to_stdout(|out| write_head(out, options))
}

fn write_head(out: &mut impl Write, options: &Options) -> io::Result<()> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let others = read("/proc/loadavg");
    let others = others.split_whitespace().next().unwrap_or("unknown");
    writeln!(out, "machine  {}, {cores} cores", processor().unwrap_or_else(|| "unknown".into()))?;
    writeln!(
        out,
        "load     {others} in the minute before: what else runs here spoils the figures"
    )?;
    writeln!(out, "kernel   Linux {}", kernel.trim())?;
    writeln!(out, "command  cargo bench -- {}", options.words.join(" "))?;
    match (options.connect, &options.path) {
        (Some((tcp, udp)), _) => writeln!(out, "server   at tcp {tcp} udp {udp}, without floors")?,
        (None, None) => writeln!(out, "server   {SERVER_OPTIONS}")?,
        (None, Some(path)) => writeln!(out, "server   {SERVER_OPTIONS} --datagram-path {path}")?,
    }
    let gro = if options.gro { "with" } else { "without" };
    writeln!(out, "members  {gro} UDP_GRO")?;
    writeln!(out, "runs     {} of {} s, server and floors in turn", options.runs, options.seconds)?;
    writeln!(out)?;
    writeln!(
        out,
        "{:24}{:>8} {:>9} {:>7} {:>7} {:>9}  {:<18}{:>5} {:>7} {:>7} {:>7} {:>5}",
        "",
        "offered",
        "delivered",
        "lost",
        "put off",
        "deliv./s",
        "CPU us a delivery",
        "ratio",
        "p50 us",
        "p99",
        "p99.9",
        "load"
    )
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo");
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Prints the rows of one scenario.
///
/// # Errors
/// If stdout takes nothing more.
pub fn print_rows(scenario: &Scenario, rows: &[Row]) -> io::Result<()> {
    to_stdout(|out| write_rows(out, scenario, rows))
}

fn write_rows(out: &mut impl Write, scenario: &Scenario, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "\n{}", describe(scenario))?;
    for row in rows {
        if let Some(Extra::Quiet(quiet)) = &row.extra {
            let memory = quiet.bytes_per_member.map_or("-".into(), |bytes| format!("{bytes:.0}"));
            let cpu = quiet.cpu_percent.map_or("-".into(), |percent| format!("{percent:.2}"));
            writeln!(out, "  server: {memory} bytes of memory a member, {cpu} % of a CPU")?;
            continue;
        }
        if let Some(Extra::Flood(outcome)) = &row.extra {
            print_flood(out, row, outcome)?;
            continue;
        }
        if let Some(Extra::Sockets(costs)) = &row.extra {
            print_costs(out, costs)?;
            continue;
        }
        writeln!(out, "  {}", pace(scenario, row))?;
        print_figure(out, "server", &row.server, row)?;
        for (name, floor) in &row.floors {
            print_figure(out, name, floor, row)?;
        }
        if let Some(Extra::Repairs(repairs)) = &row.extra {
            print_repairs(out, repairs)?;
        }
    }
    Ok(())
}

fn print_repairs(out: &mut impl Write, repairs: &Repairs) -> io::Result<()> {
    let Repairs { repaired, gone, times, rtts, sent_again, with_loss, without_loss } = repairs;
    let ms = |of: &Histogram<u64>, quantile| of.value_at_quantile(quantile) as f64 / 1e3;
    let (p50, p99, rtt) = (ms(times, 0.5), ms(times, 0.99), ms(rtts, 0.5));
    writeln!(out, "    way down: {repaired} repaired, {gone} gone for good, RTT {rtt:.1} ms")?;
    writeln!(out, "      from found missing to repaired p50 {p50:.1} ms, p99 {p99:.1} ms")?;
    writeln!(out, "    way up: {sent_again} messages sent again")?;
    writeln!(
        out,
        "    datagrams a message, without loss: to members {:.1}, {:.1}; to the server {:.1}, {:.1}",
        with_loss.to_members, without_loss.to_members, with_loss.to_server, without_loss.to_server,
    )
}

fn print_flood(out: &mut impl Write, row: &Row, outcome: &flood::Outcome) -> io::Result<()> {
    let calm = row.floors.iter().map(|(_, figure)| figure);
    let figures = [&row.server].into_iter().chain(calm);
    let sides = [("with the flood", &outcome.with), ("without", &outcome.without)];
    for ((name, side), figure) in sides.into_iter().zip(figures) {
        let cpu = side.cpu_percent().map_or("-".into(), |percent| format!("{percent:.0}"));
        writeln!(
            out,
            "  {name}: {:.0} {}/s of it, server {cpu} % of a CPU",
            side.flood_per_s(),
            outcome.unit
        )?;
        let (offered, lost) = (figure.offered, figure.lost());
        writeln!(
            out,
            "    quiet rooms: {}, {lost} of {offered} lost in the worst run",
            times(&figure.latency)
        )?;
        writeln!(out, "    {} joins: {}", side.joins.len(), times(&side.joins))?;
    }
    Ok(())
}

fn print_costs(out: &mut impl Write, costs: &Costs) -> io::Result<()> {
    let spread = |of: &[f64]| Spread::of(of.iter().copied());
    let us = |of: &[f64]| spread(of).as_ref().map_or("-".into(), cost);
    for kind in &costs.kinds {
        let (one_by_one, several) = (us(&kind.one_by_one), us(&kind.several));
        writeln!(out, "  {:16} {one_by_one} us, 10 at a time {several} us", kind.name)?;
    }
    let spins = spread(&costs.spins_per_s).map_or(0.0, |spread| spread.median);
    writeln!(out, "  Unix datagrams to a full reader: {spins:.0} failed sends in a second of CPU")
}

fn times(of: &Histogram<u64>) -> String {
    let ms = |us: u64| us as f64 / 1e3;
    let [p50, p99] = [0.5, 0.99].map(|quantile| ms(of.value_at_quantile(quantile)));
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, most {:.2} ms", ms(of.max()))
}

fn describe(scenario: &Scenario) -> String {
    let name = scenario.name();
    match scenario {
        Scenario::Fanout(Fanout { shape, service, .. }) => {
            let rooms =
                if shape.rooms == 1 { "1 room".into() } else { format!("{} rooms", shape.rooms) };
            let text = match shape.text {
                Text::Fixed(size) => format!("texts of {size} bytes"),
                Text::Mixed => "names of 3 to 20 bytes, texts of 10 to 300".into(),
            };
            format!("{name}: {rooms} of {}, {text}, {}", shape.members, service.words())
        }
        Scenario::Loss(Fanout { shape, .. }, percent) => {
            let members = shape.members;
            format!(
                "{name}: {members} members, {percent} % of datagrams lost each way, stream delivery;\n\
                 \x20 the ratio is to the same without loss"
            )
        }
        Scenario::Watched(Fanout { shape, .. }) => {
            let members = shape.members;
            format!(
                "{name}: {members} members, and a viewer of /loop; the ratio is to the same without one"
            )
        }
        Scenario::Flood(flood) => describe_flood(name, flood),
        Scenario::Sockets => {
            format!("{name}: CPU time of a message of 64 bytes, sent and received in one thread")
        }
        Scenario::Joins { .. } => {
            format!("{name}: exchanges instead of deliveries; the ratio is of their rates")
        }
        Scenario::Idle(idle) => {
            let (rooms, members) = (idle.rooms, idle.members);
            let (service, seconds) = (idle.service.words(), idle.seconds);
            format!("{name}: {rooms} rooms of {members}, {service}, nobody speaks for {seconds} s")
        }
    }
}

fn describe_flood(name: &str, flood: &Flood) -> String {
    match &flood.source {
        Source::Peers(mixed) => format!(
            "{name}: {} members of a room of {} talk, as does one in each of {} rooms of {} of one IP,\n\
             \x20 with {} junk datagrams a second, beside quiet rooms and joins;\n\
             \x20 the server's limits are its defaults",
            mixed.talkers, mixed.busy, mixed.rooms, mixed.members, mixed.junk
        ),
        Source::Forger { per_s } => format!(
            "{name}: {per_s} forged sealed datagrams a second, half of them with ids of members,\n\
             \x20 beside quiet sealed rooms and joins; the server's limits are its defaults"
        ),
        Source::Handshakes => format!(
            "{name}: connections from many addresses that make handshakes, whole or half, or send\n\
             \x20 garbage, beside quiet sealed rooms and joins; the server's limits are its defaults"
        ),
        _ => format!(
            "{name}: one member floods its room, beside quiet rooms and joins, {} delivery;\n\
             \x20 the server's limits are its defaults",
            flood.service.delivery.word()
        ),
    }
}

fn pace(scenario: &Scenario, row: &Row) -> String {
    match scenario {
        Scenario::Fanout(fanout) | Scenario::Loss(fanout, _) | Scenario::Watched(fanout)
            if row.mode == "rate" =>
        {
            format!("at {} messages/s", fanout.rate)
        }
        _ => "at saturation".into(),
    }
}

fn print_figure(out: &mut impl Write, name: &str, figure: &Figure, row: &Row) -> io::Result<()> {
    let label = match figure.in_flight {
        Some(window) => format!("{name}, {window}"),
        None => name.into(),
    };
    let [p50, p99, p999] = figure.percentiles;
    writeln!(
        out,
        "    {label:20}{:>8} {:>9} {:>7} {:>7} {:>9.0}  {:<18}{:>5} {p50:>7.0} {p99:>7.0} {p999:>7.0} {:>4.0}%{}",
        figure.offered,
        figure.delivered,
        figure.lost(),
        figure.put_off.map_or("-".into(), |count| count.to_string()),
        figure.per_s.median,
        figure.us.as_ref().map_or("-".into(), cost),
        row.ratio(figure).map_or("-".into(), ratio),
        100.0 * figure.load,
        marks(figure, row.mode),
    )
}

/// Formats microseconds.
fn cost(us: &Spread) -> String {
    format!("{:.2} ({:.2}-{:.2})", us.median, us.least, us.most)
}

/// Formats a ratio with two significant digits in at most five characters.
fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// Returns the reasons why a figure does not count.
fn marks(figure: &Figure, mode: &str) -> String {
    let tolerated = if mode == "rate" { 0.0 } else { TOLERATED_AT_SATURATION };
    let mut marks = String::new();
    if figure.lost() as f64 > tolerated * figure.offered as f64 {
        marks.push_str(" LOST");
    }
    if figure.load > BUSY {
        marks.push_str(" LOAD");
    }
    marks
}

/// Prints the meaning of the marks and columns.
///
/// # Errors
/// If stdout takes nothing more.
pub fn print_legend() -> io::Result<()> {
    print(LEGEND)
}

const LEGEND: &str = "
Medians of the runs (least-most); offered, delivered and lost of the run that lost most.
put off: messages that a stream's room did not take at once, of the run with most of them.
The ratio is to the first floor. Behind a name: messages in flight. load: the busiest thread of
the load side. LOST: more than nothing (at a rate) or 1 % (at saturation) is lost; LOAD: the
load side was above 90 % and may be what was measured. Such figures do not count.
";
