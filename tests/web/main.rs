//! The web on the real binary: HTTP with raw bytes (H1 to H5), and WebSockets (H6, H7).

mod connections;
mod heads;
mod paths;
mod protocols;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod websocket_deadlines;
mod websocket_exchange;
mod websocket_frames;
mod websocket_members;
mod websocket_requests;
