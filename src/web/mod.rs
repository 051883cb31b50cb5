//! The pages, and HTTP/1.1 for them.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `pages/` | the sources of the pages, and their assembly |
//!
//! Nothing here has a socket or a clock: `src/reactor/http.rs` passes the bytes of connections.

pub mod pages;
