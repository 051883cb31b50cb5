//! An open message of a sender, or a part of one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use crate::protocol::stream::upstream;

/// An open message, or a part of a long one (S16). Each has an id.
#[derive(Debug)]
pub(super) struct OpenPart {
    /// The whole message. It is kept until its last part is taken: a member that rejoins under
    /// another number sends all of it again.
    pub(super) message: Arc<[u8]>,
    pub(super) range: Range<usize>,
    /// The time at which it was last sent.
    pub(super) sent_at: Option<Instant>,
    pub(super) is_repeated: bool,
    /// True if its answer measures the round trip: it was not repeated (Karn's rule) and not yet
    /// answered.
    pub(super) is_timed: bool,
}

impl OpenPart {
    pub(super) fn new(message: &Arc<[u8]>, range: Range<usize>) -> Self {
        let message = Arc::clone(message);
        Self { message, range, sent_at: None, is_repeated: false, is_timed: true }
    }

    pub(super) fn is_last(&self) -> bool {
        self.range.end == self.message.len()
    }

    pub(super) fn encode(&self, id: u32, out: &mut Vec<u8>) {
        let text = &self.message[self.range.clone()];
        match self.is_last() {
            true => upstream::encode_message(id, text, out),
            false => upstream::encode_part(id, text, out),
        }
    }
}
