//! Create and join exchanges: connect, ask, take the token, close.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::control::{self, CREATE, Control, JOIN};
use super::sample::{Sample, new_histogram, record};
use super::scenario::{Delivery, Service};
use super::target::{Target, own_cpu_time};

/// Exchanges of a room: one creates it, the others join.
const MEMBERS: usize = 10;

/// Numbers exchanges over all measurements, so that no room is created twice.
#[derive(Default)]
pub struct Joins {
    next: AtomicUsize,
}

/// Exchanges of one thread.
struct Share {
    latency: hdrhistogram::Histogram<u64>,
    load: f64,
}

impl Joins {
    /// Makes exchanges for some time, several at a time, inside TLS if `is_encrypted` is set.
    ///
    /// # Errors
    /// If the target does not answer, or refuses.
    pub fn measure(&self, target: &Target, is_encrypted: bool, seconds: f64) -> io::Result<Sample> {
        let threads = thread::available_parallelism()?.get().max(2);
        let before = target.cpu_time();
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(seconds);
        let shares = thread::scope(|scope| {
            let work = || self.exchange_until(end, target.tcp, is_encrypted);
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, io::Result<Share>>| {
                thread.join().expect("no panic")
            };
            threads.into_iter().map(join).collect::<io::Result<Vec<Share>>>()
        })?;
        let elapsed = start.elapsed();
        let cpu = before.and_then(|before| Some(target.cpu_time()? - before));
        Ok(summarize(&shares, cpu, elapsed))
    }

    /// Takes whole rooms at a time, so that nobody joins a room that is not there yet.
    fn exchange_until(
        &self,
        end: Instant,
        server: SocketAddr,
        is_encrypted: bool,
    ) -> io::Result<Share> {
        let (cpu, start) = (own_cpu_time(), Instant::now());
        let mut latency = new_histogram();
        while Instant::now() < end {
            let first = self.next.fetch_add(MEMBERS, Relaxed);
            for client in first..first + MEMBERS {
                let began = Instant::now();
                exchange(server, client, is_encrypted)?;
                record(&mut latency, began.elapsed());
            }
        }
        let load = (own_cpu_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
        Ok(Share { latency, load })
    }
}

/// Makes the exchange with this number. The first of each room creates it.
///
/// # Errors
/// If the server does not answer, or refuses.
pub fn exchange(server: SocketAddr, number: usize, is_encrypted: bool) -> io::Result<()> {
    let (room, member) = (control::numbered_room(number / MEMBERS), number % MEMBERS);
    let operation = if member == 0 { CREATE } else { JOIN };
    let mut control = Control::connect(server, control::source_of(server, number), is_encrypted)?;
    control.enter(operation, &room, &format!("m{member}"), Service::clear(Delivery::Text))?;
    Ok(())
}

fn summarize(shares: &[Share], cpu: Option<Duration>, elapsed: Duration) -> Sample {
    let mut latency = new_histogram();
    for share in shares {
        latency.add(&share.latency).expect("histograms of the same bounds");
    }
    let done = latency.len();
    Sample {
        put_off: None,
        offered: done,
        delivered: done,
        delivered_per_s: done as f64 / elapsed.as_secs_f64(),
        cpu,
        latency,
        load: shares.iter().map(|share| share.load).fold(0.0, f64::max),
    }
}
