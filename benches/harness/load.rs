//! Messages on a schedule or in a closed loop, and the latency of their deliveries.
//!
//! The calling thread sends for everyone: a message is due at a time, and its latency counts from then,
//! however late it is sent. Other threads each receive for a share of the members.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::crowd::{Attendance, Crowd};
use super::phase::{Pace, Phase, Scene};
use super::receiver::{Received, Receiver};
use super::sample::{Sample, new_histogram};
use super::sender::Sender;
use super::target::Target;

/// A crowd and the threads that receive for it.
pub struct Load {
    pub crowd: Crowd,
    receivers: Vec<Receiver>,
    /// Number of the next message. None is used twice, so that late deliveries are recognized.
    next: u64,
}

impl Load {
    /// # Errors
    /// If there are no polls to be had.
    pub fn new(mut crowd: Crowd) -> io::Result<Self> {
        // The server, the sender and each receiver want a core of their own.
        let cores = thread::available_parallelism()?.get();
        let count = cores.saturating_sub(2).clamp(1, 4).min(crowd.shape.population());
        let receivers = (0..count).map(|first| Receiver::new(first, count, &mut crowd));
        Ok(Self { receivers: receivers.collect::<io::Result<_>>()?, crowd, next: 0 })
    }

    /// Offers messages for some time, and waits for their deliveries.
    ///
    /// # Errors
    /// If a poll fails.
    pub fn measure(
        &mut self,
        target: &Target,
        attendance: &Attendance,
        pace: Pace,
        seconds: f64,
    ) -> io::Result<Sample> {
        let (before, put_off) = (target.cpu_time(), attendance.put_off());
        let phase = &Phase::new(self.crowd.shape, self.next, pace, seconds);
        let scene = Scene { crowd: &self.crowd, attendance, phase };
        let (sent, load, received) = run(&mut self.receivers, scene, seconds)?;
        let cpu = before.and_then(|before| Some(target.cpu_time()? - before));
        self.next += sent as u64;
        let offered = (sent * self.crowd.shape.audience()) as u64;
        let put_off = put_off.and_then(|before| Some(attendance.put_off()? - before));
        Ok(Sample { put_off, ..summarize(offered, cpu, load, &received) })
    }
}

/// Returns the number of messages sent, the load of this thread, and what each receiver received.
fn run(
    receivers: &mut [Receiver],
    scene: Scene<'_>,
    seconds: f64,
) -> io::Result<(usize, f64, Vec<Received>)> {
    thread::scope(|scope| {
        let wakers: Vec<_> = receivers.iter().map(Receiver::waker).collect();
        let threads: Vec<_> =
            receivers.iter_mut().map(|receiver| scope.spawn(|| receiver.run(scene))).collect();
        let (sent, load) = Sender::new(scene).run(seconds);
        scene.phase.is_over.store(true, Relaxed);
        for waker in wakers {
            waker.wake()?;
        }
        let join = |thread: thread::ScopedJoinHandle<'_, io::Result<Received>>| {
            thread.join().expect("a receiver does not panic")
        };
        let received = threads.into_iter().map(join).collect::<io::Result<_>>()?;
        Ok((sent, load, received))
    })
}

fn summarize(offered: u64, cpu: Option<Duration>, load: f64, received: &[Received]) -> Sample {
    let delivered = received.iter().map(|received| received.latency.len()).sum();
    let last = received.iter().map(|received| received.last).max().unwrap_or_default();
    let mut latency = new_histogram();
    for received in received {
        latency.add(&received.latency).expect("histograms of the same bounds");
    }
    Sample {
        offered,
        delivered,
        delivered_per_s: delivered as f64 / last.as_secs_f64().max(1e-9),
        put_off: None,
        cpu,
        latency,
        load: received.iter().map(|received| received.load).fold(load, f64::max),
    }
}
