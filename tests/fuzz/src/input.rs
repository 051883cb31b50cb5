//! Bytes that are read as choices. When there are none left, every choice is 0.

/// From here on a length stands for a long text.
const LONG: u8 = 0xf0;
/// What each step beyond that adds: the last is longer than any datagram that is taken.
const LONG_STEP: usize = 280;
/// A long text repeats so many bytes.
const PATTERN: usize = 8;

/// What is left of the input.
pub struct Input<'a>(pub &'a [u8]);

impl Input<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of so many.
    pub fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// A length and so many bytes; of a long text only the beginning, which is repeated.
    pub fn bytes(&mut self) -> Vec<u8> {
        let size = self.byte();
        if size < LONG {
            return self.take(usize::from(size)).to_vec();
        }
        let pattern = self.take(PATTERN).to_vec();
        pattern.into_iter().cycle().take(usize::from(size - LONG + 1) * LONG_STEP).collect()
    }

    fn take(&mut self, size: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(size.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
