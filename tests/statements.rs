//! Checks that every promise has a test, and that every id in the name of a test is a promise.
//!
//! `src/protocol/PROTOCOL.md` states W (the wire), S (stream delivery), E (encryption), C (carried
//! members), U (Unix sockets) and H (browsers). `tests/README.md` lists L, D and T (faults of loops, datagram
//! relays and open servers), A (attacks), fields (real use), and the E, U and H that are not about the wire.

mod support;

use std::collections::BTreeSet;

use support::pages::page;
use support::sources::sources;

const PAGES: [&str; 2] = ["src/protocol/PROTOCOL.md", "tests/README.md"];

#[test]
fn every_promise_has_a_test() {
    let tested = ids_of_tests();
    let promises = ids_of_pages();
    assert!(promises.len() > 100);
    let missing: Vec<_> = promises.difference(&tested).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[test]
fn ids_of_tests_are_promises() {
    let tested = ids_of_tests();
    let unknown: Vec<_> = tested.difference(&ids_of_pages()).cloned().collect();
    assert!(unknown.is_empty(), "no page explains {unknown:?}");
}

/// Returns the ids that begin a heading or a row of a table, such as `### W1. Frame` and `| L1 |`.
fn ids_of_pages() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for path in PAGES {
        let prose = page(path).prose();
        for line in prose.lines().filter(|line| line.starts_with(['#', '|'])) {
            let words: Vec<String> =
                line.split([' ', '.']).skip(1).map(str::to_lowercase).collect();
            ids.extend(leading_ids(words.iter().map(String::as_str)));
        }
    }
    ids
}

/// Returns the ids at the beginning of the names of tests: `w9_w10_success_is_two_frames` has two.
fn ids_of_tests() -> BTreeSet<String> {
    let sources = sources("src").into_iter().chain(sources("tests"));
    let mut ids = BTreeSet::new();
    for source in sources {
        for name in source.test_names() {
            ids.extend(leading_ids(name.split('_')));
        }
    }
    ids
}

/// Returns the ids before the first word that is none. `field` and a letter are one id.
fn leading_ids<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut is_field = false;
    for word in words {
        if is_field && word.len() == 1 && word != "|" {
            ids.insert(format!("field_{word}"));
        } else if is_id(word) {
            ids.insert(word.into());
        } else if word != "field" {
            break;
        }
        is_field |= word == "field";
    }
    ids
}

fn is_id(word: &str) -> bool {
    let number = word.strip_prefix(['w', 's', 'e', 'c', 'u', 'h', 'l', 'd', 't', 'a']);
    number.is_some_and(|number| number.parse::<u8>().is_ok())
}
