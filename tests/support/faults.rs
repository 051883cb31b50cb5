//! The faults of a simulated network, in either direction.

use std::time::Duration;

use super::random::Random;

/// The time at which the network heals.
pub const HEALED: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
pub struct Faults {
    lost_percent: u64,
    repeated_percent: u64,
    /// Milliseconds. Two datagrams with random delays may overtake each other.
    max_delay: u64,
    /// Begin and end of a time in which every datagram is lost.
    cut: (Duration, Duration),
}

impl Faults {
    pub fn of(random: &mut Random) -> Self {
        let cut_at = random.milliseconds(3_000);
        Self {
            lost_percent: random.below(41),
            repeated_percent: random.below(20),
            max_delay: [1, 10, 100][random.below(3) as usize],
            cut: (cut_at, cut_at + random.milliseconds(1_500)),
        }
    }

    /// Returns the times at which a datagram arrives that is sent at `time`: none, one or two.
    pub fn arrivals(
        self,
        time: Duration,
        random: &mut Random,
    ) -> impl Iterator<Item = Duration> + use<> {
        let is_repeated = random.chance(self.repeated_percent);
        let arrivals =
            [Some(self.arrival(time, random)), is_repeated.then(|| self.arrival(time, random))];
        arrivals.into_iter().flatten().flatten()
    }

    fn arrival(self, time: Duration, random: &mut Random) -> Option<Duration> {
        let is_bad = time < HEALED;
        let is_cut = is_bad && (self.cut.0..self.cut.1).contains(&time);
        let is_lost = is_cut || (is_bad && random.chance(self.lost_percent));
        (!is_lost).then(|| time + random.milliseconds(self.max_delay))
    }
}
