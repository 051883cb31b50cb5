//! Colours of names, of secondary text, and of mentions.

use std::ops::Range;

use unicode_script::{Script, UnicodeScript as _};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::sanitize::visible;
use reactor_chat::protocol::name::fold;

/// Readable on dark and on light backgrounds: no black, white, grey or yellow.
const COLOURS: [&str; 10] = ["31", "32", "34", "35", "36", "91", "92", "94", "95", "38;5;172"];

const DIM: &str = "2";
const BOLD: &str = "1";
/// Bold and reverse, which is visible with any colours.
const MENTION: &str = "1;7";

/// The style of the conversation.
pub(super) struct Style {
    has_colours: bool,
    /// Our folded name.
    me: Box<str>,
    /// Our name as it is shown.
    my_name: String,
}

impl Style {
    pub(super) fn new(has_colours: bool, me: &str) -> Self {
        Self { has_colours, me: fold(me), my_name: visible(me) }
    }

    pub(super) fn me(&self) -> &str {
        &self.my_name
    }

    pub(super) fn is_me(&self, name: &str) -> bool {
        fold(name) == self.me
    }

    /// Returns a name in its colour. Our own is bold.
    pub(super) fn name(&self, name: &str) -> String {
        match self.is_me(name) {
            true => self.dress(BOLD, name),
            false => self.dress(colour_of(name), name),
        }
    }

    /// Returns secondary text, dimmed.
    pub(super) fn dim(&self, text: &str) -> String {
        self.dress(DIM, text)
    }

    /// Returns the text of another member with our name highlighted.
    pub(super) fn mentions(&self, text: &str) -> String {
        let mut dressed = String::with_capacity(text.len());
        let mut done = 0;
        for name in self.find_me(text) {
            dressed.push_str(&text[done..name.start]);
            dressed.push_str(&self.dress(MENTION, &text[name.clone()]));
            done = name.end;
        }
        dressed + &text[done..]
    }

    /// Returns true if the text mentions us.
    pub(super) fn is_mentioned(&self, text: &str) -> bool {
        !self.find_me(text).is_empty()
    }

    /// Returns the places where our name stands as a word.
    fn find_me(&self, text: &str) -> Vec<Range<usize>> {
        let clusters: Vec<(Range<usize>, Box<str>)> = text
            .grapheme_indices(true)
            .map(|(at, cluster)| (at..at + cluster.len(), fold(cluster)))
            .collect();
        let mut found: Vec<Range<usize>> = Vec::new();
        for (at, (place, _)) in clusters.iter().enumerate() {
            let is_behind = found.last().is_none_or(|last| place.start >= last.end);
            if is_behind
                && is_word_boundary(text, place.start)
                && let Some(end) = self.end_of_me(&clusters[at..])
                && is_word_boundary(text, end)
            {
                found.push(place.start..end);
            }
        }
        found
    }

    /// Returns the end of our name if these clusters begin with it.
    fn end_of_me(&self, clusters: &[(Range<usize>, Box<str>)]) -> Option<usize> {
        let mut left = &*self.me;
        for (place, folded) in clusters {
            left = left.strip_prefix(&**folded)?;
            if left.is_empty() {
                return Some(place.end);
            }
        }
        None
    }

    fn dress(&self, style: &str, text: &str) -> String {
        match self.has_colours {
            true => format!("\x1b[{style}m{text}\x1b[0m"),
            false => text.into(),
        }
    }
}

/// Returns true if a word may begin or end here. Scripts without blanks between words, and Korean
/// with its particles behind names, have such places everywhere.
fn is_word_boundary(text: &str, at: usize) -> bool {
    let (before, behind) = text.split_at(at);
    let neighbours = before.chars().next_back().zip(behind.chars().next());
    let is_inside = |c: char| c.is_alphanumeric() && !is_unspaced(c);
    neighbours.is_none_or(|(left, right)| !is_inside(left) || !is_inside(right))
}

fn is_unspaced(c: char) -> bool {
    const UNSPACED: [Script; 16] = [
        Script::Han,
        Script::Hiragana,
        Script::Katakana,
        Script::Hangul,
        Script::Bopomofo,
        Script::Yi,
        Script::Thai,
        Script::Lao,
        Script::Khmer,
        Script::Myanmar,
        Script::Tibetan,
        Script::Javanese,
        Script::Balinese,
        Script::Tai_Le,
        Script::New_Tai_Lue,
        Script::Tai_Tham,
    ];
    let scripts = c.script_extension();
    !scripts.is_common() && UNSPACED.iter().any(|script| scripts.contains_script(*script))
}

/// Returns the colour of a name by its FNV-1a hash, so that it is the same in every room and on
/// every day.
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
    fn mention_is_a_word_in_any_case() {
        let style = Style::new(true, "Bob");
        for (text, dressed) in [
            ("bob: hi", "\x1b[1;7mbob\x1b[0m: hi"),
            ("hi BOB!", "hi \x1b[1;7mBOB\x1b[0m!"),
            ("bobby, kebob and bo", "bobby, kebob and bo"),
            ("bobob bob", "bobob \x1b[1;7mbob\x1b[0m"),
            ("", ""),
        ] {
            assert_eq!(style.mentions(text), dressed);
        }
        let style = Style::new(true, "李 明");
        assert_eq!(style.mentions("hi 李 明"), "hi \x1b[1;7m李 明\x1b[0m");
    }

    #[test]
    fn field_m_mention_in_unspaced_script() {
        let mark = |text: &str| text.replace('[', "\x1b[1;7m").replace(']', "\x1b[0m");
        for (name, text) in [
            ("田中", "[田中]さん、こんにちは"),
            ("田中", "こんにちは[田中]さん"),
            ("bob", "[bob]さん、@[Bob]、日本[bob]日本"),
            ("サクラ", "[サクラ]サン ヤマ[サクラ]ー"),
            ("สมชาย", "สวัสดี[สมชาย]ครับ"),
            ("민수", "[민수]야 안녕"),
            ("李明", "你好[李明]，[李明]呢"),
            ("иван", "[Иван], ивана нет"),
            ("jose", "jose\u{301} josé [jose]"),
            ("ann1", "ann12 [ANN1]"),
            ("👋", "[👋] 👋🏽"),
        ] {
            let style = Style::new(true, name);
            let plain = text.replace(['[', ']'], "");
            assert_eq!(style.mentions(&plain), mark(text), "{name}");
            assert!(style.is_mentioned(&plain));
        }
        assert!(!Style::new(true, "bob").is_mentioned("bobby"));
    }

    #[test]
    fn name_colour_is_stable() {
        let style = Style::new(true, "ann");
        assert_eq!(style.name("ANN"), "\x1b[1mANN\x1b[0m");
        let [lower, upper] = ["bob", "BOB"].map(colour_of);
        assert_eq!(lower, upper);
        assert_ne!(colour_of("bob"), colour_of("carol"));
    }

    #[test]
    fn no_colour_means_plain_text() {
        let style = Style::new(false, "ann");
        assert_eq!(style.name("bob") + &style.dim("x") + &style.mentions("ann"), "bobxann");
    }
}
