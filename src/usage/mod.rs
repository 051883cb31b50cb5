//! A program's command line as data, and everything that is made of it.
//!
//! Each program has one table of its options. The parser, the help, the man page and the completions of
//! three shells come from it, so no option can be missing in one of them.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `option.rs` | the description of an option |
//! | `fill.rs` | text in lines of a width |
//! | `help.rs` | the output of `--help` |
//! | `man.rs` | the output of `--man` |
//! | `bash.rs`, `zsh.rs`, `fish.rs` | the output of `--completions` |

mod bash;
mod fill;
mod fish;
mod help;
mod man;
mod option;
#[cfg(test)]
mod tests;
mod zsh;

use getopts::{Matches, Options};

pub use fill::fill;
pub use option::{Opt, Value, choice, file, flag, value};

/// A program and its options.
#[derive(Debug)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// Section of the manual: 1 for users, 8 for administrators (man(1)).
    pub manual: u8,
    /// The purpose in some words.
    pub purpose: &'static str,
    /// Paragraphs before the options, one a line. A line that begins with a space is a command.
    pub introduction: &'static str,
    /// The commands, of which each call has one. Empty for a program without commands.
    pub commands: &'static [Command],
    /// The options in groups.
    pub groups: &'static [Group],
    /// Options that are documented nowhere.
    pub hidden: &'static [Opt],
    /// The column of the help in which the texts of the options begin.
    pub column: usize,
    /// Paragraphs behind the options, one a line.
    pub remarks: &'static str,
    /// The variables of the environment, for the man page.
    pub variables: &'static [(&'static str, &'static str)],
    /// The files, for the man page.
    pub files: &'static [(&'static str, &'static str)],
    /// Exit statuses and their reasons.
    pub statuses: &'static [(&'static str, &'static str)],
    /// Examples for the man page: a purpose, and the command for it.
    pub examples: &'static [(&'static str, &'static str)],
    /// Other pages of the manual, with their sections.
    pub see_also: &'static [(&'static str, u8)],
}

/// A command: a word that selects an action.
#[derive(Debug)]
pub struct Command {
    /// The word.
    pub name: &'static str,
    /// The words behind it. Optional ones are in brackets.
    pub arguments: &'static str,
    /// The effect in some words.
    pub text: &'static str,
}

/// Options under one heading.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The options, in the order of the help.
    pub options: &'static [Opt],
}

/// The options that print something, the last ones of every program.
const GENERAL: &[Opt] = &[
    choice("completions", &["bash", "zsh", "fish"], "print completions for this shell"),
    flag("man", "print the man page"),
    flag("help", "print this help").short("h"),
    flag("version", "print the version").short("V"),
];

impl Program {
    /// Returns the parser of the options.
    pub fn parser(&self) -> Options {
        let mut options = Options::new();
        for option in self.options().chain(self.hidden) {
            option.add_to(&mut options);
        }
        options
    }

    /// Returns the text that the options ask for in place of a run.
    ///
    /// # Errors
    /// One line about an unknown shell.
    pub fn text(&self, matches: &Matches) -> Result<Option<String>, String> {
        if matches.opt_present("help") {
            return Ok(Some(help::text(self)));
        }
        if matches.opt_present("version") {
            return Ok(Some(format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))));
        }
        if matches.opt_present("man") {
            return Ok(Some(man::text(self)));
        }
        match matches.opt_str("completions").as_deref() {
            None => Ok(None),
            Some("bash") => Ok(Some(bash::text(self))),
            Some("zsh") => Ok(Some(zsh::text(self))),
            Some("fish") => Ok(Some(fish::text(self))),
            Some(shell) => Err(format!("--completions must be bash or zsh or fish, not '{shell}'")),
        }
    }

    /// Returns the options that are documented, in the order of the help.
    pub fn options(&self) -> impl Iterator<Item = &Opt> {
        self.groups.iter().flat_map(|group| group.options).chain(GENERAL)
    }
}
