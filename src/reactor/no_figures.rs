//! The stand-in of the figures in a build without the feature `web`: nobody can watch.

use std::time::Instant;

use super::Reactor;
use super::connection_state::Kind;
use super::steps::Step;
use crate::config::Config;

/// Figures, of which there are none.
pub(super) struct Figures;

impl Figures {
    pub(super) fn new(_: &Config, _: Instant) -> Self {
        Self
    }

    pub(super) fn begin_turn(&mut self, _: Instant) {}

    pub(super) fn note_connections(&mut self, _: &Tally, _: [usize; 3], _: usize) {}

    /// Returns `None`: no text is ever due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        None
    }
}

/// Counts of connections, which nobody reads.
#[derive(Default)]
pub(super) struct Tally {}

impl Tally {
    pub(super) fn change(&mut self, _: Option<Kind>, _: Option<Kind>) {}
}

impl Reactor {
    pub(super) fn note_step(&mut self, _: Step) {}

    pub(super) fn tick_figures(&mut self) {}
}
