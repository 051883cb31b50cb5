//! State about peers: their usage, their limits, and alerts about them.

use std::collections::HashMap;
use std::time::Instant;

use super::alerts::Alerts;
use super::auth_throttle::AuthThrottle;
use super::quotas::Quotas;
use super::subnet_buckets::SubnetBuckets;
use crate::subnet::Subnet;

/// All state about peers.
pub(super) struct Peers {
    pub(super) quotas: Quotas,
    /// Peers that may have too many unproved members, with the time to remove some.
    pub(super) excesses: HashMap<Subnet, Instant>,
    pub(super) auth_throttle: AuthThrottle,
    /// History that subnets were sent recently.
    pub(super) history_debts: SubnetBuckets,
    pub(super) alerts: Alerts,
}

impl Peers {
    /// Returns empty tables, with at most `debtors` entries of debts each.
    pub(super) fn new(debtors: usize) -> Self {
        Self {
            quotas: Quotas::default(),
            excesses: HashMap::new(),
            auth_throttle: AuthThrottle::new(debtors),
            history_debts: SubnetBuckets::new(debtors),
            alerts: Alerts::default(),
        }
    }
}
