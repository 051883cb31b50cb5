//! What is written: the head, the table, progress, JSON.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::thread;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::flood;
use super::loss::Repairs;
use super::options::Options;
use super::run::{Basis, Extra, Figure, Row, Spread};
use super::scenario::{Fanout, Flood, Scenario, Text};
use super::target::SERVER_OPTIONS;

/// A thread of ours that is busier than this may be what was measured.
const BUSY: f64 = 0.9;

/// What may be lost before a figure does not count, of all that was offered.
const TOLERATED_AT_SATURATION: f64 = 0.01;

/// The reader of stdout has gone, as head(1) does: no fault of the server.
#[derive(Debug)]
struct ReaderGone;

impl fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads stdout any more")
    }
}

impl Error for ReaderGone {}

/// Returns true for the error of a table that nobody reads any more. A broken pipe alone does not
/// say that: a connection to a server breaks in the same way.
pub fn is_reader_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<ReaderGone>())
}

/// Writes to stdout without `println`, which panics where stdout takes nothing more.
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
            "  {name}: {:.0} datagrams/s of it, server {cpu} % of a CPU",
            side.flood_per_s()
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

fn times(of: &Histogram<u64>) -> String {
    let ms = |us: u64| us as f64 / 1e3;
    let [p50, p99] = [0.5, 0.99].map(|quantile| ms(of.value_at_quantile(quantile)));
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, most {:.2} ms", ms(of.max()))
}

fn describe(scenario: &Scenario) -> String {
    let name = scenario.name();
    match scenario {
        Scenario::Fanout(Fanout { shape, delivery, .. }) => {
            let rooms =
                if shape.rooms == 1 { "1 room".into() } else { format!("{} rooms", shape.rooms) };
            let text = match shape.text {
                Text::Fixed(size) => format!("texts of {size} bytes"),
                Text::Mixed => "names of 3 to 20 bytes, texts of 10 to 300".into(),
            };
            format!("{name}: {rooms} of {}, {text}, {} delivery", shape.members, delivery.word())
        }
        Scenario::Loss(Fanout { shape, .. }, percent) => {
            let members = shape.members;
            format!(
                "{name}: {members} members, {percent} % of datagrams lost each way, stream delivery;\n\
                 \x20 the ratio is to the same without loss"
            )
        }
        Scenario::Flood(Flood { mixed: Some(mixed), .. }) => format!(
            "{name}: {} members of a room of {} talk, as does one in each of {} rooms of {} of one IP,\n\
             \x20 with {} junk datagrams a second, beside quiet rooms and joins;\n\
             \x20 the server's limits are its defaults",
            mixed.talkers, mixed.busy, mixed.rooms, mixed.members, mixed.junk
        ),
        Scenario::Flood(Flood { delivery, .. }) => format!(
            "{name}: one member floods its room, beside quiet rooms and joins, {} delivery;\n\
             \x20 the server's limits are its defaults",
            delivery.word()
        ),
        Scenario::Joins => {
            format!("{name}: exchanges instead of deliveries; the ratio is of their rates")
        }
        Scenario::Idle(idle) => {
            let (rooms, members) = (idle.rooms, idle.members);
            let (delivery, seconds) = (idle.delivery.word(), idle.seconds);
            format!(
                "{name}: {rooms} rooms of {members}, {delivery} delivery, nobody speaks for {seconds} s"
            )
        }
    }
}

fn pace(scenario: &Scenario, row: &Row) -> String {
    match scenario {
        Scenario::Fanout(fanout) | Scenario::Loss(fanout, _) if row.mode == "rate" => {
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
    let cost = |us: &Spread| format!("{:.2} ({:.2}-{:.2})", us.median, us.least, us.most);
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

/// Five characters at most, with two digits that tell something.
fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// Why a figure does not count.
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
The ratio is to relay_send_to. Behind a name: messages in flight. load: the busiest thread of
the load side. LOST: more than nothing (at a rate) or 1 % (at saturation) is lost; LOAD: the
load side was above 90 % and may be what was measured. Such figures do not count.
";

/// Says what is going on, if somebody watches.
pub fn show(scenario: &str, what: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        // Progress that can't be shown is not missed.
        let _ = write!(err, "\r\x1b[K{scenario}: {what}");
    }
}

/// Makes way for the table.
pub fn clear_progress() {
    let mut err = io::stderr();
    if err.is_terminal() {
        // As above.
        let _ = write!(err, "\r\x1b[K");
    }
}

/// Writes a list of rows.
///
/// # Errors
/// One that names the file.
pub fn write_json(path: &Path, rows: &[Row]) -> io::Result<()> {
    let rows: Vec<Value> = rows.iter().map(row_json).collect();
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    write(path, &text)
}

/// Writes a file.
///
/// # Errors
/// One that names it.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn row_json(row: &Row) -> Value {
    let mut value = figure_json(&row.server);
    let us = |figure: &Figure| figure.us.as_ref().map(|us| us.median);
    value["scenario"] = row.scenario.into();
    value["delivery"] = row.delivery.word().into();
    value["mode"] = row.mode.into();
    value["server_us"] = us(&row.server).into();
    value["floor_us"] = row.floors.first().and_then(|(_, floor)| us(floor)).into();
    value["ratio"] = row.ratio(&row.server).into();
    value["ratio_of"] = if row.basis == Basis::Rate { "rate" } else { "cost" }.into();
    let floors = row.floors.iter().map(|(name, floor)| (String::from(*name), figure_json(floor)));
    value["floors"] = Value::Object(floors.collect());
    match &row.extra {
        Some(Extra::Quiet(quiet)) => {
            value["bytes_per_member"] = quiet.bytes_per_member.into();
            value["cpu_percent"] = quiet.cpu_percent.into();
        }
        Some(Extra::Repairs(repairs)) => value["repairs"] = repairs_json(repairs),
        Some(Extra::Flood(outcome)) => {
            value["flood"] = side_json(&outcome.with, &row.server);
            let calm = row.floors.first().map(|(_, figure)| side_json(&outcome.without, figure));
            value["without_flood"] = calm.into();
        }
        None => {}
    }
    value
}

fn repairs_json(repairs: &Repairs) -> Value {
    let us = |of: &Histogram<u64>, quantile| of.value_at_quantile(quantile);
    json!({
        "repaired": repairs.repaired,
        "gone": repairs.gone,
        "p50_us": us(&repairs.times, 0.5),
        "p99_us": us(&repairs.times, 0.99),
        "rtt_us": us(&repairs.rtts, 0.5),
        "sent_again": repairs.sent_again,
        "datagrams_a_message": {
            "to_members": repairs.with_loss.to_members,
            "to_members_without_loss": repairs.without_loss.to_members,
            "to_server": repairs.with_loss.to_server,
            "to_server_without_loss": repairs.without_loss.to_server,
        },
    })
}

fn side_json(side: &flood::Side, figure: &Figure) -> Value {
    let times = |of: &Histogram<u64>| {
        json!({
            "p50_us": of.value_at_quantile(0.5),
            "p99_us": of.value_at_quantile(0.99),
            "most_us": of.max(),
        })
    };
    json!({
        "datagrams_per_s": side.flood_per_s(),
        "cpu_percent": side.cpu_percent(),
        "quiet_rooms": times(&figure.latency),
        "joins": times(&side.joins),
    })
}

fn figure_json(figure: &Figure) -> Value {
    let [p50, p99, p999] = figure.percentiles;
    let us = figure.us.as_ref().map(|us| {
        json!({
            "median": us.median, "min": us.least, "max": us.most,
        })
    });
    json!({
        "in_flight": figure.in_flight,
        "offered": figure.offered,
        "delivered": figure.delivered,
        "lost": figure.lost(),
        "put_off": figure.put_off,
        "deliveries_per_s": figure.per_s.median,
        "us": us,
        "p50_us": p50,
        "p99_us": p99,
        "p999_us": p999,
        "load_percent": 100.0 * figure.load,
    })
}
