//! Completions for zsh(1), as `_arguments` of zshcompsys(1) takes them.

use super::{Opt, Program, Value};

/// Returns the script. It works as a file in `fpath`, and when it is sourced.
pub(super) fn text(program: &Program) -> String {
    let (name, function) = (program.name, format!("_{}", program.name));
    let lines: Vec<String> = program
        .options()
        .flat_map(specs)
        .chain(command(program))
        .map(|spec| quoted(&spec))
        .collect();
    format!(
        "\
#compdef {name}
# Completions of {name} for zsh.
{function}() {{
    _arguments -s -S \\
        {}
}}
if [[ $funcstack[1] == {function} ]]; then
    {function} \"$@\"
else
    compdef {function} {name}
fi
",
        lines.join(" \\\n        ")
    )
}

/// Returns the description of each form of an option. One form excludes the others.
fn specs(option: &Opt) -> Vec<String> {
    let forms = option.forms();
    let before = match option.is_repeated {
        true => "*".into(),
        false => format!("({})", forms.join(" ")),
    };
    let text = escaped(option.summary());
    let describe = |form: &String| {
        // The value may stand behind an equals sign.
        let equals = if option.value == Value::None { "" } else { "=" };
        format!("{before}{form}{equals}[{text}]{}", action(option.value))
    };
    forms.iter().map(describe).collect()
}

fn action(value: Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Text(name) => format!(":{}: ", escaped(name)),
        Value::File(name) => format!(":{}:_files", escaped(name)),
        Value::Choice(words) => format!(":word:({})", words.join(" ")),
    }
}

fn command(program: &Program) -> Option<String> {
    let describe = |command: &super::Command| format!("{}\\:\"{}\"", command.name, command.text);
    let commands: Vec<String> = program.commands.iter().map(describe).collect();
    (!commands.is_empty()).then(|| format!("1:command:(({}))", commands.join(" ")))
}

/// Escapes what is special in a description.
fn escaped(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]").replace(':', "\\:")
}

/// Quotes a word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
