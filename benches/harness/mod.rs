//! The parts of the bench.
//!
//! | part | what it owns |
//! | --- | --- |
//! | [`options`] | the command line, as a plan |
//! | [`scenario`] | the shapes by name: rooms, members and messages |
//! | [`target`] | the server, or a relay, as a process: its addresses, CPU time and memory |
//! | [`relay`] | the floors: plain relays that the bench starts beside the server |
//! | [`control`], [`tls`] | a client's requests, over TCP, inside TLS or on a Unix socket |
//! | [`envelope`] | what is around the content of a member's datagrams: a prefix or a seal |
//! | [`crowd`] | members with a socket each, and how they enter a target |
//! | [`carried_link`], [`websocket`] | a carried member's end of its connection, and the form of a WebSocket |
//! | [`quic_link`], [`webtransport`] | a member's end of its connection over QUIC |
//! | [`listener`] | a member of a stream, with the library's sender and receiver |
//! | [`proxy`] | a network between members and server that loses datagrams |
//! | [`load`] | messages on a schedule or in a closed loop, and their latency |
//! | [`phase`], [`sender`], [`receiver`] | its threads and the state that they share |
//! | [`sample`], [`figures`] | one measurement; the summary of several |
//! | [`loss`] | the scenario of a network that loses |
//! | [`viewer`] | the scenario of a viewer of `/loop` |
//! | [`flood`] | the scenarios of floods beside quiet rooms |
//! | [`mixed`] | the floods of several peers at once, and of forged datagrams |
//! | [`storm`] | the flood of handshakes |
//! | [`joins`], [`idle`] | the scenarios without messages |
//! | [`sockets`] | the costs of system calls on sockets of each kind |
//! | [`run`] | the order of targets and runs |
//! | [`progress`], [`report`], [`json`], [`picture`] | the line on stderr, the table, the JSON, the SVG |

pub mod carried_link;
pub mod control;
pub mod crowd;
pub mod envelope;
pub mod figures;
pub mod flood;
pub mod idle;
pub mod joins;
pub mod json;
pub mod listener;
pub mod load;
pub mod loss;
pub mod mixed;
pub mod options;
pub mod phase;
pub mod picture;
pub mod progress;
pub mod proxy;
pub mod quic_link;
pub mod receiver;
pub mod relay;
pub mod report;
pub mod run;
pub mod sample;
pub mod scenario;
pub mod sender;
pub mod sockets;
pub mod storm;
pub mod target;
pub mod tls;
pub mod viewer;
pub mod websocket;
#[allow(dead_code, reason = "the bench uses a part of it, the tests use the rest")]
#[path = "../../tests/support/webtransport.rs"]
pub mod webtransport;
