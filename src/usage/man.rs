//! The output of `--man`, in the language mdoc(7).

use super::fill::fill;
use super::{GENERAL, Opt, Program, Value};

/// The day of the last change of a man page, which mdoc(7) demands.
const DATE: &str = "November 28, 2026";

/// Longest line of the source. mandoc(1) reports lines of more than 80 bytes.
const WIDTH: usize = 78;

/// Returns the man page.
pub(super) fn text(program: &Program) -> String {
    let name = program.name;
    let mut page = format!(".Dd {DATE}\n.Dt {} {}\n.Os\n", name.to_uppercase(), program.manual);
    page += &format!(".Sh NAME\n.Nm {name}\n.Nd {}\n", program.purpose);
    page += &format!(".Sh SYNOPSIS\n{}", synopsis(program));
    page += ".Sh DESCRIPTION\n";
    page += &paragraphs(&[program.introduction, program.remarks].join("\n"));
    page += ".Sh OPTIONS\n";
    for group in program.groups {
        page += &options(group.title, group.options);
    }
    page += &options("General", GENERAL);
    page += &format!(".Sh ENVIRONMENT\n{}", list(".It Ev", program.variables));
    page += &format!(".Sh FILES\n{}", list(".It Pa", program.files));
    page += &format!(".Sh EXIT STATUS\n{}", list(".It", program.statuses));
    page += &format!(".Sh EXAMPLES\n{}", examples(program.examples));
    page += &format!(".Sh SEE ALSO\n{}", references(program.see_also));
    page
}

fn synopsis(program: &Program) -> String {
    let mut lines = String::new();
    if program.commands.is_empty() {
        lines += ".Nm\n.Op Ar OPTIONS\n";
    }
    for command in program.commands {
        lines +=
            &format!(".Nm\n.Op Ar OPTIONS\n.Cm {}{}\n", command.name, words(command.arguments));
    }
    lines
}

/// Returns the arguments of a command behind its name.
fn words(arguments: &str) -> String {
    let words = arguments.split_whitespace().map(|word| match word.strip_prefix('[') {
        Some(word) => format!(" Op Ar {}", word.trim_end_matches(']')),
        None => format!(" Ar {word}"),
    });
    words.collect()
}

fn paragraphs(text: &str) -> String {
    let paragraphs = text.lines().map(|paragraph| match paragraph.strip_prefix(' ') {
        Some(command) => format!(".Dl {}\n", escape(command.trim())),
        None => sentences(paragraph),
    });
    let mut source = String::new();
    for paragraph in paragraphs {
        if !source.is_empty() && !paragraph.starts_with(".Dl") {
            source += ".Pp\n";
        }
        source += &paragraph;
    }
    source
}

fn options(title: &str, options: &[Opt]) -> String {
    let mut source = format!(".Ss \"{}\"\n.Bl -tag -width Ds\n", escape(title));
    for option in options {
        source += &format!(".It {}{}\n{}", forms(option), value(option.value), meaning(option));
    }
    source + ".El\n"
}

/// Returns `Fl` for each form of an option. The macro itself writes the first dash.
fn forms(option: &Opt) -> String {
    let flags = option.forms();
    let flags: Vec<String> =
        flags.iter().map(|form| format!("Fl {}", escape(&form[1..]))).collect();
    flags.join(" , ")
}

fn value(value: Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Text(name) | Value::File(name) => format!(" Ar {}", escape(name)),
        Value::Choice(words) => format!(" Cm {}", words.join(" | ")),
    }
}

fn meaning(option: &Opt) -> String {
    let default = match option.default {
        "" => String::new(),
        default => format!(" The default is {default}."),
    };
    sentences(&format!("{}.{default}", capitalized(option.text)))
}

/// Returns a list whose heads are made by this macro.
fn list(item: &str, entries: &[(&str, &str)]) -> String {
    let mut source = String::from(".Bl -tag -width Ds\n");
    for (name, text) in entries {
        let text = sentences(&format!("{}.", capitalized(text)));
        source += &format!("{item} {}\n{text}", escape(name));
    }
    source + ".El\n"
}

fn examples(examples: &[(&str, &str)]) -> String {
    let mut source = String::new();
    for (purpose, command) in examples {
        source += if source.is_empty() { "" } else { ".Pp\n" };
        source += &format!("{}.Dl {}\n", sentences(&format!("{purpose}:")), escape(command));
    }
    source
}

fn references(pages: &[(&str, u8)]) -> String {
    let lines: Vec<String> = pages.iter().map(|(page, of)| format!(".Xr {page} {of}")).collect();
    lines.join(" ,\n") + "\n"
}

/// Returns text with a new line for each sentence, so that the formatter can tell the end of a
/// sentence from an abbreviation.
fn sentences(text: &str) -> String {
    let sentences = text.split_inclusive(". ").map(str::trim_end);
    sentences.flat_map(|sentence| fill(&escape(sentence), WIDTH)).fold(
        String::new(),
        |text, line| {
            // A line that begins with a dot or a quote is a request (roff(7)).
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            text + guard + &line + "\n"
        },
    )
}

/// Escapes what is special in roff(7). A dash of an option is not a hyphen, which some terminals print
/// as another character.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

fn capitalized(text: &str) -> String {
    let first_word = text.split_whitespace().next().unwrap_or_default();
    let is_word = first_word.trim_end_matches(';').chars().all(char::is_alphabetic);
    match (is_word, text.split_at_checked(1)) {
        (true, Some((first, rest))) => first.to_uppercase() + rest,
        _ => text.into(),
    }
}
