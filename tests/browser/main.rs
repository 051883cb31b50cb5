//! Tests in a real browser: Chromium without a screen.

#[path = "../support/mod.rs"]
mod support;

mod barriers;
mod chat;
mod first_load;
mod harness;
mod histories;
mod hostile;
mod loop_page;
mod network;
mod origins;
mod person;
mod pictures;
mod stranger;
