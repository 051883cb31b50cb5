//! What the server promises, by number, and that every number stands in the name of a test: one that
//! is missing is a promise that nothing holds.
//!
//! W are statements about the wire, S about stream delivery; src/protocol/PROTOCOL.md tells them in full. L, D and T are what breaks event
//! loops, datagram relays and servers on the open internet.

mod support;

use std::collections::BTreeSet;

use support::sources::sources;

/// Each number, and what it says in short.
const PROMISES: &[(&str, &str)] = &[
    ("w1", "a frame is a 32-byte header, the room name, the payload"),
    ("w2", "a frame ends at its size, however TCP cuts it"),
    ("w3", "a size over the limit is status 9 and the end; memory grows with what arrived"),
    ("w4", "a request's state is ignored; an unknown operation is status 9"),
    ("w5", "a payload that begins with a brace is JSON, anything else is the name"),
    ("w6", "the keys of the JSON payload"),
    ("w7", "what may be a name"),
    ("w8", "user names are unique in a room, in lower case"),
    ("w9", "success is two frames, each in one write; failure one, and the connection lives"),
    ("w10", "one status byte; a token; the list"),
    ("w11", "which replies repeat the room name"),
    ("w12", "which of several reasons is answered; what a hidden room shows"),
    ("w13", "the announced port"),
    ("w14", "closing TCP is not leaving"),
    ("w15", "deadlines of a connection; the longest silent gives way"),
    ("w16", "an end flushes, half-closes and reads on"),
    ("w17", "the layout and limit of a client's datagram"),
    ("w18", "token, room and source IP must fit; all else is dropped, counted, not answered"),
    ("w19", "every accepted datagram teaches the port and puts off the idle timeout"),
    ("w20", "an empty message does only that"),
    ("w21", "what a message may hold"),
    ("w22", "a slash is a command, two are a message"),
    ("w23", "the two forms of delivery; nobody can forge a line"),
    ("w24", "who gets a message, how long it may be, in which order"),
    ("w25", "answers leave from the address that was spoken to"),
    ("w26", "at most once; what is dropped is counted"),
    ("w27", "/exit"),
    ("w28", "/who"),
    ("w29", "/kick"),
    ("w30", "/host"),
    ("w31", "/help"),
    ("w32", "the name behind a command; unknown commands"),
    ("w33", "the notices, and how a crowd is merged"),
    ("w34", "the languages; two Japanese lines are fixed"),
    ("w35", "a room lives with its host"),
    ("w36", "idle members and members without an address go"),
    ("w37", "a dead token never works again"),
    ("w38", "a silent member gives way to its return"),
    ("s1", "the completion; the layout of a datagram"),
    ("s2", "1,200 bytes; the sequence; padding; unknown kinds"),
    ("s3", "another tag, or another address than the server's"),
    ("s4", "the codes; a keep-alive"),
    ("s5", "only the expected id is taken, and what answers each"),
    ("s6", "what is open, the timeout, and what is repeated"),
    ("s7", "a cursor for each member; nothing before its port is proved; what is gone"),
    ("s8", "have, and that it is answered"),
    ("s9", "a room that fell silent tells what came last"),
    ("s10", "when a gap is asked for, how much is held, how far ahead"),
    ("s11", "how much is repaired"),
    ("s12", "the ring, its memory, and who reads the past"),
    ("s13", "ends: what is told, how often, and for how long"),
    ("s14", "resuming from another IP"),
    ("s15", "text, named and stream members share a room"),
    ("s16", "long messages travel in parts"),
    ("s17", "the end of the server has a code and a notice of its own"),
    ("l1", "a socket read in part gets no further event"),
    ("l2", "one event may stand for many clients"),
    ("l3", "whole frames in the inbox, and no more events"),
    ("l4", "no descriptors left on accept"),
    ("l5", "a failed accept ends nothing"),
    ("l6", "a reset ends one peer"),
    ("l7", "an event for a connection that has ended in the same batch"),
    ("l8", "a slot that is used again, and an old id"),
    ("l9", "a member that ends while its room is being delivered to"),
    ("l10", "a write that is cut; a reply without an edge"),
    ("l11", "a peer that never reads"),
    ("l12", "a byte a second"),
    ("l13", "a close that overtakes the last reply"),
    ("l14", "a flood, or a crowd, beside a quiet room"),
    ("l15", "deadlines in the middle of a flood"),
    ("l16", "waits that are too short, too long or interrupted"),
    ("l17", "an end that does not end"),
    ("d1", "an empty datagram is no end"),
    ("d2", "a datagram that is too long is dropped, not cut"),
    ("d3", "the echo of a datagram to somebody who is gone"),
    ("d4", "a bad destination in a batch; a short count"),
    ("d5", "a raw call past the loop's bookkeeping"),
    ("d6", "a full send buffer"),
    ("d7", "an answer from another of our addresses"),
    ("d8", "IPv4 and IPv6 in each other's way"),
    ("t1", "forged datagrams get no answer"),
    ("t2", "tokens guessed or replayed"),
    ("t3", "sizes that are only announced"),
    ("t4", "connections that are only held"),
    ("t5", "keys that collide"),
    ("t6", "what a terminal or a log would obey"),
    ("t7", "invalid UTF-8"),
    ("t8", "looking like somebody else, or like the server"),
    ("t9", "passwords that are guessed"),
    ("t10", "a member that sends more than its room can bear"),
    ("t11", "rooms that are only held"),
    ("t12", "counters and clocks that wrap or jump"),
];

#[test]
fn every_promise_has_a_test() {
    let named = ids_in_test_names();
    let missing: Vec<_> = PROMISES.iter().filter(|(id, _)| !named.contains(*id)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[test]
fn every_number_in_the_name_of_a_test_is_a_promise() {
    let known: BTreeSet<&str> = PROMISES.iter().map(|(id, _)| *id).collect();
    let unknown: Vec<String> =
        ids_in_test_names().into_iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(unknown.is_empty(), "what is {unknown:?}?");
}

/// The ids at the beginning of the names of tests: `w9_w10_success_is_two_frames` has two.
fn ids_in_test_names() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for name in source.test_names() {
            ids.extend(name.split('_').take_while(|word| is_id(word)).map(String::from));
        }
    }
    ids
}

fn is_id(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|c| "wsldt".contains(c))
        && word.len() > 1
        && letters.all(|c| c.is_ascii_digit())
}
