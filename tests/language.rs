//! Tests the rules for plain English that can be counted.

mod support;

use support::sources::{Source, sources};

/// Beginnings of fragments and riddles. A comment says "Returns ..." for a result, and otherwise
/// names its subject.
const FORBIDDEN_BEGINNINGS: [&str; 6] = ["What", "Who", "Whose", "Whom", "The same", "Gives"];

/// Longer names bury the promise that a failing test reports. In mini-redis and mio the mean is 23.
const MAX_MEAN_TEST_NAME: f64 = 32.0;

#[test]
fn doc_comments_are_sentences() {
    for source in all_sources() {
        for (line, paragraph) in doc_paragraphs(&source.text) {
            let is_fragment = FORBIDDEN_BEGINNINGS.iter().any(|word| begins_with(paragraph, word));
            assert!(!is_fragment, "{}:{line}: {paragraph}", source.path);
        }
    }
}

#[test]
fn test_names_are_short() {
    let sources = all_sources();
    let names: Vec<&str> = sources.iter().flat_map(|source| source.test_names()).collect();
    let letters: usize = names.iter().map(|name| name.len()).sum();
    let mean = letters as f64 / names.len().max(1) as f64;
    assert!(mean <= MAX_MEAN_TEST_NAME, "{mean:.1} characters on average");
}

fn all_sources() -> Vec<Source> {
    ["src", "tests", "benches"].into_iter().flat_map(sources).collect()
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
