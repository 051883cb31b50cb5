//! Memory for the units of all connections. Most outboxes are empty most of the time, so they share it.

/// Limit for the memory of all buffers that nobody uses, in bytes.
const MAX_IDLE: usize = 4 << 20;

/// Buffers that nobody uses, all empty.
#[derive(Debug, Default)]
pub struct BufferPool {
    buffers: Vec<Vec<u8>>,
    /// Capacity of all of them.
    bytes: usize,
}

impl BufferPool {
    /// Returns an empty buffer, with memory if there is some.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Takes an empty buffer back, and frees it if there is enough memory.
    pub(super) fn give_back(&mut self, buffer: Vec<u8>) {
        debug_assert!(buffer.is_empty());
        if self.bytes + buffer.capacity() <= MAX_IDLE {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c4_idle_memory_has_a_limit() {
        let mut pool = BufferPool::default();
        for _ in 0..100 {
            pool.give_back(Vec::with_capacity(64 * 1024));
        }
        assert_eq!((pool.buffers.len(), pool.bytes), (MAX_IDLE / (64 * 1024), MAX_IDLE));
        while pool.bytes > 0 {
            assert_eq!(pool.take().capacity(), 64 * 1024);
        }
        assert_eq!(pool.take().capacity(), 0);
    }
}
