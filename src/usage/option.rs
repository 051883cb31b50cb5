//! The description of one option.

use getopts::{HasArg, Occur, Options};

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The name without dashes.
    pub name: &'static str,
    /// The letter of the short form. Empty if there is none.
    pub letter: &'static str,
    /// The kind of the value.
    pub value: Value,
    /// True if the option may be given several times.
    pub is_repeated: bool,
    /// The effect.
    pub text: &'static str,
    /// The value without the option. Empty if there is none.
    pub default: &'static str,
}

/// The kind of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The option has no value.
    None,
    /// Any text, under this name.
    Text(&'static str),
    /// A file, under this name. Shells complete it.
    File(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// Returns an option without a value.
pub const fn flag(name: &'static str, text: &'static str) -> Opt {
    Opt { name, letter: "", value: Value::None, is_repeated: false, text, default: "" }
}

/// Returns an option with a value of this name.
pub const fn value(name: &'static str, of: &'static str, text: &'static str) -> Opt {
    Opt { value: Value::Text(of), ..flag(name, text) }
}

/// Returns an option whose value is a file.
pub const fn file(name: &'static str, of: &'static str, text: &'static str) -> Opt {
    Opt { value: Value::File(of), ..flag(name, text) }
}

/// Returns an option whose value is one of these words.
pub const fn choice(name: &'static str, of: &'static [&'static str], text: &'static str) -> Opt {
    Opt { value: Value::Choice(of), ..flag(name, text) }
}

impl Opt {
    /// Sets the letter of the short form.
    pub const fn short(self, letter: &'static str) -> Self {
        Self { letter, ..self }
    }

    /// Sets the value that holds without the option.
    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// Allows the option several times.
    pub const fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }

    /// Adds the option to a parser.
    pub(super) fn add_to(&self, options: &mut Options) {
        let has_value = if self.value == Value::None { HasArg::No } else { HasArg::Yes };
        let occurrence = if self.is_repeated { Occur::Multi } else { Occur::Optional };
        options.opt(self.letter, self.name, "", "", has_value, occurrence);
    }

    /// Returns all forms of the option: `-h` and `--help`.
    pub(super) fn forms(&self) -> Vec<String> {
        let short = (!self.letter.is_empty()).then(|| format!("-{}", self.letter));
        short.into_iter().chain([format!("--{}", self.name)]).collect()
    }

    /// Returns the beginning of the text, for a list with one line for each option.
    pub(super) fn summary(&self) -> &'static str {
        let ends = ["; ", ". "].iter().filter_map(|end| self.text.find(end));
        &self.text[..ends.min().unwrap_or(self.text.len())]
    }
}

impl Value {
    /// Returns the value as the help names it, such as `FILE` or `on|off`. Empty if there is none.
    pub(super) fn name(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(name) | Self::File(name) => name.into(),
            Self::Choice(words) => words.join("|"),
        }
    }
}
