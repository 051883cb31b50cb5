//! Checks the README and its companions: their commands, options, help texts, paths, links, names of
//! tests and exchanges.

mod exchange;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::process::Command;

use reactor_chat::alert::Alert;

use support::pages::{block, page, pages, top};
use support::sources::sources;
use support::*;

const PROTOCOL: &str = "src/protocol/PROTOCOL.md";

/// Beginning of our environment variables.
const OUR_VARIABLES: &str = "REACTOR_CHAT_";

/// Options of other programs that the pages name.
const FOREIGN_OPTIONS: &[&str] = &["--features", "--network", "--no-default-features"];

fn server_help() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_reactor-chat")).arg("--help").output();
    String::from_utf8(output.expect("the built server").stdout).expect("UTF-8")
}

/// The help of the bench, read from its source: tests cannot start a bench.
fn bench_help() -> String {
    let path = top().join("benches/harness/options.rs");
    let source = fs::read_to_string(path).expect("the options of the bench");
    let help = source.split_once("const HELP: &str = \"\\\n").expect("the help").1;
    help.split_once("\";\n").expect("its end").0.into()
}

#[test]
fn server_help_is_printed_in_full() {
    assert_eq!(block("Usage: reactor-chat ["), server_help());
}

#[cfg(feature = "client")]
#[test]
fn client_help_is_printed_in_full() {
    let output = support::program::bare_client(&["--help"]).output().expect("the built client");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(block("Usage: reactor-chat-client ["), help);
}

#[test]
fn bench_help_is_printed_in_full() {
    assert_eq!(block("Usage: cargo bench --"), bench_help());
}

#[test]
fn links_lead_to_files_and_headings() {
    for page in pages() {
        for link in page.links() {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = page.target(path);
            assert!(path.is_empty() || target.exists(), "{}: no {link}", page.path);
            if anchor.is_empty() {
                continue;
            }
            assert!(path.is_empty(), "{}: {link} leads into another page", page.path);
            assert!(page.anchors().iter().any(|known| known == anchor), "{}: {link}", page.path);
        }
    }
}

#[test]
fn paths_exist() {
    let folders = ["src/", "tests/", "benches/", ".ci/", ".github/"];
    for page in pages() {
        for code in page.inline_code() {
            for path in code.split_whitespace() {
                let is_ours = folders.iter().any(|folder| path.starts_with(folder));
                assert!(!is_ours || top().join(path).exists(), "{}: no {path}", page.path);
            }
        }
    }
}

#[test]
fn tests_exist() {
    let code: String =
        sources("src").into_iter().chain(sources("tests")).map(|source| source.text).collect();
    let mut count = 0;
    for page in pages() {
        for name in page.inline_code().iter().filter(|code| is_test(code) && !is_metric(code)) {
            assert!(code.contains(&format!("fn {name}()")), "{}: no test {name}", page.path);
            count += 1;
        }
    }
    assert!(count > 20);
}

#[test]
fn h2_metrics_of_the_pages_exist() {
    let code: String = sources("src").into_iter().map(|source| source.text).collect();
    let mut count = 0;
    for page in pages() {
        for metric in page.inline_code().iter().filter(|code| is_metric(code)) {
            let family = metric.trim_start_matches(METRICS).trim_end_matches("_total");
            assert!(code.contains(&format!("\"{family}\"")), "{}: no {metric}", page.path);
            count += 1;
        }
    }
    assert!(count > 5);
}

/// Prefix of the metrics.
const METRICS: &str = "reactor_chat_";

fn is_metric(code: &str) -> bool {
    code.starts_with(METRICS)
}

/// Returns true for the name of a test: it begins with the id of a promise, or has four words. No
/// other name in the pages has.
fn is_test(code: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let (id, rest) = code.split_once('_').unwrap_or_default();
    let number = id.strip_prefix(['w', 's', 'l', 'd', 't', 'a']).unwrap_or_default();
    let has_id = number.parse::<u8>().is_ok() && !rest.is_empty();
    code.chars().all(is_name) && (has_id || code.matches('_').count() >= 3)
}

/// Runs every command of ours that a page shows, with `--help` behind it: the programs read all
/// options before they print it.
#[test]
fn commands_are_understood() {
    let mut count = 0;
    for (path, line) in commands() {
        let Some((program, args)) = invocation(&line) else { continue };
        let output = Command::new(program).args(args).arg("--help").output().expect("a program");
        assert!(output.status.success(), "{path}: {line}: {output:?}");
        count += 1;
    }
    assert!(count > 2);
}

#[test]
fn bench_commands_are_understood() {
    let help = bench_help();
    for (path, line) in commands() {
        let Some((_, args)) = line.split_once("cargo bench -- ") else { continue };
        for word in args.split_whitespace().filter(|word| word.len() > 2) {
            assert!(help.contains(word), "{path}: {line}");
        }
    }
}

#[test]
fn options_exist() {
    let mut help = server_help() + &bench_help() + &FOREIGN_OPTIONS.join(" ");
    help += &block("Usage: reactor-chat-client [");
    for page in pages() {
        for code in page.inline_code().iter().filter(|code| code.starts_with("--")) {
            let option = code.split([' ', '=', '\n']).next().unwrap_or_default();
            assert!(help.contains(option), "{}: {code}", page.path);
        }
    }
}

#[test]
fn variables_exist() {
    let code: String =
        sources("src").into_iter().chain(sources("tests")).map(|source| source.text).collect();
    for page in pages() {
        for code_in_page in page.inline_code() {
            for word in
                code_in_page.split([' ', '=']).filter(|word| word.starts_with(OUR_VARIABLES))
            {
                assert!(code.contains(&format!("\"{word}\"")), "{}: no {word}", page.path);
            }
        }
    }
}

/// Returns the path of a page and a line, for every command in a block or in the text.
fn commands() -> Vec<(String, String)> {
    let mut commands = Vec::new();
    for page in pages() {
        let blocks = page.blocks();
        let blocks = blocks.iter().filter(|block| block.kind == "sh");
        let lines = blocks.flat_map(|block| block.body.lines()).map(String::from);
        commands.extend(lines.chain(page.inline_code()).map(|line| (page.path.clone(), line)));
    }
    commands
}

/// Returns the program of ours that a line starts, and its arguments.
fn invocation(line: &str) -> Option<(&'static str, Vec<&str>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_program =
        |word: &&str| matches!(*word, "reactor-chat" | "reactor-chat-client" | "cargo");
    let start = words.iter().position(is_program)?;
    let is_end = |word: &&str| matches!(*word, "|" | "<" | ">" | "2>" | "&");
    let mut words: Vec<&str> =
        words[start..].iter().copied().take_while(|word| !is_end(word)).collect();
    let mut name = words.remove(0);
    if name == "cargo" {
        if words.first() != Some(&"run") {
            return None;
        }
        name = match words.contains(&"reactor-chat-client") {
            true => "reactor-chat-client",
            false => "reactor-chat",
        };
        let end = words.iter().position(|word| *word == "--").map_or(words.len(), |end| end + 1);
        words.drain(..end);
    }
    match name {
        "reactor-chat" => Some((env!("CARGO_BIN_EXE_reactor-chat"), words)),
        // Cargo sets the variable for every binary, also for one that the features leave out.
        _ if !cfg!(feature = "client") => None,
        _ => option_env!("CARGO_BIN_EXE_reactor-chat-client").map(|client| (client, words)),
    }
}

#[test]
fn server_starts_with_the_first_command() {
    let readme = page("README.md");
    let first = readme.blocks().into_iter().find(|block| block.kind == "sh").expect("a command");
    assert_eq!(first.body, "cargo run --release\n");
}

/// Compares the numbered steps of both pictures with the calls of `Reactor::turn`.
#[test]
fn pictures_show_the_steps_of_a_turn() {
    let turn = steps_of_a_turn();
    assert_eq!(turn.len(), 10);
    for path in ["README.md", "src/lib.rs"] {
        let picture = read(path).replace("->", "\n").replace("<-", "\n");
        let lines: Vec<&str> =
            picture.lines().map(|line| line.trim_matches(['/', '!', ' '])).collect();
        for (number, name) in turn.iter().enumerate() {
            let step = format!("{} {name}", number + 1);
            assert!(lines.contains(&step.as_str()), "{path}: no step {step}");
        }
    }
}

/// Compares the steps of the page `/loop` with the calls of `Reactor::turn`, and its files with ours.
#[test]
fn h12_page_shows_the_steps_of_a_turn() {
    let page = read("src/web/pages/loop/steps.js");
    let values = |key: &str| {
        let begin = format!("{key}: \"");
        let values = page.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
        values.map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(values("name"), steps_of_a_turn());
    let files = values("file");
    assert_eq!(files.len(), 10);
    for file in files {
        assert!(top().join(&file).is_file(), "{file}");
    }
}

/// The page has a text about each reason of the counters.
#[test]
fn h12_page_explains_each_reason() {
    let (metrics, texts) = (read("src/metrics.rs"), read("src/web/pages/loop/reasons.js"));
    let lines = metrics.lines().filter(|line| line.contains("_datagrams\" \""));
    let reasons = lines.filter_map(|line| line.rsplit('"').nth(1));
    let unknown: Vec<&str> = reasons.filter(|of| !texts.contains(&format!("\n  {of}: "))).collect();
    assert_eq!(unknown, [""; 0]);
}

/// Returns the names of the steps of a turn, in their order.
fn steps_of_a_turn() -> Vec<String> {
    let reactor = read("src/reactor/mod.rs");
    let calls = reactor.split("self.step(Step::").skip(1);
    calls.filter_map(|call| call.split(',').next()).map(words).collect()
}

/// Returns `ReadDatagrams` as `read datagrams`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).expect("a file")
}

#[test]
fn way_of_a_message_exists() {
    let map = fs::read_to_string(top().join("src/lib.rs")).expect("the map");
    let (_, way) = map.split_once("# The way of a message").expect("the way");
    let rows: Vec<&str> = way.lines().filter(|line| line.starts_with("//! | `src/")).collect();
    let mut count = 0;
    for row in &rows {
        let mut codes = row.split('`').skip(1).step_by(2);
        let path = codes.next().expect("a path");
        let source = fs::read_to_string(top().join(path)).expect("a source file");
        for name in codes {
            let is_there = ["(", "<"].iter().any(|end| source.contains(&format!("fn {name}{end}")));
            assert!(is_there, "{path}: no {name}");
            count += 1;
        }
    }
    let total = format!("It passes {count} functions in {} files", rows.len());
    assert!(way.contains(&total), "{total}");
}

#[test]
fn log_lines_are_printed_as_logged() {
    let (server, has_tls) = (Server::start(&[]), cfg!(feature = "tls"));
    // Without TLS, connections need less memory.
    for line in block("limits:").lines().filter(|line| has_tls || !line.contains("memory ")) {
        server.expect_log(line);
    }
    let warnings = block("[2026-11-22T15:07:24Z WARN");
    for (alert, peer, count) in [
        (Alert::WrongPassword, [192, 0, 2, 7], 1),
        (Alert::WrongPasswords, [192, 0, 2, 7], 6),
        (Alert::Unheard, [198, 51, 100, 4], 1),
    ] {
        assert!(warnings.contains(&alert.line(peer.into(), count)), "{alert:?}");
    }
}

#[test]
fn listed_notices_end_a_membership() {
    let protocol = page(PROTOCOL);
    let rows = protocol.table("| | `--lang en` | `--lang ja` |");
    let words = rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2));
    assert_eq!(words.clone().count(), 8);
    for words in words {
        assert!(reactor_chat::protocol::notice::ends_membership(words), "{words}");
    }
}
