//! Tests in a real browser: Chromium without a screen.

#[path = "../support/mod.rs"]
mod support;

mod harness;
mod loop_page;
mod origins;
mod stranger;
