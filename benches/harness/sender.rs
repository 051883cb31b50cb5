//! Sends the messages of one measurement for all members.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use super::crowd::Wire;
use super::phase::{GIVE_UP, Pace, Scene, Settled};
use super::target::own_cpu_time;

/// Messages that have not arrived when nothing came for this time are lost.
const SILENCE: Duration = Duration::from_millis(200);

/// A stream sends lost messages again, for the first time after a second. At saturation that is too
/// late: see [`GIVE_UP`].
const SILENCE_IN_STREAM: Duration = Duration::from_secs(3);

/// Pause before a message is offered again that a stream did not take.
const RETRY: Duration = Duration::from_micros(100);

pub struct Sender<'a> {
    scene: Scene<'a>,
    text: Vec<u8>,
}

impl<'a> Sender<'a> {
    pub fn new(scene: Scene<'a>) -> Self {
        Self { scene, text: Vec::new() }
    }

    /// Sends until the time is over, and waits for the deliveries. Returns the number of messages and
    /// the share of its time that this thread was on a CPU.
    pub fn run(mut self, seconds: f64) -> (usize, f64) {
        let (cpu, start) = (own_cpu_time(), Instant::now());
        let sent = match self.scene.phase.pace {
            Pace::Rate(rate) => self.send_on_schedule(rate),
            Pace::InFlight(window) => self.send_in_flight(window, seconds),
        };
        let load = (own_cpu_time() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
        self.wait_for_rest(sent);
        (sent, load)
    }

    fn send_on_schedule(&mut self, rate: u32) -> usize {
        let phase = self.scene.phase;
        let messages = phase.due.len();
        for index in 0..messages {
            let due = Duration::from_secs_f64(index as f64 / f64::from(rate));
            if let Some(early) = due.checked_sub(phase.start.elapsed()) {
                thread::sleep(early);
            }
            self.send(index, due);
        }
        messages
    }

    fn send_in_flight(&mut self, window: usize, seconds: f64) -> usize {
        let phase = self.scene.phase;
        let end = Duration::from_secs_f64(seconds);
        let (mut sent, mut oldest, mut given_up) = (0, 0, 0);
        while phase.start.elapsed() < end && sent < phase.due.len() {
            while oldest < sent {
                match phase.settle(oldest) {
                    Settled::No => break,
                    Settled::Done => {}
                    Settled::GivenUp => given_up += 1,
                }
                oldest += 1;
            }
            if sent < window + phase.done.load(Relaxed) + given_up {
                self.send(sent, phase.start.elapsed());
                sent += 1;
            } else {
                thread::park_timeout(GIVE_UP / 20);
            }
        }
        sent
    }

    fn send(&mut self, index: usize, due: Duration) {
        let Scene { crowd, attendance, phase } = self.scene;
        let sequence = phase.base + index as u64;
        let speaker = phase.shape.speaker(sequence);
        phase.due[index].store(due.as_nanos() as u64, Relaxed);
        self.text.clear();
        phase.shape.write_text(sequence, &mut self.text);
        let end = Instant::now() + GIVE_UP;
        // A message that is not taken in time is not delivered, and so counted as lost.
        while !attendance.say(crowd, speaker, &self.text) && Instant::now() < end {
            thread::park_timeout(RETRY);
        }
    }

    fn wait_for_rest(&self, sent: usize) {
        let Scene { attendance, phase, .. } = self.scene;
        let silence = match (&attendance.wire, phase.pace) {
            (Wire::Stream(_), Pace::Rate(_)) => SILENCE_IN_STREAM,
            _ => SILENCE,
        };
        let (mut received, mut since) = (0, Instant::now());
        while phase.done.load(Relaxed) < sent && since.elapsed() < silence {
            let now = phase.received.load(Relaxed);
            if now != received {
                (received, since) = (now, Instant::now());
            }
            thread::park_timeout(SILENCE / 100);
        }
    }
}
