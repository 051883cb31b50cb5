//! The round-trip time and the retransmission timeout, by the estimator of RFC 6298.

use std::time::Duration;

/// The timeout before the first sample (RFC 6298, 2.1).
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// The clock granularity G of RFC 6298: the timeout is at least this much longer than the round trip.
/// Our clock is finer, but a busy thread may look at it this much too late.
const GRANULARITY: Duration = Duration::from_millis(1);
/// The longest sample and timeout (RFC 6298, 2.5). A longer sample comes from a machine that slept and
/// says nothing about the network.
const LONGEST: Duration = Duration::from_secs(60);

/// The smoothed round-trip time and its variation, which are unknown before the first sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
}

impl Rtt {
    /// Adds a measured round trip (RFC 6298, 2.2 and 2.3, with alpha 1/8 and beta 1/4). By Karn's
    /// rule, the caller measures no datagram that it sent twice.
    pub(super) fn sample(&mut self, sample: Duration) {
        let sample = sample.min(LONGEST);
        self.measured = Some(match self.measured {
            None => Measured { smoothed: sample, variation: sample / 2 },
            Some(Measured { smoothed, variation }) => Measured {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
            },
        });
    }

    /// Returns the smoothed round-trip time.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    /// Returns the time after which an answer counts as lost. The caller sets the lower bound: RFC
    /// 6298 has one of a second, which is too long here.
    pub(super) fn timeout(&self) -> Duration {
        let Some(Measured { smoothed, variation }) = self.measured else { return FIRST_TIMEOUT };
        (smoothed + GRANULARITY.max(variation * 4)).min(LONGEST)
    }
}

/// Returns `first`, doubled `times` times, but at most `max`.
pub(super) fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn s6_first_timeout_is_a_second() {
        assert_eq!(Rtt::default().timeout(), ms(1000));
        assert_eq!(Rtt::default().smoothed(), None);
    }

    #[test]
    fn s6_numbers_of_rfc_6298() {
        let mut rtt = Rtt::default();
        rtt.sample(ms(80));
        assert_eq!((rtt.smoothed(), rtt.timeout()), (Some(ms(80)), ms(80 + 4 * 40)));
        rtt.sample(ms(160));
        assert_eq!((rtt.smoothed(), rtt.timeout()), (Some(ms(90)), ms(90 + 4 * 50)));
    }

    #[test]
    fn s6_steady_rtt_leaves_granularity() {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(ms(8)));
        assert_eq!(rtt.timeout(), ms(9));
    }

    #[test]
    fn s6_samples_are_bounded() {
        let mut rtt = Rtt::default();
        for sample in [Duration::MAX, Duration::ZERO, Duration::MAX] {
            rtt.sample(sample);
            assert!(rtt.timeout() <= LONGEST && rtt.timeout() >= GRANULARITY);
        }
    }

    #[test]
    fn s10_doubling_ends() {
        assert_eq!(doubled(ms(10), 0, ms(2000)), ms(10));
        assert_eq!(doubled(ms(10), 3, ms(2000)), ms(80));
        assert_eq!(doubled(ms(10), u32::MAX, ms(2000)), ms(2000));
    }
}
