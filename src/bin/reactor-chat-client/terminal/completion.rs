//! Tab completion: cycles through the candidates for a line.

use std::collections::BTreeSet;

use reactor_chat::protocol::name::fold;

/// The commands. Those that take a name end with a blank.
const COMMANDS: [&str; 10] =
    ["/ban ", "/bans", "/exit", "/help", "/host ", "/kick ", "/leave", "/quit", "/unban ", "/who"];

/// The state of a cycle through the candidates.
#[derive(Default)]
pub(super) struct TabCompletion {
    /// The candidates for the line up to the cursor. The last one is the text as it was typed.
    candidates: Vec<String>,
    /// The index of the candidate that is shown.
    at: usize,
}

impl TabCompletion {
    /// Returns the next candidate for the line up to the cursor, if there is one.
    pub(super) fn next(
        &mut self,
        line: &str,
        names: &BTreeSet<String>,
        is_forward: bool,
    ) -> Option<String> {
        if self.candidates.get(self.at).is_none_or(|shown| shown != line) {
            self.candidates = candidates(line, names);
            if self.candidates.is_empty() {
                return None;
            }
            self.candidates.push(line.into());
            self.at = self.candidates.len() - 1;
        }
        let count = self.candidates.len();
        let step = if is_forward { 1 } else { count - 1 };
        self.at = (self.at + step) % count;
        Some(self.candidates[self.at].clone())
    }
}

fn candidates(line: &str, names: &BTreeSet<String>) -> Vec<String> {
    let takes_name = |command: &&str| command.ends_with(' ') && line.starts_with(*command);
    if let Some(command) = COMMANDS.into_iter().find(takes_name) {
        return with_names(command, &line[command.len()..], names, "");
    }
    if line.starts_with('/') {
        let fitting = COMMANDS.into_iter().filter(|command| command.starts_with(line));
        return fitting.map(String::from).collect();
    }
    // A name may hold blanks, so the longest prefix of a name counts.
    for (at, c) in line.char_indices().filter(|(at, _)| is_word_start(line, *at)) {
        let (at, behind) = match (c, at) {
            ('@', at) => (at + 1, " "),
            (_, 0) => (at, ": "),
            _ => (at, " "),
        };
        let found = with_names(&line[..at], &line[at..], names, behind);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn is_word_start(line: &str, at: usize) -> bool {
    !line[at..].starts_with(' ') && line[..at].chars().next_back().is_none_or(|c| c == ' ')
}

fn with_names(before: &str, start: &str, names: &BTreeSet<String>, behind: &str) -> Vec<String> {
    let start = fold(start);
    let mut fitting: Vec<&String> =
        names.iter().filter(|name| fold(name).starts_with(&*start)).collect();
    fitting.sort_by_key(|name| fold(name));
    fitting.into_iter().map(|name| [before, name, behind].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let names = ["Bob", "Ann", "anna lee", "日本"].map(String::from).into();
        let mut completing = TabCompletion::default();
        let mut shown = line.to_owned();
        let mut seen = Vec::new();
        while let Some(next) = completing.next(&shown, &names, true).filter(|next| next != line) {
            shown.clone_from(&next);
            seen.push(next);
        }
        seen
    }

    #[test]
    fn completes_commands_and_names() {
        assert_eq!(completed("/w"), ["/who"]);
        assert_eq!(completed("/h"), ["/help", "/host "]);
        assert_eq!(["/l", "/q"].map(|start| completed(start).concat()), ["/leave", "/quit"]);
        assert_eq!(completed("/kick A"), ["/kick Ann", "/kick anna lee"]);
        assert_eq!(completed("an"), ["Ann: ", "anna lee: "]);
        assert_eq!(completed("hi anna l"), ["hi anna lee "]);
        assert_eq!(completed("hi 日"), ["hi 日本 "]);
        assert_eq!(completed("@an"), ["@Ann ", "@anna lee "]);
        assert_eq!(completed("hi @b"), ["hi @Bob "]);
        assert_eq!(completed("hi @").len(), 4);
        for nothing in ["", "x", "a@b", "hi ", "say /w", "hi Ann "] {
            assert_eq!(completed(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn completion_cycles_both_ways() {
        let names = ["ann", "anton"].map(String::from).into();
        let mut completing = TabCompletion::default();
        let mut line = "an".to_owned();
        for (is_forward, next) in
            [(true, "ann: "), (true, "anton: "), (true, "an"), (false, "anton: "), (false, "ann: ")]
        {
            line = completing.next(&line, &names, is_forward).expect("a candidate");
            assert_eq!(line, next);
        }
    }
}
