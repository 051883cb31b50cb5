//! The client as a program, in pipes: what it prints, sends and ends with.

mod carried;
mod command_line;
mod crowd_with_loss;
mod input_output;
mod lists;
mod names;
mod pipes;
mod sealed;
mod silent_server;
mod stream_delivery;
#[path = "../support/mod.rs"]
mod support;
mod trust;
mod unix;
mod way;
