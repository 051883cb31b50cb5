//! A chat's jobs, sent as the datagram layer sends them.

use reactor_chat::fanout::{Job, Receipt, TAG_SIZE};
use reactor_chat::ids::MemberId;

/// The outcome of one datagram.
pub enum Sent {
    /// It was sent.
    Taken,
    /// The member has no proved address: nothing is sent, and nothing waits.
    Nowhere,
    /// The socket is full.
    Blocked,
}

/// Sends a job as the datagram layer does.
pub fn send(job: Job<'_>, budget: usize, mut put: impl FnMut(MemberId, &[u8]) -> Sent) -> Receipt {
    let mut receipt = Receipt::default();
    let Job { bytes, entries, to, is_tagged } = job;
    for share in to {
        while share.next < share.until && receipt.sent < budget {
            if entries[share.next as usize].audience.includes(share.member) {
                let job = Job { bytes, entries, to: &mut [], is_tagged };
                let mut datagram = job.datagram(share.next).to_vec();
                if is_tagged {
                    datagram[..TAG_SIZE].copy_from_slice(&share.tag);
                }
                match put(share.member, &datagram) {
                    Sent::Taken => receipt.sent += 1,
                    Sent::Nowhere => {
                        share.next = share.until;
                        break;
                    }
                    Sent::Blocked => {
                        receipt.blocked = true;
                        break;
                    }
                }
            }
            share.next += 1;
        }
    }
    receipt
}
