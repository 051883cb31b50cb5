//! Tests the rules for plain English that can be counted.

mod support;

use support::sources::{Source, sources, sources_of};

/// Beginnings of fragments and riddles. A comment says "Returns ..." for a result, and otherwise
/// names its subject.
const FORBIDDEN_BEGINNINGS: [&str; 6] = ["What", "Who", "Whose", "Whom", "The same", "Gives"];

/// Longer names bury the promise that a failing test reports. In mini-redis and mio the mean is 23.
const MAX_MEAN_TEST_NAME: f64 = 32.0;

#[test]
fn doc_comments_are_sentences() {
    all_sources().iter().for_each(|source| check_paragraphs(source, &["///", "//!"]));
}

/// The pages have no doc comments. All their comments count.
#[test]
fn comments_of_pages_are_sentences() {
    for (extension, folder, marks) in [
        ("js", "src/web/pages", &["//"]),
        ("js", "tests/script", &["//"]),
        ("css", "src/web/pages", &["/*"]),
        ("html", "src/web/pages", &["<!--"]),
    ] {
        for source in sources_of(extension, folder) {
            check_paragraphs(&source, marks);
            let head = source.text.lines().take(2).any(|line| line.starts_with(marks[0]));
            assert!(head, "{} says what it owns", source.path);
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

/// Checks the first line of every paragraph in comments with these marks.
fn check_paragraphs(source: &Source, marks: &[&str]) {
    for (line, paragraph) in paragraphs(&source.text, marks) {
        let is_fragment = FORBIDDEN_BEGINNINGS.iter().any(|word| begins_with(paragraph, word));
        assert!(!is_fragment, "{}:{line}: {paragraph}", source.path);
    }
}

/// Returns the first line of every paragraph in comments with these marks, with its line number.
fn paragraphs<'a>(text: &'a str, marks: &[&str]) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_start();
        let comment = marks.iter().find_map(|mark| text.strip_prefix(mark));
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
