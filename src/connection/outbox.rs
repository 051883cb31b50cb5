//! Frames to be written.

use std::collections::VecDeque;

/// Memory of a frame besides its bytes: an entry in the queue, which grows by doubling, and the overhead
/// of an allocation.
const FRAME_OVERHEAD: usize = 2 * size_of::<Vec<u8>>() + 16;

/// Frames in order. Each has its own write, because some clients treat the bytes of one read as one
/// frame.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Vec<u8>>,
    /// Bytes of the first frame that are written.
    written: usize,
    unsent: usize,
}

impl Outbox {
    pub(super) fn push(&mut self, frame: Vec<u8>) {
        if !frame.is_empty() {
            self.unsent += frame.len();
            self.frames.push_back(frame);
        }
    }

    /// Returns the rest of the first frame.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.frames.front().map(|frame| &frame[self.written..])
    }

    /// Notes that this many more bytes of the first frame are written.
    pub(super) fn consume(&mut self, size: usize) {
        self.unsent -= size;
        self.written += size;
        if self.front().is_some_and(<[u8]>::is_empty) {
            self.frames.pop_front();
            self.written = 0;
        }
        if self.frames.is_empty() {
            // Most connections never speak again.
            self.frames = VecDeque::new();
        }
    }

    /// Returns its approximate memory in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.unsent + self.written + FRAME_OVERHEAD * self.frames.len()
    }

    pub(super) fn len(&self) -> usize {
        self.unsent
    }
}
