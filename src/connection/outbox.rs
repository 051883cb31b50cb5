//! Bytes to be written: frames, and behind them units.

use std::collections::VecDeque;

use super::buffer_pool::BufferPool;

/// Memory of a frame besides its bytes: an entry in the queue, which grows by doubling, and the overhead
/// of an allocation.
const FRAME_OVERHEAD: usize = 2 * size_of::<Vec<u8>>() + 16;

/// Limit for one write of units: the content of a TLS record (RFC 8446, 5.1), and as much as the
/// kernel's buffer takes.
const MAX_WRITE: usize = 16 * 1024;

/// Frames in order, then units in order. Each frame has its own write, because some clients treat the
/// bytes of one read as one frame. Units that wait leave together.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Vec<u8>>,
    /// The units, one behind the other. Without units it has no memory.
    units: Vec<u8>,
    /// Bytes of the first frame, or without frames of the units, that are written.
    written: usize,
    unsent: usize,
}

impl Outbox {
    /// Appends a frame. Behind units it needs no write of its own: only a WebSocket has such frames.
    pub(super) fn push(&mut self, frame: Vec<u8>) {
        self.unsent += frame.len();
        if !self.units.is_empty() {
            self.units.extend_from_slice(&frame);
        } else if !frame.is_empty() {
            self.frames.push_back(frame);
        }
    }

    /// Appends units, which `encode` writes.
    pub(super) fn append(&mut self, pool: &mut BufferPool, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.units.capacity() == 0 {
            self.units = pool.take();
        }
        if self.frames.is_empty() && self.written > 0 && self.written >= self.units.len() / 2 {
            // At most as many bytes move as were written since the last move.
            self.units.drain(..self.written);
            self.written = 0;
        }
        let before = self.units.len();
        encode(&mut self.units);
        self.unsent += self.units.len() - before;
    }

    /// Returns the bytes of the next write.
    pub(super) fn front(&self) -> Option<&[u8]> {
        if let Some(frame) = self.frames.front() {
            return Some(&frame[self.written..]);
        }
        let rest = &self.units[self.written..];
        (!rest.is_empty()).then(|| &rest[..rest.len().min(MAX_WRITE)])
    }

    /// Notes that this many bytes of [`Outbox::front`] are written.
    pub(super) fn consume(&mut self, size: usize) {
        self.unsent -= size;
        self.written += size;
        match self.frames.front() {
            Some(frame) if self.written == frame.len() => self.end_frame(),
            Some(_) => {}
            None if self.written == self.units.len() => {
                self.units.clear();
                self.written = 0;
            }
            None => {}
        }
    }

    fn end_frame(&mut self) {
        self.frames.pop_front();
        self.written = 0;
        if self.frames.is_empty() {
            // Most connections never speak again.
            self.frames = VecDeque::new();
        }
    }

    /// Returns the memory of units to the pool if there are none.
    pub(super) fn release(&mut self, pool: &mut BufferPool) {
        if self.units.is_empty() && self.units.capacity() > 0 {
            pool.give_back(std::mem::take(&mut self.units));
        }
    }

    /// Returns its approximate memory in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let frames = self.unsent + self.written - self.units.len();
        frames + FRAME_OVERHEAD * self.frames.len() + self.units.capacity()
    }

    /// Returns the number of bytes to be written.
    pub(super) fn len(&self) -> usize {
        self.unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(outbox: &mut Outbox, pool: &mut BufferPool, bytes: &[u8]) {
        outbox.append(pool, |out| out.extend_from_slice(bytes));
    }

    #[test]
    fn c4_units_leave_in_one_write() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        outbox.push(b"completion".to_vec());
        for unit in [&b"first"[..], b"second"] {
            append(&mut outbox, &mut pool, unit);
        }
        assert_eq!(outbox.front(), Some(&b"completion"[..]), "a write of its own");
        outbox.consume(10);
        assert_eq!((outbox.front(), outbox.len()), (Some(&b"firstsecond"[..]), 11));
        append(&mut outbox, &mut pool, &[b'x'; MAX_WRITE]);
        assert_eq!(outbox.front().map(<[u8]>::len), Some(MAX_WRITE), "not more in one");
    }

    #[test]
    fn h7_frames_keep_their_order() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        append(&mut outbox, &mut pool, b"unit");
        outbox.consume(1);
        outbox.push(b"pong".to_vec());
        append(&mut outbox, &mut pool, b"unit");
        assert_eq!((outbox.front(), outbox.len()), (Some(&b"nitpongunit"[..]), 11));
    }

    #[test]
    fn c4_partial_writes_keep_all_bytes() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        let (mut sent, mut written) = (Vec::new(), Vec::new());
        for step in 1..400_usize {
            let unit = vec![step as u8; step % 90];
            append(&mut outbox, &mut pool, &unit);
            sent.extend(unit);
            while outbox.len() > step % 700 {
                let size = outbox.front().expect("bytes").len().min(step % 50 + 1);
                written.extend_from_slice(&outbox.front().expect("bytes")[..size]);
                outbox.consume(size);
            }
            assert_eq!(written.len() + outbox.len(), sent.len());
            assert!(outbox.held_bytes() < 8 * 1024, "written bytes make way");
        }
        while let Some(rest) = outbox.front() {
            written.extend_from_slice(rest);
            outbox.consume(rest.len());
        }
        assert!(written == sent);
    }

    #[test]
    fn c4_memory_goes_back_to_the_pool() {
        let (mut outbox, mut pool) = (Outbox::default(), BufferPool::default());
        append(&mut outbox, &mut pool, b"unit");
        outbox.release(&mut pool);
        assert!(outbox.held_bytes() > 0 && outbox.len() == 4, "not before it is written");
        outbox.consume(4);
        outbox.release(&mut pool);
        assert_eq!((outbox.held_bytes(), outbox.len()), (0, 0));
        assert!(pool.take().capacity() > 0, "the next outbox allocates nothing");
    }
}
