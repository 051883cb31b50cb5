//! Holds the rules for plain English that can be counted.

mod support;

use support::sources::{Source, sources};

/// Words that turn a sentence into a fragment or a riddle at the beginning of a paragraph. A comment
/// says "Returns ..." for a result, and names the thing otherwise.
const FORBIDDEN_BEGINNINGS: [&str; 6] = ["What", "Who", "Whose", "Whom", "The same", "Gives"];

/// Longer names bury the promise that a failing test reports. mini-redis and mio have 23 on average.
const MAX_MEAN_TEST_NAME: f64 = 32.0;

/// Files and folders that do not follow the rules yet. Their owner removes an entry when it does.
const NOT_YET: [&str; 21] = [
    "src/bin/",
    "src/chat/",
    "src/config/",
    "src/connection/",
    "src/datagram/",
    "src/delivery/",
    "src/protocol/",
    "src/reactor/",
    "src/stream/",
    "src/alert.rs",
    "src/fanout.rs",
    "src/ids.rs",
    "src/metrics.rs",
    "src/options.rs",
    "src/output.rs",
    "src/slots.rs",
    "src/subnet.rs",
    "src/sys.rs",
    "src/timers.rs",
    "src/token_bucket.rs",
    "tests/",
];

#[test]
fn doc_comments_are_sentences() {
    for source in clean_sources() {
        for (line, paragraph) in doc_paragraphs(&source.text) {
            let is_fragment = FORBIDDEN_BEGINNINGS.iter().any(|word| begins_with(paragraph, word));
            assert!(!is_fragment, "{}:{line}: {paragraph}", source.path);
        }
    }
}

#[test]
fn test_names_are_short() {
    let sources = clean_sources();
    let names: Vec<&str> = sources.iter().flat_map(|source| source.test_names()).collect();
    let letters: usize = names.iter().map(|name| name.len()).sum();
    let mean = letters as f64 / names.len().max(1) as f64;
    assert!(mean <= MAX_MEAN_TEST_NAME, "{mean:.1} characters on average");
}

fn clean_sources() -> Vec<Source> {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources);
    all.filter(|source| !NOT_YET.iter().any(|path| source.path.starts_with(path))).collect()
}

/// Returns the first line of every paragraph in doc comments, with its line number.
fn doc_paragraphs(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start();
        let comment = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"));
        let words = comment.map(str::trim).filter(|words| !words.is_empty());
        if let Some(words) = words.filter(|_| !is_inside) {
            found.push((line, words));
        }
        is_inside = words.is_some();
    }
    found
}

fn begins_with(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}
