//! Random numbers that are the same for the same seed on every machine.

use std::time::Duration;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns a size or an index below `end`.
    pub fn size_below(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// Returns up to 99 bytes.
    pub fn bytes(&mut self) -> Vec<u8> {
        let size = self.size_below(100);
        (0..size).map(|_| self.next() as u8).collect()
    }

    /// Returns a valid token.
    pub fn token(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| b"0123456789abcdef"[self.size_below(16)])
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn milliseconds(&mut self, end: u64) -> Duration {
        Duration::from_micros(self.below(1 + end * 1000))
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.size_below(from.len())]
    }
}

/// Returns the seed of a failed run, to be replayed.
pub fn seed_to_replay() -> Option<u64> {
    number_from_environment("REACTOR_CHAT_SEED")
}

pub fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")))
}
