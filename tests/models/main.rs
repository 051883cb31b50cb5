//! Random inputs for the decoders and encoders of the wire. When one fails, proptest shrinks it,
//! prints it, and keeps its seed in `regressions.txt` beside this file, to be tried first from then
//! on. Commit that file with the fix.

mod requests;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use proptest::test_runner::{Config, FileFailurePersistence};

/// Returns a configuration with this number of inputs for each test.
fn inputs(count: u32) -> Config {
    let kept = FileFailurePersistence::Direct("tests/models/regressions.txt");
    Config { cases: count, failure_persistence: Some(Box::new(kept)), ..Config::default() }
}
