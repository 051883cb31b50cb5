//! The output of `--help`, for a terminal of 80 columns.

use super::fill::fill;
use super::{GENERAL, Opt, Program};

/// Columns in use. Some terminals begin a new line behind the eightieth character.
const WIDTH: usize = 79;

/// The column of the defaults, so that one can read down them.
const DEFAULTS: usize = 60;

/// Returns the help.
pub(super) fn text(program: &Program) -> String {
    let mut help = usage(program);
    help += &paragraphs(program.introduction);
    for group in program.groups {
        help += &format!("\n{}:\n{}", group.title, list(group.options, program.column));
    }
    help += &format!("\n{}", list(GENERAL, program.column));
    help += &paragraphs(program.remarks);
    help += &paragraphs(&statuses(program));
    help
}

fn usage(program: &Program) -> String {
    let name = program.name;
    let calls: Vec<String> = match program.commands {
        [] => vec![format!("{name} [OPTIONS]")],
        commands => commands
            .iter()
            .map(|command| format!("{name} [OPTIONS] {} {}", command.name, command.arguments))
            .collect(),
    };
    let lines: Vec<&str> = calls.iter().map(|call| call.trim_end()).collect();
    format!("Usage: {}\n", lines.join("\n       "))
}

/// Returns paragraphs behind an empty line.
fn paragraphs(text: &str) -> String {
    let lines = text.lines().flat_map(|paragraph| match paragraph.starts_with(' ') {
        true => vec![paragraph.into()],
        false => fill(paragraph, WIDTH),
    });
    lines.fold(String::from("\n"), |text, line| text + &line + "\n")
}

fn list(options: &[Opt], column: usize) -> String {
    options.iter().flat_map(|option| lines(option, column)).fold(String::new(), |text, line| {
        // The head of an option without a value ends with a space.
        text + line.trim_end() + "\n"
    })
}

fn lines(option: &Opt, column: usize) -> Vec<String> {
    let head = format!("  {} {}", option.forms().join(", "), option.value.name());
    let mut lines: Vec<String> =
        fill(option.text, WIDTH - column).iter().map(|line| " ".repeat(column) + line).collect();
    match head.trim_end().len() + 2 <= column {
        true => lines[0].replace_range(..column, &format!("{head:column$}")),
        false => lines.insert(0, head),
    }
    if !option.default.is_empty() {
        add_default(&mut lines, option.default);
    }
    lines
}

/// Puts the default behind the text, in its column if possible, or on a line of its own.
fn add_default(lines: &mut Vec<String>, default: &str) {
    let default = format!("[{default}]");
    let last = lines.pop().unwrap_or_default();
    let column = match last.len() < DEFAULTS {
        true => DEFAULTS,
        false => last.len() + 2,
    };
    let room = WIDTH.saturating_sub(default.len());
    if column <= room {
        lines.push(format!("{last:column$}{default}"));
    } else if last.len() + 2 <= room {
        lines.push(format!("{last}  {default}"));
    } else {
        let column = room.min(DEFAULTS);
        lines.extend([last, format!("{:column$}{default}", "")]);
    }
}

fn statuses(program: &Program) -> String {
    let statuses = program.statuses.iter().map(|(status, why)| format!("{status} {why}"));
    format!("Exit status: {}.", statuses.collect::<Vec<_>>().join("; "))
}
