//! Stdout and stderr in the poll: lines that they did not take leave when they can.

use std::io;

use mio::Registry;

use super::source::Source;
use crate::output::Output;

/// The outputs, each with its remembered readiness.
#[derive(Default)]
pub(super) struct Outputs {
    all: Vec<(Output, bool)>,
}

impl Outputs {
    /// Registers one more.
    pub(super) fn watch(&mut self, output: Output, registry: &Registry) -> io::Result<()> {
        output.register(registry, Source::Output(self.all.len()).into())?;
        self.all.push((output, false));
        Ok(())
    }

    pub(super) fn note_writable(&mut self, index: usize) {
        if let Some((_, is_writable)) = self.all.get_mut(index) {
            *is_writable = true;
        }
    }

    /// Writes what waits, and logs what was dropped. A queue is small: it needs no budget.
    pub(super) fn flush(&mut self) {
        for (output, is_writable) in &mut self.all {
            if std::mem::take(is_writable) {
                output.flush();
            }
            output.tell_dropped();
        }
    }
}
