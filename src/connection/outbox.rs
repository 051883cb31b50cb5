//! What is to be written, frame by frame.

use std::collections::VecDeque;

/// What a frame takes beside its bytes: a place in the queue, which grows by doubling, and an
/// allocation.
const FRAME_OVERHEAD: usize = 2 * size_of::<Vec<u8>>() + 16;

/// Frames in order. Each goes out in a write of its own: there are clients that take what one read
/// gives them for one frame.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    frames: VecDeque<Vec<u8>>,
    /// How much of the first frame is written.
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

    /// The rest of the first frame.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.frames.front().map(|frame| &frame[self.written..])
    }

    /// So many bytes of the first frame are written.
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

    /// Bytes of memory, about.
    pub(super) fn held_bytes(&self) -> usize {
        self.unsent + self.written + FRAME_OVERHEAD * self.frames.len()
    }

    pub(super) fn len(&self) -> usize {
        self.unsent
    }
}
