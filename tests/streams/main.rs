//! Stream delivery on the real binary.

mod basics;
mod ends;
mod full_speed;
#[path = "../support/mod.rs"]
mod support;
