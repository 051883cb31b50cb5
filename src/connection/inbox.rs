//! What was read and not understood yet.

/// An empty inbox keeps no more memory than this: most connections are idle, and a request is small.
const KEPT: usize = 512;

/// Bytes in the order of arrival. It grows with what arrives, never with what is announced.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Inbox {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.consumed..]
    }

    /// Bytes of memory, beside those that it keeps when it is empty: what is consumed stays until more
    /// comes, and so does the room for it.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity().saturating_sub(KEPT)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        // The rest of a frame moves to the front when more of it comes, at most once a read.
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
    fn bytes_go_out_in_the_order_of_arrival() {
        let mut inbox = Inbox::default();
        inbox.extend(b"abc");
        inbox.consume(2);
        inbox.extend(b"de");
        assert_eq!(inbox.bytes(), b"cde");
    }

    #[test]
    fn t3_what_a_large_request_took_counts_until_it_is_given_back() {
        let mut inbox = Inbox::default();
        inbox.extend(&[0; 64 * 1024]);
        inbox.consume(64 * 1024 - 1);
        inbox.extend(b"x");
        assert!(inbox.held_bytes() > 63 * 1024);
        inbox.consume(2);
        assert_eq!(inbox.held_bytes(), 0);
    }

    #[test]
    fn t3_an_empty_inbox_holds_no_memory_worth_naming() {
        let mut inbox = Inbox::default();
        inbox.extend(&[0; 64 * 1024]);
        inbox.consume(64 * 1024);
        assert!(inbox.bytes.capacity() <= KEPT);
        let mut inbox = Inbox::default();
        inbox.extend(b"a few bytes");
        assert!(inbox.bytes.capacity() < 64, "grown with what arrived");
    }
}
