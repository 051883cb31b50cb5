//! The web on the real binary: HTTP with raw bytes (H1 to H5), WebSockets (H6, H7), and the figures (H2, H12).

mod connections;
mod figures;
mod heads;
mod metrics;
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
