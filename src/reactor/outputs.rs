//! Stdout and stderr in the poll: lines that did not fit are written once they become writable.

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
    /// Adds an output and registers it.
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

    /// Writes waiting lines, and logs the number of dropped ones. A queue is small, so it needs no budget.
    pub(super) fn flush(&mut self) {
        for (output, is_writable) in &mut self.all {
            if std::mem::take(is_writable) {
                output.flush();
            }
            output.log_dropped();
        }
    }
}
