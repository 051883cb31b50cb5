//! Bytes that were read and not understood yet.

/// Limit for the memory of an empty inbox: most connections are idle, and a request is small.
const KEPT: usize = 512;

/// Bytes in the order of arrival. It grows with the bytes that arrive, never with an announced size.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Inbox {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// Returns its memory in bytes, beyond what it keeps while it is empty. Consumed bytes count until more
    /// bytes arrive, because they are removed only then.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity().saturating_sub(KEPT)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        // The rest of a frame moves to the front at most once per read.
        self.bytes.drain(..self.consumed);
        self.consumed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn consume(&mut self, size: usize) {
        self.consumed += size;
        debug_assert!(self.consumed <= self.bytes.len());
        if self.bytes().is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.consumed = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_order() {
        let mut inbox = Inbox::default();
        inbox.extend(b"abc");
        inbox.consume(2);
        inbox.extend(b"de");
        assert_eq!(inbox.bytes(), b"cde");
    }

    #[test]
    fn t3_held_memory_counts_until_freed() {
        let mut inbox = Inbox::default();
        inbox.extend(&[0; 64 * 1024]);
        inbox.consume(64 * 1024 - 1);
        inbox.extend(b"x");
        assert!(inbox.held_bytes() > 63 * 1024);
        inbox.consume(2);
        assert_eq!(inbox.held_bytes(), 0);
    }

    #[test]
    fn t3_empty_inbox_holds_little_memory() {
        let mut inbox = Inbox::default();
        inbox.extend(&[0; 64 * 1024]);
        inbox.consume(64 * 1024);
        assert!(inbox.bytes.capacity() <= KEPT);
        let mut inbox = Inbox::default();
        inbox.extend(b"a few bytes");
        assert!(inbox.bytes.capacity() < 64, "grown with what arrived");
    }
}
