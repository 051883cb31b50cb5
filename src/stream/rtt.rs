//! How long a round trip takes, and how long to wait for an answer: the estimator of RFC 6298.

use std::time::Duration;

/// How long to wait before anything was measured (RFC 6298, 2.1).
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// The G of RFC 6298: a wait is at least so much longer than the round trip. Our clock is finer;
/// this is what a busy thread may come too late.
const GRANULARITY: Duration = Duration::from_millis(1);
/// Nothing takes longer: a sample from a machine that slept says nothing about the network. It is
/// also the ceiling of RFC 6298, 2.5.
const LONGEST: Duration = Duration::from_secs(60);

/// The smoothed round trip and its variation; without a sample they are not known.
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
    /// Takes a measured round trip in (RFC 6298, 2.2 and 2.3: alpha is 1/8, beta 1/4). By Karn's
    /// rule the caller measures nothing that it sent twice.
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

    /// The smoothed round trip.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    /// How long an answer may take before something is amiss. There is no floor in it: how much
    /// patience is due beyond that is for the caller to say.
    pub(super) fn timeout(&self) -> Duration {
        let Some(Measured { smoothed, variation }) = self.measured else { return FIRST_TIMEOUT };
        (smoothed + GRANULARITY.max(variation * 4)).min(LONGEST)
    }
}

/// `first`, doubled `times` times, but not above `most`.
pub(super) fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn s6_the_first_timeout_is_a_second() {
        assert_eq!(Rtt::default().timeout(), ms(1000));
        assert_eq!(Rtt::default().smoothed(), None);
    }

    #[test]
    fn s6_the_numbers_of_rfc_6298() {
        let mut rtt = Rtt::default();
        rtt.sample(ms(80));
        assert_eq!((rtt.smoothed(), rtt.timeout()), (Some(ms(80)), ms(80 + 4 * 40)));
        rtt.sample(ms(160));
        assert_eq!((rtt.smoothed(), rtt.timeout()), (Some(ms(90)), ms(90 + 4 * 50)));
    }

    #[test]
    fn s6_a_steady_round_trip_leaves_the_granularity_on_top() {
        let mut rtt = Rtt::default();
        (0..100).for_each(|_| rtt.sample(ms(8)));
        assert_eq!(rtt.timeout(), ms(9));
    }

    #[test]
    fn s6_no_sample_is_too_long_or_too_short() {
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
