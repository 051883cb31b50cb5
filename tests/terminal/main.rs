//! The client on a terminal: what a person sees on the screen.

#[path = "../support/mod.rs"]
mod support;

mod end;
mod help;
mod line_editing;
mod log_file;
mod messages;
mod pasting;
mod prompt;
mod window;

const CTRL_U: &str = "\x15";
const CTRL_W: &str = "\x17";
const CTRL_Y: &str = "\x19";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
const BACK_TAB: &str = "\x1b[Z";
