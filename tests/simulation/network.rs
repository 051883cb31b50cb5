//! The virtual network from the chat to the members, in place of the reactor and the datagram layer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash};
use std::net::SocketAddr;
use std::time::Instant;

use reactor_chat::fanout::{Audience, Job, Receipt, Share, TAG_SIZE};
use reactor_chat::ids::MemberId;

use crate::model::Model;
use crate::support::random::Random;

/// The network, as the server sees it.
#[derive(Default)]
pub struct Network {
    /// Address of each member.
    pub table: BTreeMap<MemberId, SocketAddr>,
    /// Members whose sockets are full.
    pub blocked: BTreeSet<MemberId>,
    /// Percentages of datagrams to clients that are lost, and that the kernel refuses.
    pub lost_percent: u64,
    pub refused_percent: u64,
    /// Hash of everything that was sent, in order.
    pub history: DefaultHasher,
    pub bytes_sent: usize,
}

impl Network {
    /// Sends a job as far as the budget and the sockets allow. The model checks each datagram.
    pub fn send(
        &mut self,
        job: Job<'_>,
        budget: usize,
        model: &mut Model,
        random: &mut Random,
        now: Instant,
    ) -> Receipt {
        let mut receipt = Receipt::default();
        let Job { bytes, entries, to, is_tagged } = job;
        for share in to {
            while share.next < share.until && receipt.sent + receipt.dropped < budget {
                let audience = entries[share.next as usize].audience;
                if audience.includes(share.member) {
                    let to = self.table.get(&share.member).copied();
                    let is_carried = model.is_carried(share.member);
                    let is_full = to.is_some() && self.blocked.contains(&share.member);
                    // On a connection only entries with numbers wait for space.
                    if is_full && (is_tagged || !is_carried) {
                        receipt.blocked = true;
                        model.tally.note("blocked");
                        break;
                    }
                    let job = Job { bytes, entries, to: &mut [], is_tagged };
                    let datagram = datagram_of(&job, share);
                    let (is_refused, is_lost) = match is_carried {
                        true => (is_full, false),
                        false => self.draw_fate(to.is_some(), random),
                    };
                    let arrives = to.is_some() && !is_refused && !is_lost;
                    let alone = matches!(audience, Audience::Only(_));
                    model.check_output(share.member, &datagram, alone, (to, arrives), now);
                    if is_refused {
                        let why = if is_full { "outbox full" } else { "refused by the network" };
                        model.tally.note(why);
                        receipt.dropped += 1;
                    } else if to.is_some() {
                        (share.member, &datagram).hash(&mut self.history);
                        self.bytes_sent += datagram.len();
                        receipt.sent += 1;
                    }
                }
                share.next += 1;
            }
        }
        receipt
    }

    /// Decides whether the kernel refuses a datagram, and whether it is lost on its way.
    fn draw_fate(&self, has_address: bool, random: &mut Random) -> (bool, bool) {
        let is_refused = has_address && random.chance(self.refused_percent);
        (is_refused, random.chance(self.lost_percent))
    }
}

/// Returns the next datagram of a share.
fn datagram_of(job: &Job<'_>, share: &Share) -> Vec<u8> {
    let mut datagram = job.datagram(share.next).to_vec();
    if job.is_tagged {
        datagram[..TAG_SIZE].copy_from_slice(&share.tag);
    }
    datagram
}
