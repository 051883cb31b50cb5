//! Tests the structure of the code: the direction of imports, and the places of dangerous calls.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::modules::{Modules, Path};
use support::sources::{Source, sources};

/// Parts of this crate that each part may import:
/// `bin -> reactor -> { chat -> delivery | datagram } -> fanout -> ids`. The reactor connects the
/// siblings below it, which do not see one another.
const ALLOWED: [(&str, &[&str]); 34] = [
    (
        "bin/reactor-chat",
        &["config", "options", "output", "protocol", "reactor", "service", "usage"],
    ),
    (
        "bin/reactor-chat-client",
        &[
            "fingerprint",
            "proof_of_key",
            "protocol",
            "seal",
            "state_file",
            "stream",
            "sys",
            "unix_addr",
            "usage",
        ],
    ),
    ("address", &[]),
    ("alert", &["address"]),
    ("authority", &[]),
    ("network", &[]),
    ("options", &["authority", "config", "network", "protocol", "unix_addr", "usage"]),
    (
        "reactor",
        &[
            "address",
            "alert",
            "authority",
            "chat",
            "config",
            "connection",
            "datagram",
            "fanout",
            "ids",
            "metrics",
            "output",
            "protocol",
            "quic",
            "service",
            "slots",
            "subnet",
            "sys",
            "timers",
            "tls",
            "unix_addr",
            "web",
        ],
    ),
    (
        "chat",
        &[
            "address",
            "alert",
            "config",
            "delivery",
            "fanout",
            "ids",
            "metrics",
            "protocol",
            "slots",
            "subnet",
            "timers",
            "token_bucket",
        ],
    ),
    ("delivery", &["fanout", "ids", "protocol", "slots", "subnet", "timers", "token_bucket"]),
    ("connection", &[]),
    ("datagram", &["address", "config", "fanout", "ids", "protocol", "seal", "slots", "sys"]),
    ("metrics", &["protocol"]),
    ("config", &["network", "protocol", "unix_addr"]),
    ("fanout", &["ids"]),
    ("fingerprint", &[]),
    ("slots", &["ids"]),
    ("ids", &[]),
    ("subnet", &["address"]),
    ("protocol", &[]),
    ("output", &["sys"]),
    (
        "quic",
        &[
            "address",
            "config",
            "fanout",
            "ids",
            "protocol",
            "slots",
            "subnet",
            "timers",
            "token_bucket",
        ],
    ),
    ("seal", &["protocol"]),
    ("proof_of_key", &[]),
    ("service", &[]),
    ("state_file", &[]),
    ("unix_addr", &[]),
    ("usage", &[]),
    ("stream", &["protocol"]),
    ("timers", &[]),
    ("tls", &["config", "connection", "fingerprint", "state_file", "sys"]),
    ("token_bucket", &[]),
    ("sys", &[]),
    ("web", &["authority", "config", "metrics", "network", "protocol"]),
];

#[test]
fn imports_point_one_way() {
    let allowed = BTreeMap::from(ALLOWED);
    for source in sources("src").iter().filter(|source| source.path != "src/lib.rs") {
        let part = part_of(&source.path);
        let Some(allowed) = allowed.get(part.as_str()) else {
            panic!("{}: which layer is this? Say so in this test.", source.path)
        };
        for imported in imports(source) {
            assert!(
                imported == part || allowed.contains(&imported.as_str()),
                "{} imports {imported}, and {part} must not",
                source.path,
            );
        }
    }
}

#[test]
fn every_permission_is_used() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources("src") {
        used.entry(part_of(&source.path)).or_default().extend(imports(&source));
    }
    for (part, allowed) in ALLOWED {
        for imported in allowed {
            assert!(used[part].contains(*imported), "{part} does not import {imported} any more");
        }
    }
}

/// On no level do two modules with the same parent depend on each other: neither directly, nor through
/// further modules, nor through files below them. So every folder can be read from the bottom up.
///
/// A parent and its children are no cycle: children use the types of their parent, which puts them
/// together. A type that a parent passes on from one child to another counts for the child.
#[test]
fn siblings_have_no_import_cycle() {
    let imports = Modules::read().imports_between_siblings();
    let cycles: Vec<String> = imports
        .iter()
        .filter(|(from, to)| is_reachable(&imports, to, from))
        .map(|(from, to)| format!("{} imports {}", from.join("::"), to.join("::")))
        .collect();
    assert!(cycles.is_empty(), "{cycles:#?}");
}

fn is_reachable(imports: &BTreeSet<(Path, Path)>, from: &Path, to: &Path) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut ahead = vec![from];
    while let Some(module) = ahead.pop() {
        let imported = imports.iter().filter(|(importer, _)| importer == module);
        ahead.extend(imported.map(|(_, imported)| imported).filter(|next| seen.insert(next)));
    }
    seen.contains(to)
}

#[test]
fn chat_has_no_io_clock_or_randomness() {
    let forbidden =
        ["mio", "Socket", "std::net", ".ip()", "Instant::now", "SystemTime", "getrandom"];
    for source in below("src/chat/") {
        for word in forbidden {
            assert!(!source.code().contains(word), "{} speaks of {word}", source.path);
        }
    }
}

#[test]
fn seal_and_stream_have_no_io_or_clock() {
    for source in below("src/stream/").into_iter().chain(below("src/seal/")) {
        for word in ["mio", "Socket", "std::net", "std::io", "Instant::now", "SystemTime"] {
            assert!(!source.code().contains(word), "{} speaks of {word}", source.path);
        }
    }
}

#[test]
fn h10_quic_has_no_socket_or_clock() {
    for source in below("src/quic/") {
        for word in ["mio", "UdpSocket", "std::io", "Instant::now", "SystemTime"] {
            assert!(!source.code().contains(word), "{} speaks of {word}", source.path);
        }
    }
}

/// Each layer that has paths of members takes its part of a job in one place.
#[test]
fn h10_shares_are_split_in_one_place() {
    let carriers = |source: &&Source| source.code().contains("chat.deliver(");
    let all = below("src/reactor/");
    let places: Vec<_> = all.iter().filter(carriers).map(|source| &source.path).collect();
    assert_eq!(places, ["src/reactor/egress.rs"]);
}

#[test]
fn protocol_has_no_io_or_clock() {
    for source in below("src/protocol/") {
        for word in ["std::io", "std::net", "std::time", "mio::"] {
            assert!(!source.code().contains(word), "{} speaks of {word}", source.path);
        }
    }
}

#[test]
fn unsafe_is_explained_in_one_module() {
    for source in sources("src") {
        let is_home = source.path == "src/sys.rs";
        let text: String = source.text.split_whitespace().collect();
        assert_eq!(text.contains("allow(unsafe_code"), is_home, "{}", source.path);
    }
    let mut all = 0;
    for source in below("src/sys/") {
        let blocks = source.code().matches("unsafe {").count();
        let reasons = source.text.matches("// SAFETY: ").count();
        assert_eq!(blocks, reasons, "{}: {blocks} blocks, {reasons} reasons", source.path);
        all += blocks;
    }
    assert!(all > 0);
}

/// `println` and its family panic if the descriptor takes nothing: in `| head`, or on a full disk.
#[test]
fn field_m_no_print_macros() {
    for source in sources("src").into_iter().chain(sources("benches")) {
        for word in ["print!(", "println!(", "eprintln!(", "dbg!("] {
            assert!(!source.code().contains(word), "{}: {word}", source.path);
        }
    }
}

/// mio tracks readiness in `try_io`. A call outside of it may lose the edge on systems where mio has
/// something to track.
#[test]
fn d5_raw_calls_use_try_io() {
    let descriptors = |code: &str| code.matches(".as_fd()").count();
    for source in below("src/datagram/").iter().filter(|source| !source.path.ends_with("socket.rs"))
    {
        let code = source.code();
        let inside: usize =
            code.split("try_io(").skip(1).map(|rest| descriptors(line_of(rest))).sum();
        assert_eq!(inside, descriptors(&code), "{}", source.path);
    }
}

fn line_of(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Timing cannot be tested reliably, so this checks that only one function compares passwords.
#[test]
fn t9_passwords_compare_in_constant_time() {
    let mut compared = 0;
    for source in below("src/chat/") {
        let code = source.code();
        compared += code.matches(".ct_eq(").count();
        for line in code.lines().filter(|line| line.contains("password")) {
            let is_compared = ["==", "!=", ".eq(", ".ne("].iter().any(|how| line.contains(how));
            assert!(!is_compared, "{}: {line}", source.path);
        }
    }
    assert_eq!(compared, 1);
}

#[test]
fn t5_maps_hash_with_random_keys() {
    let keyless = [
        "with_hasher",
        "BuildHasherDefault",
        "BuildHasher for",
        "DefaultHasher",
        "ahash",
        "fxhash",
        "FxHash",
    ];
    for source in sources("src") {
        for word in keyless {
            assert!(!source.code().contains(word), "{} speaks of {word}", source.path);
        }
    }
}

/// Time comes from the monotonic clock, which neither administrators nor leap seconds move. Only
/// certificates have dates. Counters have 64 bits. The release build panics on overflow instead of
/// wrapping.
#[test]
fn t12_counters_and_clocks_are_safe() {
    for source in sources("src").iter().filter(|source| !source.path.starts_with("src/tls/")) {
        assert!(!source.code().contains("SystemTime"), "{} asks for the date", source.path);
    }
    let metrics = std::fs::read_to_string("src/metrics.rs").expect("the counters");
    let fields = metrics.split_once("pub struct Metrics {").expect("the struct").1;
    let fields = fields.split_once('}').expect("its end").0.lines();
    let types: Vec<_> = fields.filter_map(|line| line.trim().split_once(": [")).collect();
    assert_eq!(types.len(), 2);
    assert!(types.iter().all(|(_, of_type)| of_type.starts_with("u64; ")), "{types:?}");
    let manifest = std::fs::read_to_string("Cargo.toml").expect("the manifest");
    let release = manifest.split_once("[profile.release]").expect("a release profile").1;
    assert!(release.lines().nth(1).is_some_and(|line| line == "overflow-checks = true"));
}

fn below(folder: &str) -> Vec<Source> {
    let inside: Vec<Source> = sources("src")
        .into_iter()
        .filter(|source| source.path.starts_with(folder) && !source.is_unit_test())
        .collect();
    assert!(!inside.is_empty());
    inside
}

/// Returns the part of a file: `chat` for `src/chat/room.rs`, `ids` for `src/ids.rs`. Each binary is
/// a part.
fn part_of(path: &str) -> String {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut folders = inner.split('/');
    match (folders.next(), folders.next()) {
        (Some("bin"), Some(name)) => format!("bin/{name}"),
        (Some(folder), _) => folder.into(),
        (None, _) => unreachable!("split gives a piece of any text"),
    }
}

/// Returns the parts of the library that a file names, in `use` or in a path. `crate` means the
/// library only in its own files.
fn imports(source: &Source) -> BTreeSet<String> {
    let code = source.code();
    let mut found = BTreeSet::new();
    let root = if source.path.starts_with("src/bin/") { "reactor_chat::" } else { "crate::" };
    for rest in code.split(root).skip(1) {
        assert!(!rest.starts_with(['{', '*']), "{}: one import a line", source.path);
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        found.extend(name.map(String::from));
    }
    found
}
