//! Every statement of the protocol, and every row of what breaks such systems, stands in the name of
//! a test: a number that is missing here is a promise that nothing holds.

#[path = "support/sources.rs"]
mod sources;

use std::collections::BTreeSet;

use sources::sources;

/// Statements W1 to W38 of the protocol.
const STATEMENTS: u32 = 38;

/// The rows of loops, datagrams and threats that are held so far.
const ROWS: [&str; 29] = [
    "l1", "l2", "l3", "l5", "l6", "l7", "l8", "l9", "l10", "l11", "l12", "l13",
    "l16", // the loop
    "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", // datagrams
    "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", // threats
];

#[test]
fn every_statement_and_row_has_a_test() {
    let named = ids_in_test_names();
    let wanted = (1..=STATEMENTS).map(|number| format!("w{number}"));
    let rows = ROWS.into_iter().map(String::from);
    let missing: Vec<String> = wanted.chain(rows).filter(|id| !named.contains(id)).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

/// The ids at the beginning of the names of tests: `w9_w10_success_is_two_frames` has two.
fn ids_in_test_names() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for test in source.text.split("#[test]\n").skip(1) {
            let Some((_, name)) = test.split_once("fn ") else { continue };
            let name = name.split('(').next().unwrap_or_default();
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
