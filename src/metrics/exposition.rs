//! A text in the OpenMetrics format, version 1.0.0: `/metrics`.
//!
//! A family is announced by its TYPE, its UNIT if it has one, and its HELP, and all its samples follow. The
//! text ends with `# EOF`, so that a scraper notices one that was cut.

use std::fmt::{Display, Write};

use super::{Metrics, Samples};

/// The type of the text for `Content-Type`.
pub const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Prefix of the names of all families.
const PREFIX: &str = "reactor_chat_";

/// Units that names end with: OpenMetrics requires that a unit is the suffix of the name.
const UNITS: [&str; 2] = ["bytes", "seconds"];

/// A text that grows by families.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Appends all counters.
    pub fn counters(&mut self, metrics: &Metrics) {
        for family in metrics.families() {
            self.announce(family.name, "counter", &family.help);
            match family.samples {
                Samples::One(count) => self.sample((family.name, "_total"), None, count),
                Samples::ByReason(counts) => {
                    for (reason, count) in counts {
                        self.sample((family.name, "_total"), Some(("reason", reason)), count);
                    }
                }
                Samples::ByStatus(counts) => {
                    for (status, count) in counts.into_iter().enumerate() {
                        let label = Some(("status", &*status.to_string()));
                        self.sample((family.name, "_total"), label, count);
                    }
                }
            }
        }
    }

    /// Appends a counter that stands outside [`Metrics`].
    pub fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.announce(name, "counter", help);
        self.sample((name, "_total"), None, count);
    }

    /// Appends a value that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.announce(name, "gauge", help);
        self.sample((name, ""), None, value);
    }

    /// Appends values that rise and fall, one for each value of `label`.
    pub fn gauges<V: Display>(
        &mut self,
        (name, label): (&str, &str),
        help: &str,
        values: impl IntoIterator<Item = (&'static str, V)>,
    ) {
        self.announce(name, "gauge", help);
        for (of, value) in values {
            self.sample((name, ""), Some((label, of)), value);
        }
    }

    /// Returns the whole text.
    pub fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }

    fn announce(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# TYPE {PREFIX}{name} {kind}\n"));
        if let Some(unit) = UNITS.iter().find(|unit| name.ends_with(*unit)) {
            self.push(format_args!("# UNIT {PREFIX}{name} {unit}\n"));
        }
        self.push(format_args!("# HELP {PREFIX}{name} {}\n", escaped(help)));
    }

    fn sample(
        &mut self,
        (name, suffix): (&str, &str),
        label: Option<(&str, &str)>,
        value: impl Display,
    ) {
        match label {
            None => self.push(format_args!("{PREFIX}{name}{suffix} {value}\n")),
            Some((label, of)) => {
                let of = escaped(of);
                self.push(format_args!("{PREFIX}{name}{suffix}{{{label}=\"{of}\"}} {value}\n"));
            }
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String never fails.
        let _ = self.text.write_fmt(text);
    }
}

/// Returns a text in which backslashes, quotes and line ends are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_metrics_text_is_open_metrics() {
        let mut text = Exposition::default();
        text.gauges(("memory_bytes", "of"), "A \"b\" \\.", [("resident", 1), ("a\nb", 2)]);
        text.counter("turns", "Turns.", 7);
        assert_eq!(
            text.finish(),
            "# TYPE reactor_chat_memory_bytes gauge\n\
             # UNIT reactor_chat_memory_bytes bytes\n\
             # HELP reactor_chat_memory_bytes A \\\"b\\\" \\\\.\n\
             reactor_chat_memory_bytes{of=\"resident\"} 1\n\
             reactor_chat_memory_bytes{of=\"a\\nb\"} 2\n\
             # TYPE reactor_chat_turns counter\n\
             # HELP reactor_chat_turns Turns.\n\
             reactor_chat_turns_total 7\n\
             # EOF\n"
        );
    }
}
