//! Colours: of a name, of what stands behind, of a mention.

use crate::protocol::name::fold;

/// Readable on a dark and on a light background: neither black, white, grey nor yellow.
const COLOURS: [&str; 10] = ["31", "32", "34", "35", "36", "91", "92", "94", "95", "38;5;172"];

const DIM: &str = "2";
const BOLD: &str = "1";
/// Bold and reverse: it shows with any colours.
const MENTION: &str = "1;7";

/// How text is dressed, if it is.
pub(super) struct Styling {
    has_colours: bool,
    /// Our own name, folded.
    me: Box<str>,
}

impl Styling {
    pub(super) fn new(has_colours: bool, me: &str) -> Self {
        Self { has_colours, me: fold(me) }
    }

    pub(super) fn is_me(&self, name: &str) -> bool {
        fold(name) == self.me
    }

    /// A name: the same everywhere in its colour, our own in bold.
    pub(super) fn name(&self, name: &str) -> String {
        match self.is_me(name) {
            true => self.dress(BOLD, name),
            false => self.dress(colour_of(name), name),
        }
    }

    /// What is not said by anybody.
    pub(super) fn dim(&self, text: &str) -> String {
        self.dress(DIM, text)
    }

    /// What somebody else says, with our name in it highlighted.
    pub(super) fn mentions(&self, text: &str) -> String {
        let mut dressed = String::with_capacity(text.len());
        let mut rest = text;
        let mut before = None;
        while let Some(c) = rest.chars().next() {
            let size = match self.mention(before, rest) {
                Some(size) => {
                    dressed.push_str(&self.dress(MENTION, &rest[..size]));
                    size
                }
                None => {
                    dressed.push(c);
                    c.len_utf8()
                }
            };
            before = rest[..size].chars().next_back();
            rest = &rest[size..];
        }
        dressed
    }

    /// The bytes of our name at the beginning of the text, if it is there as a word.
    fn mention(&self, before: Option<char>, text: &str) -> Option<usize> {
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let mut left = &*self.me;
        let mut size = 0;
        for c in text.chars() {
            if left.is_empty() {
                break;
            }
            left = c.to_lowercase().try_fold(left, |left, c| left.strip_prefix(c))?;
            size += c.len_utf8();
        }
        let ends_word = !text[size..].starts_with(char::is_alphanumeric);
        (left.is_empty() && ends_word).then_some(size)
    }

    fn dress(&self, style: &str, text: &str) -> String {
        match self.has_colours {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text.into(),
        }
    }
}

/// FNV-1a of the folded name: the same colour in every room and on every day.
fn colour_of(name: &str) -> &'static str {
    let hash = fold(name)
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    COLOURS[hash as usize % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_the_name_as_a_word_in_any_case() {
        let styling = Styling::new(true, "Bob");
        for (text, dressed) in [
            ("bob: hi", "\x1b[1;7mbob\x1b[0m: hi"),
            ("hi BOB!", "hi \x1b[1;7mBOB\x1b[0m!"),
            ("bobby, kebob and bo", "bobby, kebob and bo"),
            ("bobob bob", "bobob \x1b[1;7mbob\x1b[0m"),
            ("", ""),
        ] {
            assert_eq!(styling.mentions(text), dressed);
        }
        let styling = Styling::new(true, "李 明");
        assert_eq!(styling.mentions("hi 李 明"), "hi \x1b[1;7m李 明\x1b[0m");
    }

    #[test]
    fn a_name_has_one_colour_and_our_own_is_bold() {
        let styling = Styling::new(true, "ann");
        assert_eq!(styling.name("ANN"), "\x1b[1mANN\x1b[0m");
        let [lower, upper] = ["bob", "BOB"].map(colour_of);
        assert_eq!(lower, upper);
        assert_ne!(colour_of("bob"), colour_of("carol"));
    }

    #[test]
    fn without_colours_nothing_is_dressed() {
        let styling = Styling::new(false, "ann");
        assert_eq!(styling.name("bob") + &styling.dim("x") + &styling.mentions("ann"), "bobxann");
    }
}
