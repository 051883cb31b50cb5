//! The parts of the bench.
//!
//! | part | what it owns |
//! | --- | --- |
//! | [`options`] | the command line, as a plan |
//! | [`scenario`] | the shapes by name: who is in which room, and what is said |
//! | [`target`] | the server, or a relay, as a process: its addresses, CPU time and memory |
//! | [`relay`] | the floors: what the child process does that the bench starts beside the server |
//! | [`control`] | a client's side of TCP |
//! | [`crowd`] | members with a socket each, and how they enter a target |
//! | [`listener`] | a member of a stream, with the library's two ends of it |
//! | [`proxy`] | a network between members and server that loses datagrams |
//! | [`load`] | messages on a schedule or in a closed loop, and who heard them when |
//! | [`loss`] | the scenario of a network that loses |
//! | [`flood`] | the scenarios of floods beside quiet rooms |
//! | [`mixed`] | the flood of several peers at once |
//! | [`joins`], [`idle`] | the scenarios without messages |
//! | [`run`] | the order of it all: what is interleaved with what, how often |
//! | [`report`], [`picture`] | the table, the JSON, the SVG |

pub mod control;
pub mod crowd;
pub mod flood;
pub mod idle;
pub mod joins;
pub mod listener;
pub mod load;
pub mod loss;
pub mod mixed;
pub mod options;
pub mod picture;
pub mod proxy;
pub mod relay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod target;
