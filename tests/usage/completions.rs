//! The completions, in the shells themselves.

use super::*;

/// Lines as far as the cursor, and the words that a shell offers there.
const SERVER: &[(&str, &[&str])] = &[
    ("reactor-chat --tl", &["--tls"]),
    ("reactor-chat --tls ", &["off", "on", "required"]),
    ("reactor-chat --bind ::1 --lang j", &["ja"]),
    ("reactor-chat --cert tests/usage/ma", &["tests/usage/main.rs", "tests/usage/man.rs"]),
    // No value of this option is a file.
    ("reactor-chat --bind tests/usage/ma", &[]),
    ("reactor-chat tests/usage/ma", &[]),
    ("reactor-chat --completions f", &["fish"]),
];

const CLIENT: &[(&str, &[&str])] = &[
    ("reactor-chat-client ", &["create", "join", "list"]),
    ("reactor-chat-client --host 127.0.0.1 cr", &["create"]),
    ("reactor-chat-client --plain --delivery ", &["named", "stream", "text"]),
    ("reactor-chat-client join ", &[]),
    ("reactor-chat-client --log tests/usage/mai", &["tests/usage/main.rs"]),
];

fn cases() -> Vec<(&'static str, &'static [&'static str])> {
    let client = if cfg!(feature = "client") { CLIENT } else { &[] };
    SERVER.iter().chain(client).copied().collect()
}

/// Returns a line for a shell that reads the completions of all programs.
fn sources(shell: &str) -> String {
    programs().iter().map(|it| format!("source <({it} --completions {shell}); ")).collect()
}

#[test]
fn u9_bash_completes() {
    let mut script = sources("bash");
    // Outside of a completion, compopt(1) only complains.
    script += "\ntry() { COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        local complete=$(complete -p \"$1\"); complete=${complete#*-F }; ${complete% *} 2>/dev/null
        echo $(printf '%s\\n' \"${COMPREPLY[@]}\" | sort); }\n";
    for (line, _) in cases() {
        script += &format!("try {}\n", words(line));
    }
    // bash splits at the equals sign.
    script += "try reactor-chat --tls = r\ntry reactor-chat --tls =\n";
    let Some(output) = run_tool("bash", &["--norc", "-s"], &script) else { return };
    let split = [("--tls=r", &["required"][..]), ("--tls=", &["off", "on", "required"])];
    expect_all(&output, cases().into_iter().chain(split));
}

#[cfg(feature = "client")]
#[test]
fn u9_bash_skips_a_port() {
    let mut script = sources("bash");
    script += "\nCOMP_WORDS=(c --host a : 9001 --tcp-port = 1 jo) COMP_CWORD=8\n";
    script += "_reactor_chat_client; echo ${COMPREPLY[@]}\n";
    let Some(output) = run_tool("bash", &["--norc", "-s"], &script) else { return };
    assert_eq!(utf8(&output.stdout), "join\n", "{}", utf8(&output.stderr));
}

#[test]
fn u9_fish_completes() {
    let mut script: String = programs()
        .iter()
        .map(|program| format!("{program} --completions fish | source\n"))
        .collect();
    for (line, _) in cases() {
        // An offer ends at a tab, behind which is its description.
        script += &format!("echo (complete -C '{line}' | string split -f 1 \\t | sort)\n");
    }
    let Some(output) = run_tool("fish", &["--no-config"], &script) else { return };
    expect_all(&output, cases());
}

/// Types into a zsh on a pseudo-terminal. A line that has one completion gets it at the tab.
#[test]
fn u9_zsh_completes() {
    let mut script = String::from("zmodload zsh/zpty\nzpty shell zsh -f -i\n");
    script += "start() { zpty -w shell \"$1\"; zpty -r shell said '*READY*READY' }\n";
    script += "try() { zpty -w shell \"$1\"$'\\t'; zpty -r shell said '*RAN:*:END'; print -r -- ${said#*RAN:} }\n";
    let function = "() { print -r RA''N:$*:END }; ";
    let setup = format!(
        "PS1=; autoload -U compinit; compinit -u -D; {}reactor-chat{function}\
         reactor-chat-client{function}print REA''DY; print REA''DY",
        sources("zsh")
    );
    script += &format!("start {}\n", quoted(&setup));
    let unique: Vec<_> = cases().into_iter().filter(|(_, offers)| offers.len() == 1).collect();
    for (line, _) in &unique {
        script += &format!("try {}\n", quoted(line));
    }
    let Some(output) = run_tool("zsh", &["-f"], &script) else { return };
    let said: Vec<&str> =
        utf8(&output.stdout).lines().map(|line| line.trim_end_matches(":END").trim_end()).collect();
    assert_eq!(said.len(), unique.len(), "{}", utf8(&output.stderr));
    for ((line, offers), said) in unique.iter().zip(said) {
        assert!(said.ends_with(offers[0]), "{line}: {said}");
    }
}

/// Expects a line of offers for each case.
fn expect_all<'a>(output: &Output, cases: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) {
    let mut lines = utf8(&output.stdout).lines();
    for (line, offers) in cases {
        let offered = lines.next().unwrap_or_else(|| panic!("{line}: {output:?}"));
        assert_eq!(offered, offers.join(" "), "{line}: {}", utf8(&output.stderr));
    }
    assert_eq!(lines.next(), None, "{}", utf8(&output.stderr));
}

/// Returns the words of a line as a shell takes them, with the empty one behind a last space.
fn words(line: &str) -> String {
    line.split(' ').map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
