//! Bytes that are read as choices. Behind the last byte, every choice is 0.

/// Sizes from this one on stand for a long text.
const LONG: u8 = 0xf0;
/// Bytes that each further size adds. The largest text is longer than any accepted datagram.
const LONG_STEP: usize = 280;
/// The bytes that a long text repeats.
const PATTERN: usize = 8;

/// Cuts a stream into pieces, each one byte longer than its cut. The rest is the last piece.
pub fn pieces<'a>(stream: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let (mut cuts, mut rest) = (cuts.iter(), stream);
    std::iter::from_fn(move || {
        let size = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1);
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The rest of the input.
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

    /// Returns a number below `count`.
    pub fn pick(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Returns a text, which the input has behind its size. A long text repeats its first bytes.
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
