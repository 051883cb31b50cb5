//! `/metrics` in the OpenMetrics format (H2), read by a strict parser.

use std::collections::BTreeMap;

use crate::support::http::{get, response_to};
use crate::support::{Member, Server, alice_and_bob};

/// A family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: Option<String>,
    help: Option<String>,
    /// Values by everything before them.
    samples: BTreeMap<String, f64>,
}

/// Parses a text of OpenMetrics 1.0.0 as far as we use it, and panics at everything else.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let body = text.strip_suffix("# EOF\n").expect("an end");
    let (mut families, mut name) = (BTreeMap::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (of, kind) = rest.split_once(' ').expect("a type");
            name = of.into();
            let family = Family { kind: kind.into(), ..Family::default() };
            assert!(families.insert(name.clone(), family).is_none(), "{name} stands twice");
            continue;
        }
        let family = families.get_mut(&name).unwrap_or_else(|| panic!("{line} has no type"));
        let about = |rest: &str| {
            let (of, text) = rest.split_once(' ').expect("a text");
            assert_eq!(of, name, "the lines of a family stand together");
            Some(text.to_string())
        };
        if let Some(rest) = line.strip_prefix("# UNIT ") {
            family.unit = about(rest);
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            family.help = about(rest);
        } else {
            add_sample(&name, family, line);
        }
    }
    families
}

fn add_sample(name: &str, family: &mut Family, line: &str) {
    let (sample, value) = line.rsplit_once(' ').expect("a value");
    let suffix = if family.kind == "counter" { "_total" } else { "" };
    let labels = sample.strip_prefix(&format!("{name}{suffix}")).expect("a sample of the family");
    if !labels.is_empty() {
        let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let (label, of) = inner.and_then(|inner| inner.split_once('=')).expect("a label");
        assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
        assert!(of.len() > 2 && of.starts_with('"') && of.ends_with('"'), "{line}");
    }
    let value = value.parse().expect("a number");
    assert!(family.samples.insert(labels.into(), value).is_none(), "{line} stands twice");
}

fn metrics(server: &Server) -> BTreeMap<String, Family> {
    let response = response_to(server, &get("/metrics", ""));
    assert_eq!(response.status, 200);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.field("content-type"), Some(kind));
    parse(response.text())
}

#[test]
fn h2_metrics_are_open_metrics() {
    let server = Server::start(&["--tls", "off"]);
    let families = metrics(&server);
    assert!(families.len() > 30, "{}", families.len());
    for (name, family) in families {
        assert!(name.starts_with("reactor_chat_"), "{name}");
        assert!(["counter", "gauge"].contains(&&*family.kind), "{name}: {}", family.kind);
        assert!(family.help.is_some_and(|help| help.ends_with('.')), "{name} has a help text");
        let suffix = ["bytes", "seconds"].into_iter().find(|unit| name.ends_with(unit));
        assert_eq!(family.unit.as_deref(), suffix, "{name}");
        assert!(!family.samples.is_empty(), "{name}");
    }
}

#[test]
fn h2_metrics_count_what_happens() {
    let server = Server::start(&["--tls", "off"]);
    let (alice, bob) = alice_and_bob(&server);
    let before = metrics(&server);
    alice.say("hello");
    bob.expect("alice: hello");
    Member::elsewhere(&alice).say_bytes(b"from another port");
    bob.expect("alice: from another port");
    let after = metrics(&server);
    let rise = |family: &str, labels: &str| {
        let of = |metrics: &BTreeMap<String, Family>| {
            metrics[&format!("reactor_chat_{family}")].samples[labels]
        };
        of(&after) - of(&before)
    };
    assert_eq!(rise("messages", ""), 2.0);
    assert_eq!(rise("datagrams_sent", ""), 2.0);
    assert_eq!(rise("dropped_datagrams", "{reason=\"malformed\"}"), 0.0);
    assert!(rise("turns", "") >= 2.0);
    assert_eq!(after["reactor_chat_members"].samples["{path=\"clear\"}"], 2.0);
    assert!(after["reactor_chat_memory_bytes"].samples["{of=\"resident\"}"] > 1e6);
}
