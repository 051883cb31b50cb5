//! Completions for fish(1).

use super::{Command, Opt, Program, Value};

/// Returns the script.
pub(super) fn text(program: &Program) -> String {
    let name = program.name;
    // Only the values of some options are files.
    let mut script = format!("# Completions of {name} for fish.\ncomplete -c {name} -f\n");
    let words: Vec<&str> = program.commands.iter().map(|command| command.name).collect();
    let condition = quoted(&format!("not __fish_seen_subcommand_from {}", words.join(" ")));
    for command in program.commands {
        let Command { name: word, text, .. } = command;
        script += &format!("complete -c {name} -n {condition} -a {word} -d {}\n", quoted(text));
    }
    for option in program.options() {
        script += &format!("complete -c {name}{}{}", forms(option), value(option.value));
        script += &format!(" -d {}\n", quoted(option.summary()));
    }
    script
}

fn forms(option: &Opt) -> String {
    let short =
        if option.letter.is_empty() { String::new() } else { format!(" -s {}", option.letter) };
    format!("{short} -l {}", option.name)
}

fn value(value: Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Text(_) => " -x".into(),
        Value::File(_) => " -r -F".into(),
        Value::Choice(words) => format!(" -x -a {}", quoted(&words.join(" "))),
    }
}

/// Quotes a word for the shell, whose quotes know the escapes of `'` and `\` only.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))
}
