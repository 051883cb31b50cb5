//! Chance that a test can repeat.

use super::Token;

/// Numbers that look random and are the same every time (xorshift64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn bytes(&mut self) -> Vec<u8> {
        let size = self.below(100);
        (0..size).map(|_| self.next() as u8).collect()
    }

    pub fn token(&mut self) -> Token {
        std::array::from_fn(|_| b"0123456789abcdef"[self.below(16)])
    }
}
