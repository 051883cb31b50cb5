//! Members on QUIC: datagrams that may be lost, on a connection whose end the server notices (H8).
//!
//! To delivery they are members with datagrams: credit, repairs and tail probes. To everything else they
//! are carried members: the address counts as proved, and a connection that ends detaches its member. At
//! the end of a member its path becomes the stream of its request, so that nothing before the end is lost.

use std::time::Instant;

use super::{Chat, Path};
use crate::ids::MemberId;

impl Chat {
    /// Notes that the program of a member is there: it has acknowledged a ping on its connection. Its
    /// script may sleep, because browsers run the timers of hidden tabs once a minute.
    pub fn note_alive(&mut self, id: MemberId, now: Instant) {
        let is_attached = self.directory.live(id).is_some_and(|member| member.is_attached());
        if let Some(member) = self.directory.members.get_mut(id).filter(|_| is_attached) {
            self.peers.quotas.note_input(id, member, now);
        }
    }

    /// Removes and returns a member on QUIC whose messages travel on its stream from now on. The caller
    /// must ask before each delivery.
    pub fn poll_turned(&mut self) -> Option<MemberId> {
        self.partings.pop_turned()
    }

    /// Makes the stream of a member on QUIC its path, because the member ends. Entries that it has
    /// not confirmed go there again.
    pub(super) fn carry_last(&mut self, id: MemberId, now: Instant) {
        let Some(member) = self.directory.members.get_mut(id) else { return };
        if member.path != Path::Quic {
            return;
        }
        self.peers.quotas.count_out(id, member);
        member.path = Path::Carried { is_encrypted: true };
        self.peers.quotas.count_in(id, member);
        if member.is_attached() {
            self.partings.note_turned(id);
            self.prove_stream(id, now);
        } else {
            let to = member.recipient(id);
            self.feeds.disprove(&to);
        }
    }
}
