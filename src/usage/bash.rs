//! Completions for bash(1), which need no other file.

use super::{Opt, Program, Value};

/// Returns the script.
pub(super) fn text(program: &Program) -> String {
    let (name, function) = (program.name, format!("_{}", program.name.replace('-', "_")));
    format!(
        "\
# Completions of {name} for bash.
{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    # bash splits --option=value at the equals sign.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    COMPREPLY=()
    case $prev in
{values}    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '{forms}' -- \"$cur\"))
        return
    fi
{commands}}}
complete -F {function} {name}
",
        values = values(program),
        forms = forms(program.options()),
        commands = commands(program),
    )
}

fn forms<'a>(options: impl Iterator<Item = &'a Opt>) -> String {
    options.flat_map(Opt::forms).collect::<Vec<_>>().join(" ")
}

/// Returns the cases for the values of options.
fn values(program: &Program) -> String {
    let with = |is_kind: fn(Value) -> bool| {
        let options = program.options().filter(move |option| is_kind(option.value));
        forms(options).replace(' ', "|")
    };
    let free = with(|value| matches!(value, Value::Text(_)));
    let files = with(|value| matches!(value, Value::File(_)));
    let mut cases = format!("        {free}) return ;;\n");
    if !files.is_empty() {
        let complete =
            "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return";
        cases += &format!("        {files}) {complete} ;;\n");
    }
    for option in program.options() {
        if let Value::Choice(words) = option.value {
            let complete = format!("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", words.join(" "));
            cases += &format!("        {}) {complete}; return ;;\n", option.forms().join("|"));
        }
    }
    cases
}

/// Returns the part for the command, which stands behind options and their values. bash splits
/// HOST:PORT at the colon.
fn commands(program: &Program) -> String {
    if program.commands.is_empty() {
        return String::new();
    }
    let with_value = program.options().filter(|option| option.value != Value::None);
    let words: Vec<&str> = program.commands.iter().map(|command| command.name).collect();
    format!(
        "    local index
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${{COMP_WORDS[index]}} in
            {})
                [[ ${{COMP_WORDS[index+1]}} == = ]] && ((index++))
                ((index++))
                while [[ ${{COMP_WORDS[index+1]}} == :* ]]; do ((index += 2)); done
                ;;
            -*) ;;
            *) return ;;
        esac
    done
    COMPREPLY=($(compgen -W '{}' -- \"$cur\"))
",
        forms(with_value).replace(' ', "|"),
        words.join(" "),
    )
}
