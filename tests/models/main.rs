//! Random inputs against what is known of every answer. When one fails, proptest looks for the
//! smallest that does, prints it, and keeps its seed in `regressions.txt` beside this file, to be
//! tried first from then on: commit it with what it has found.

mod requests;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many inputs for each test.
fn inputs(count: u32) -> Config {
    let kept = FileFailurePersistence::Direct("tests/models/regressions.txt");
    Config { cases: count, failure_persistence: Some(Box::new(kept)), ..Config::default() }
}
