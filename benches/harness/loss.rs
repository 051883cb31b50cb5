//! A stream through a network that loses datagrams: the number, delay and cost of repairs.
//!
//! Every run is made twice, without loss and with it, by the same members through the same proxy.

use std::io;
use std::thread;

use hdrhistogram::Histogram;
use mio::net::UdpSocket;

use super::crowd::{Attendance, Crowd, Wire};
use super::listener::Account;
use super::load::Load;
use super::options::Options;
use super::phase::Pace;
use super::progress;
use super::proxy::Proxy;
use super::sample::{Sample, new_histogram};
use super::scenario::Fanout;
use super::target::Target;

/// Runs are longer than others by this factor, because they measure rare events.
const PATIENCE: f64 = 5.0;

pub struct Outcome {
    pub lossless: Vec<Sample>,
    pub lossy: Vec<Sample>,
    pub repairs: Repairs,
}

/// Repairs in all runs together.
pub struct Repairs {
    /// Entries that came after they were asked for.
    pub repaired: u64,
    /// Entries that were lost for good.
    pub gone: u64,
    /// Times from the discovery of a gap to its repair.
    pub times: Histogram<u64>,
    /// Round-trip times that members have measured.
    pub rtts: Histogram<u64>,
    /// Messages that were sent to the server again.
    pub sent_again: u64,
    pub with_loss: Datagrams,
    pub without_loss: Datagrams,
}

/// Datagrams per message, including those that the proxy has lost.
pub struct Datagrams {
    pub to_members: f64,
    pub to_server: f64,
}

/// Measures the server through a network that loses `percent` of all datagrams.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn measure(
    options: &Options,
    mut target: Target,
    fanout: &Fanout,
    percent: u8,
) -> io::Result<Outcome> {
    progress::show(fanout.name, "members enter");
    let ip = target.local_ip()?;
    let crowd = Crowd::gather(fanout.shape, ip, options.gro)?;
    let members = crowd.sockets.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let proxy = Proxy::start(target.udp, ip, members)?;
    target.udp = proxy.address;
    let attendance = Attendance::enter(&crowd, &target)?;
    thread::sleep(options.settling);
    let mut course = Course { load: Load::new(crowd)?, target, attendance, proxy };
    let pace = Pace::Rate(fanout.rate);
    course.run(pace, options.seconds, 0)?;
    let (mut lossless, mut lossy) = (Vec::new(), Vec::new());
    for run in 1..=options.runs {
        progress::show(fanout.name, &format!("run {run} of {}", options.runs));
        lossless.push(course.run(pace, options.seconds * PATIENCE, 0)?);
        lossy.push(course.run(pace, options.seconds * PATIENCE, percent)?);
    }
    course.attendance.leave(&course.load.crowd);
    let repairs = Repairs::of(&lossless, &lossy, fanout.shape.audience());
    let samples = |runs: Vec<Run>| runs.into_iter().map(|run| run.sample).collect();
    Ok(Outcome { lossless: samples(lossless), lossy: samples(lossy), repairs })
}

/// Members of a server behind a proxy.
struct Course {
    load: Load,
    target: Target,
    attendance: Attendance,
    proxy: Proxy,
}

/// One measurement, the repairs in it, and the number of datagrams that it took.
struct Run {
    sample: Sample,
    account: Account,
    to_members: u64,
    to_server: u64,
}

impl Course {
    fn run(&mut self, pace: Pace, seconds: f64, percent: u8) -> io::Result<Run> {
        let (to_members, to_server) = self.proxy.counts();
        let before = self.account();
        self.proxy.lose(percent);
        let sample = self.load.measure(&self.target, &self.attendance, pace, seconds)?;
        self.proxy.lose(0);
        let (down, up) = self.proxy.counts();
        let account = self.account().since(&before);
        Ok(Run { sample, account, to_members: down - to_members, to_server: up - to_server })
    }

    fn account(&self) -> Account {
        match &self.attendance.wire {
            Wire::Stream(listeners) => Account::of(listeners),
            Wire::Plain | Wire::Packed => Account::of(&[]),
        }
    }
}

impl Repairs {
    fn of(lossless: &[Run], lossy: &[Run], audience: usize) -> Self {
        let sum = |runs: &[Run], of: &dyn Fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
        let datagrams = |runs: &[Run]| {
            let messages = sum(runs, &|run| run.sample.offered) as f64 / audience as f64;
            Datagrams {
                to_members: sum(runs, &|run| run.to_members) as f64 / messages,
                to_server: sum(runs, &|run| run.to_server) as f64 / messages,
            }
        };
        let (mut times, mut rtts) = (new_histogram(), new_histogram());
        for Run { account, .. } in lossy {
            times.add(&account.times).expect("histograms of the same bounds");
            rtts.add(&account.rtts).expect("histograms of the same bounds");
        }
        Self {
            repaired: sum(lossy, &|run| run.account.repaired),
            gone: sum(lossy, &|run| run.account.gone),
            times,
            rtts,
            sent_again: sum(lossy, &|run| run.account.sent_again),
            with_loss: datagrams(lossy),
            without_loss: datagrams(lossless),
        }
    }
}
