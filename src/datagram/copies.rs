//! Copies of a tagged job's bytes, one for each message of a call.
//!
//! The datagrams of such a job differ between members only in the tag at their start. The copies
//! are kept until the job is done, so that only the tags are written for each member. That costs 1
//! to 4 % of a send; two iovecs for each datagram, or a copy of each, cost up to 11 %.

use crate::fanout::{Job, TAG_SIZE, Tag};
use crate::sys::BATCH;

/// Limit for the bytes of all copies, unless one copy is larger. The copies should stay in the CPU
/// cache between calls, and a call should send enough messages to be worth its cost.
const MAX_BYTES: usize = 128 * 1024;

/// The copies. A job without tags has none.
#[derive(Default)]
pub(super) struct Copies {
    bytes: Vec<u8>,
    /// Bytes of one copy, 0 for a job without tags.
    size: usize,
}

impl Copies {
    /// Starts a job: drops the copies of the previous one.
    pub(super) fn begin(&mut self, job: &Job<'_>) {
        self.bytes.clear();
        self.size = if job.is_tagged { job.bytes.len() } else { 0 };
    }

    /// Returns the limit for the messages of a call.
    pub(super) fn max_messages(&self) -> usize {
        match self.size {
            0 => BATCH,
            size => (MAX_BYTES / size).clamp(1, BATCH),
        }
    }

    /// Returns the bytes to which the pieces of the messages refer.
    pub(super) fn source<'a>(&'a self, job: &Job<'a>) -> &'a [u8] {
        if self.size == 0 { job.bytes } else { &self.bytes }
    }

    /// Writes a tag to a datagram in the copy for the message with this index, and returns the
    /// range of the datagram there. Without tags the range is unchanged.
    pub(super) fn write_tag(
        &mut self,
        message: usize,
        bytes: &[u8],
        (start, end): (u32, u32),
        tag: Tag,
    ) -> (u32, u32) {
        if self.size == 0 {
            return (start, end);
        }
        let offset = message * self.size;
        if offset == self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        }
        // All copies together are as large as a job or `MAX_BYTES`: far below 4 GiB.
        let (start, end) = (offset as u32 + start, offset as u32 + end);
        self.bytes[start as usize..][..TAG_SIZE].copy_from_slice(&tag);
        (start, end)
    }
}
