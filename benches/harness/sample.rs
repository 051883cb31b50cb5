//! One measurement of one target, and histograms of latencies.

use std::time::Duration;

use hdrhistogram::Histogram;

pub struct Sample {
    /// Number of deliveries if nothing is lost.
    pub offered: u64,
    pub delivered: u64,
    pub delivered_per_s: f64,
    /// Number of times that a message was put off (code 8). Only streams have that.
    pub put_off: Option<u64>,
    /// CPU time of the target, if it is our child.
    pub cpu: Option<Duration>,
    /// In microseconds.
    pub latency: Histogram<u64>,
    /// Share of its time that our busiest thread was on a CPU.
    pub load: f64,
}

/// Returns a histogram of latencies up to a minute, to three digits, in microseconds.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds that hdrhistogram takes")
}

pub fn record(latency: &mut Histogram<u64>, time: Duration) {
    latency.saturating_record((time.as_micros() as u64).max(1));
}
