//! The pages, and HTTP/1.1 for them.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `pages/` | the sources of the pages, and their assembly |
//! | `head.rs` | heads of requests, and their limits |
//! | `target.rs` | the host and path of a request |
//! | `hosts.rs` | which hosts and pages may use this server |
//! | `site.rs` | what is served at which path, and to whom |
//! | `content.rs` | the contents of answers |
//! | `response.rs`, `status.rs` | responses as bytes |
//! | `upgrade.rs` | the handshake of a WebSocket |
//! | `websocket.rs` | messages on a WebSocket |
//!
//! Nothing here has a socket or a clock: `src/reactor/http.rs` passes the bytes of connections. A request is
//! GET or HEAD, and has no content. So no byte behind a head can belong to it, and a foreign page cannot hide a
//! request in the content of another one.

mod content;
mod head;
mod hosts;
pub mod pages;
mod response;
mod site;
mod status;
mod target;
mod upgrade;
pub mod websocket;

pub use content::event;
pub use head::{Decoded, Head, decode};
pub use hosts::{Hosts, Refusal};
pub use response::{Response, Then};
pub use site::{Server, Site, Visitor};
pub use status::Status;
