//! The bodies of the fuzz targets: any bytes in, a panic if something does not hold.
//!
//! `cargo fuzz` runs them on bytes that it makes up, `tests/corpus.rs` on the files in `corpus/`.

mod datagrams;
mod frame;
mod input;
#[path = "../../support/jobs.rs"]
mod jobs;
mod request;
mod stage;

pub use datagrams::datagrams;
pub use frame::frame;
pub use request::request;
