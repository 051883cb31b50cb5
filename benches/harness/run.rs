//! Runs the scenarios: starts their targets, measures them in turn, and summarizes the samples.

use std::io;
use std::thread;
use std::time::Duration;

use super::control;
use super::crowd::{Attendance, Crowd};
use super::figures::{Basis, Extra, Figure, Point, Results, Row};
use super::flood;
use super::idle;
use super::joins::Joins;
use super::load::Load;
use super::loss::{self, Outcome};
use super::options::Options;
use super::phase::{GIVE_UP, Pace};
use super::progress;
use super::relay;
use super::report;
use super::sample::Sample;
use super::scenario::{Delivery, Fanout, Flood, Idle, Path, Scenario, Service};
use super::sockets;
use super::target::{DEFAULT_LIMITS, Kind, MANY_CONNECTIONS, SERVER_OPTIONS, Target};
use super::viewer;

/// Numbers of messages in flight that a closed loop is tried with, in ascending order.
const WINDOWS: [usize; 3] = [64, 256, 1_024];

/// Windows of a scenario that measures each of them.
const EVERY_WINDOW: [usize; 4] = [16, 64, 256, 1_024];

/// Time to warm up a target, or to try a window, relative to that of a measurement.
const TRIAL: f64 = 0.3;

/// Points of the picture's rate curve, relative to the scenario's rate.
const CURVE: [f64; 6] = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0];

/// The scenario whose rate curve is drawn, if it is measured.
const CURVE_OF: &str = "fanout_100x64";

/// Share of all deliveries that may be lost at saturation.
const TOLERATED_LOSS: f64 = 0.01;

/// Measures everything that the options ask for, and prints each scenario when it is done.
///
/// # Errors
/// If a server or a relay does not start or does not answer.
pub fn run(options: &Options) -> io::Result<Results> {
    let mut results = Results { rows: Vec::new(), curve: Vec::new() };
    let fanouts = || options.scenarios.iter().filter(|s| matches!(s, Scenario::Fanout(_)));
    let drawn = fanouts().find(|s| s.name() == CURVE_OF).or(fanouts().next()).map(Scenario::name);
    for scenario in &options.scenarios {
        control::begin_scenario();
        let rows = match scenario {
            Scenario::Fanout(fanout) => {
                let mut stage = Stage::set(options, fanout)?;
                let rows = stage.play(options, fanout)?;
                if options.svg.is_some() && drawn == Some(fanout.name) {
                    results.curve = stage.draw_curve(options, fanout)?;
                }
                stage.clear();
                rows
            }
            Scenario::Loss(fanout, percent) => vec![lose(options, fanout, *percent)?],
            Scenario::Watched(fanout) => vec![view(options, fanout)?],
            Scenario::Joins { is_encrypted } => {
                vec![join(options, scenario.name(), *is_encrypted)?]
            }
            Scenario::Idle(idle) => vec![watch(options, idle)?],
            Scenario::Flood(flood) => vec![pour(options, flood)?],
            Scenario::Sockets => vec![compare_sockets(scenario.name(), options)?],
        };
        progress::clear();
        report::print_rows(scenario, &rows)?;
        results.rows.extend(rows);
    }
    Ok(results)
}

/// Returns the server that the options ask for: our child, or one that runs elsewhere.
fn server(options: &Options, limits: &str, service: Service) -> io::Result<Target> {
    match options.connect {
        Some(addresses) => Ok(Target::connect(addresses, service)),
        None => Target::start_server(limits, options.path.as_deref(), service),
    }
}

/// Returns the server, and behind it the targets that it is compared with: its floors, and another
/// server without what the scenario adds, a seal or a stream. A server elsewhere has none, because they
/// would run here.
fn targets(options: &Options, service: Service) -> io::Result<Vec<Target>> {
    let mut targets = vec![server(options, SERVER_OPTIONS, service)?];
    if options.connect.is_some() {
        return Ok(targets);
    }
    let floors: &[relay::Kind] = match service.delivery {
        _ if service.is_on_unix() => &relay::Kind::ON_UNIX,
        Delivery::Text => &relay::Kind::OF_MESSAGES,
        Delivery::Stream => &relay::Kind::OF_STREAMS,
    };
    for kind in floors {
        targets.push(Target::start_relay(*kind)?);
    }
    if let Some(plainer) = plainer(service) {
        targets.push(server(options, SERVER_OPTIONS, plainer)?);
    }
    Ok(targets)
}

fn plainer(service: Service) -> Option<Service> {
    match service {
        Service { path: Path::Sealed, delivery } => Some(Service::clear(delivery)),
        Service { path: Path::Quic, .. } => Some(Service { path: Path::Sealed, ..service }),
        Service { path: Path::CarriedInTls | Path::CarriedOnUnix | Path::WebSocket, .. } => {
            Some(Service { path: Path::Carried, ..service })
        }
        Service { delivery: Delivery::Stream, .. } => Some(Service::clear(Delivery::Text)),
        Service { delivery: Delivery::Text, .. } => None,
    }
}

/// Returns the name of a target beside the server in a scenario with this service.
fn name_beside(service: Service, kind: Kind) -> &'static str {
    match kind {
        Kind::Server(_) if service.needs_tls() => "in_the_clear",
        Kind::Server(_) if service.is_on_unix() => "over_tcp",
        Kind::Server(_) if service.path == Path::WebSocket => "as_units",
        Kind::Server(_) if service.path == Path::Quic => "sealed",
        Kind::Server(_) => "text_delivery",
        Kind::Relay(kind) => kind.name(),
    }
}

/// A crowd that is in the server and in all floors.
struct Stage {
    load: Load,
    targets: Vec<(Target, Attendance)>,
}

impl Stage {
    fn set(options: &Options, fanout: &Fanout) -> io::Result<Self> {
        progress::show(fanout.name, "members enter");
        let targets = targets(options, fanout.service)?;
        let crowd = Crowd::gather(fanout.shape, targets[0].local_ip()?, options.gro)?;
        let attend = |target| {
            let attendance = Attendance::enter(&crowd, &target)?;
            Ok((target, attendance))
        };
        let targets = targets.into_iter().map(attend).collect::<io::Result<Vec<_>>>()?;
        thread::sleep(options.settling);
        Ok(Self { load: Load::new(crowd)?, targets })
    }

    fn play(&mut self, options: &Options, fanout: &Fanout) -> io::Result<Vec<Row>> {
        let count = self.targets.len();
        let rate = Pace::Rate(fanout.rate);
        for target in 0..count {
            self.measure(target, rate, options.seconds * TRIAL)?;
        }
        let mut rows = vec![self.measure_in_turn(options, fanout, "rate", &vec![rate; count])?];
        for paces in self.saturating_paces(options, fanout)? {
            rows.push(self.measure_in_turn(options, fanout, "saturation", &paces)?);
        }
        Ok(rows)
    }

    /// Returns the paces of each row at saturation, one for each target.
    fn saturating_paces(
        &mut self,
        options: &Options,
        fanout: &Fanout,
    ) -> io::Result<Vec<Vec<Pace>>> {
        let count = self.targets.len();
        if fanout.every_window {
            return Ok(EVERY_WINDOW.map(|window| vec![Pace::InFlight(window); count]).to_vec());
        }
        let seconds = options.seconds * TRIAL;
        let best = (0..count).map(|target| self.best_window(target, seconds));
        Ok(vec![best.collect::<io::Result<_>>()?])
    }

    /// Measures all targets in turn, and again, so that changes of the machine's speed affect them alike.
    fn measure_in_turn(
        &mut self,
        options: &Options,
        fanout: &Fanout,
        mode: &'static str,
        paces: &[Pace],
    ) -> io::Result<Row> {
        let mut samples: Vec<Vec<Sample>> = paces.iter().map(|_| Vec::new()).collect();
        for run in 1..=options.runs {
            progress::show(fanout.name, &format!("{mode}, run {run} of {}", options.runs));
            for (target, pace) in paces.iter().enumerate() {
                samples[target].push(self.measure(target, *pace, options.seconds)?);
            }
        }
        let names = self.targets.iter().map(|(target, _)| name_beside(fanout.service, target.kind));
        let mut figures = names.zip(samples.iter().zip(paces).map(|(samples, pace)| {
            let in_flight = match pace {
                Pace::InFlight(window) => Some(*window),
                Pace::Rate(_) => None,
            };
            Figure::of(samples, in_flight)
        }));
        let (_, server) = figures.next().ok_or(io::ErrorKind::NotFound)?;
        let (scenario, delivery, floors) =
            (fanout.name, fanout.service.delivery, figures.collect());
        let (basis, extra) = (Basis::Cost, None);
        Ok(Row { scenario, delivery, mode, server, floors, basis, extra })
    }

    fn measure(&mut self, target: usize, pace: Pace, seconds: f64) -> io::Result<Sample> {
        let (target, attendance) = &self.targets[target];
        self.load.measure(target, attendance, pace, seconds)
    }

    /// Returns the number of messages in flight that gives the most deliveries. Skips windows that are
    /// too large to finish before messages are given up: that would be no closed loop.
    fn best_window(&mut self, target: usize, seconds: f64) -> io::Result<Pace> {
        let (mut best, mut most) = (WINDOWS[0], 0.0);
        for window in WINDOWS {
            let sample = self.measure(target, Pace::InFlight(window), seconds)?;
            let lost = (sample.offered - sample.delivered) as f64;
            if lost > TOLERATED_LOSS * sample.offered as f64 {
                break;
            }
            if sample.delivered_per_s > most {
                (best, most) = (window, sample.delivered_per_s);
            }
            let typical = Duration::from_micros(sample.latency.value_at_quantile(0.5));
            if typical * (WINDOWS[1] / WINDOWS[0]) as u32 > GIVE_UP {
                break;
            }
        }
        Ok(Pace::InFlight(best))
    }

    /// Returns the rates of the server and the first floor over the offered rate.
    fn draw_curve(&mut self, options: &Options, fanout: &Fanout) -> io::Result<Vec<Point>> {
        let audience = fanout.shape.audience() as f64;
        let mut points = Vec::new();
        for factor in CURVE {
            progress::show(fanout.name, &format!("rate curve, {factor} times the rate"));
            let rate = (f64::from(fanout.rate) * factor).ceil();
            for target in 0..self.targets.len().min(2) {
                let sample = self.measure(target, Pace::Rate(rate as u32), options.seconds)?;
                let target = self.targets[target].0.kind.name();
                let delivered = sample.delivered_per_s;
                points.push(Point { target, offered: rate * audience, delivered });
            }
        }
        Ok(points)
    }

    fn clear(self) {
        if let Some((_, attendance)) = self.targets.first() {
            attendance.leave(&self.load.crowd);
        }
    }
}

fn lose(options: &Options, fanout: &Fanout, percent: u8) -> io::Result<Row> {
    let target = server(options, SERVER_OPTIONS, fanout.service)?;
    let Outcome { lossless, lossy, repairs } = loss::measure(options, target, fanout, percent)?;
    let (scenario, delivery, mode) = (fanout.name, fanout.service.delivery, "rate");
    let server = Figure::of(&lossy, None);
    let floors = vec![("without_loss", Figure::of(&lossless, None))];
    let (basis, extra) = (Basis::Cost, Some(Extra::Repairs(repairs.into())));
    Ok(Row { scenario, delivery, mode, server, floors, basis, extra })
}

fn view(options: &Options, fanout: &Fanout) -> io::Result<Row> {
    let target = server(options, SERVER_OPTIONS, fanout.service)?;
    let outcome = viewer::measure(options, &target, fanout)?;
    let (scenario, delivery, mode) = (fanout.name, fanout.service.delivery, "rate");
    let server = Figure::of(&outcome.watched, None);
    let floors = vec![("not_watched", Figure::of(&outcome.unwatched, None))];
    Ok(Row { scenario, delivery, mode, server, floors, basis: Basis::Cost, extra: None })
}

fn join(options: &Options, scenario: &'static str, is_encrypted: bool) -> io::Result<Row> {
    let new_server = || server(options, SERVER_OPTIONS, Service::clear(Delivery::Text));
    let mut targets = vec![("server", new_server()?, is_encrypted)];
    if options.connect.is_none() {
        targets.push(match is_encrypted {
            true => ("in_the_clear", new_server()?, false),
            false => (relay::Kind::Tcp.name(), Target::start_relay(relay::Kind::Tcp)?, false),
        });
    }
    let joins = Joins::default();
    let mut samples: Vec<Vec<Sample>> = targets.iter().map(|_| Vec::new()).collect();
    for run in 1..=options.runs {
        progress::show(scenario, &format!("run {run} of {}", options.runs));
        for ((_, target, is_encrypted), samples) in targets.iter().zip(&mut samples) {
            samples.push(joins.measure(target, *is_encrypted, options.seconds)?);
        }
    }
    let figures = targets.iter().zip(&samples);
    let mut figures = figures.map(|((name, ..), samples)| (*name, Figure::of(samples, None)));
    let (_, server) = figures.next().ok_or(io::ErrorKind::NotFound)?;
    let floors = figures.collect();
    let (delivery, mode) = (Delivery::Text, "saturation");
    Ok(Row { scenario, delivery, mode, server, floors, basis: Basis::Rate, extra: None })
}

fn watch(options: &Options, idle: &Idle) -> io::Result<Row> {
    progress::show(idle.name, &format!("members enter, then {} idle seconds", idle.seconds));
    let limits = match idle.service.is_carried() {
        true => format!("{SERVER_OPTIONS} {MANY_CONNECTIONS}"),
        false => SERVER_OPTIONS.into(),
    };
    let target = server(options, &limits, idle.service)?;
    let quiet = idle::measure(&target, idle, options.settling)?;
    let mut server = Figure::of(&[], None);
    (server.offered, server.delivered) = (quiet.members as u64, quiet.members as u64);
    let (scenario, delivery, mode) = (idle.name, idle.service.delivery, "rate");
    let (floors, basis, extra) = (Vec::new(), Basis::Cost, Some(Extra::Quiet(quiet)));
    Ok(Row { scenario, delivery, mode, server, floors, basis, extra })
}

fn compare_sockets(scenario: &'static str, options: &Options) -> io::Result<Row> {
    progress::show(scenario, "system calls on sockets of each kind");
    let costs = sockets::measure(options.seconds, options.runs)?;
    let mut server = Figure::of(&[], None);
    server.delivered = costs.messages;
    let (delivery, mode) = (Delivery::Text, "rate");
    let (floors, basis, extra) = (Vec::new(), Basis::Cost, Some(Extra::Sockets(costs)));
    Ok(Row { scenario, delivery, mode, server, floors, basis, extra })
}

fn pour(options: &Options, flood: &Flood) -> io::Result<Row> {
    let target = server(options, DEFAULT_LIMITS, flood.service)?;
    let outcome = flood::measure(options, target, flood)?;
    let (scenario, delivery, mode) = (flood.name, flood.service.delivery, "rate");
    let server = Figure::of(&outcome.with.samples, None);
    let floors = vec![("without_flood", Figure::of(&outcome.without.samples, None))];
    let (basis, extra) = (Basis::Cost, Some(Extra::Flood(outcome.into())));
    Ok(Row { scenario, delivery, mode, server, floors, basis, extra })
}
