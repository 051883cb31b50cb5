//! The log of the counters: once a minute if they have changed, and whenever the operator asks. The service
//! manager learns the number of rooms and members.

use super::{Context, Reactor};
use crate::config::METRICS_INTERVAL;

impl Reactor {
    /// Logs the counters if a minute has passed since the last time. Unchanged ones are not repeated.
    pub(super) fn report_if_due(&mut self) {
        if self.context.now < self.report_at {
            return;
        }
        self.report_at = self.context.now + METRICS_INTERVAL;
        if self.context.metrics != self.reported {
            self.report();
        }
    }

    /// Logs the rooms, the members and the counters.
    pub(super) fn report(&mut self) {
        let census = self.context.chat.census();
        log::info!("rooms {}, members {}, {}", census.open, census.tokens, self.context.metrics);
        self.reported = self.context.metrics.clone();
    }

    /// Tells the service manager the state of the server.
    pub(super) fn update_service(&mut self) {
        let Context { chat, now, .. } = &self.context;
        let census = chat.census();
        self.service.update(census.open, census.tokens, *now);
    }
}
