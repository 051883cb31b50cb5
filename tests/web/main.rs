//! The web on the real binary: WebSockets (H6, H7).

#[path = "../support/mod.rs"]
mod support;
mod websocket_deadlines;
mod websocket_frames;
mod websocket_members;
mod websocket_requests;
