//! Names of rooms and users (W7, W8).
//!
//! People read names and compare them by eye. So a name is kept in one normal form (NFC), contains
//! no invisible characters, and has joiners and selectors only where they change its look.

use std::borrow::Cow;

use unicase::UniCase;
use unicode_joining_type::{JoiningType, get_joining_type};
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::emoji::is_regional_indicator;
use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};

/// The longest name, in bytes: its size has one byte on the wire.
pub const MAX_NAME: usize = 255;

/// The longest input that can be a name, in bytes. In UTF-8, NFC shortens a text to a third at most
/// (UAX #15).
const MAX_INPUT: usize = 3 * MAX_NAME;

/// Bytes to which folded names are cut, so that a member's memory stays bounded: one character may
/// fold to eighteen. Names that agree up to there count as one.
const MAX_FOLDED: usize = 2 * MAX_NAME;

/// The space that a Japanese keyboard types.
const IDEOGRAPHIC_SPACE: char = '\u{3000}';
const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
const ZERO_WIDTH_JOINER: char = '\u{200D}';
const TEXT_STYLE: char = '\u{FE0E}';
const EMOJI_STYLE: char = '\u{FE0F}';
const KEYCAP: char = '\u{20E3}';
/// The canonical combining class Virama (UAX #44).
const VIRAMA: u8 = 9;

/// Symbols and letters that show nothing: the Braille blank, the empty note head, the Khitan filler
/// and the Egyptian blanks. The Hangul fillers are ignorable.
const BLANKS: [char; 5] = ['\u{2800}', '\u{1D159}', '\u{16FE4}', '\u{13441}', '\u{13442}'];

/// Default_Ignorable_Code_Point (DerivedCoreProperties.txt). Unicode reserves its ranges, so they
/// do not change with its versions.
const IGNORABLE: [(char, char); 17] = [
    ('\u{AD}', '\u{AD}'),
    ('\u{34F}', '\u{34F}'),
    ('\u{61C}', '\u{61C}'),
    ('\u{115F}', '\u{1160}'),
    ('\u{17B4}', '\u{17B5}'),
    ('\u{180B}', '\u{180F}'),
    ('\u{200B}', '\u{200F}'),
    ('\u{202A}', '\u{202E}'),
    ('\u{2060}', '\u{206F}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{FE00}', '\u{FE0F}'),
    ('\u{FEFF}', '\u{FEFF}'),
    ('\u{FFA0}', '\u{FFA0}'),
    ('\u{FFF0}', '\u{FFF8}'),
    ('\u{1BCA0}', '\u{1BCA3}'),
    ('\u{1D173}', '\u{1D17A}'),
    ('\u{E0000}', '\u{E0FFF}'),
];

/// Strings that the server's lines put around user names. The last two are marks in Japanese lists of
/// members, whose parentheses fold to these.
const RESERVED: [&str; 7] =
    [": ", ", ", " (host)", " (private)", " (unencrypted)", "(ホスト)", "(暗号化なし)"];

/// The name of a room in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomName<'a> {
    /// The valid name, in the form in which it is kept and compared.
    pub name: Cow<'a, str>,
    /// The name as its sender writes it, in the request and in datagrams.
    pub as_sent: &'a str,
}

/// Returns the room name in these bytes, or `None` if they are not a valid one.
pub fn room_name(bytes: &[u8]) -> Option<RoomName<'_>> {
    let as_sent = str::from_utf8(bytes).ok()?;
    Some(RoomName { name: valid(as_sent)?, as_sent })
}

/// Returns a prefix of room names in the form in which names are kept, or `None` if no name can begin
/// with it.
pub fn room_prefix(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let prefix = str::from_utf8(bytes).ok()?;
    Some(normalized(prefix.trim_start_matches([' ', IDEOGRAPHIC_SPACE])))
}

/// Returns a user name in the form in which it is kept, or `None` if it is not valid. A valid one
/// contains no string that would make a line of the server ambiguous.
pub fn user_name(name: &str) -> Option<Cow<'_, str>> {
    let name = valid(name)?;
    let folded = folded(&name);
    let is_reserved = RESERVED.iter().any(|part| folded.contains(part)) || folded.ends_with(':');
    (!is_reserved).then_some(name)
}

/// Returns true if this is a valid user name.
pub fn is_user_name(name: &str) -> bool {
    user_name(name).is_some()
}

/// Returns the form in which user names are compared: NFKC_Casefold (UAX #44), which drops ignorable
/// characters such as variation selectors. It has at most 510 bytes.
pub fn fold(name: &str) -> Box<str> {
    let mut folded = folded(name);
    folded.truncate(folded.floor_char_boundary(MAX_FOLDED));
    folded.into_boxed_str()
}

fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // Definition D146 of the Unicode standard. It folds twice, because folding may denormalize and
    // normalizing may yield characters that fold.
    let seen: String = name.nfd().filter(|c| !is_ignorable(*c)).collect();
    let once: String = UniCase::unicode(seen).to_folded_case().nfkd().collect();
    UniCase::unicode(once).to_folded_case().nfkc().filter(|c| !is_ignorable(*c)).collect()
}

/// Returns the name in the form in which it is kept, or `None` if it is not valid.
fn valid(name: &str) -> Option<Cow<'_, str>> {
    let name = name.trim_matches([' ', IDEOGRAPHIC_SPACE]);
    if name.len() > MAX_INPUT {
        return None;
    }
    let name = normalized(name);
    is_visible(&name).then_some(name)
}

fn normalized(name: &str) -> Cow<'_, str> {
    let is_kept =
        !name.contains(IDEOGRAPHIC_SPACE) && is_nfc_quick(name.chars()) == IsNormalized::Yes;
    if is_kept {
        return Cow::Borrowed(name);
    }
    let spaced = name.chars().map(|c| if c == IDEOGRAPHIC_SPACE { ' ' } else { c });
    Cow::Owned(spaced.nfc().collect())
}

fn is_visible(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.contains("  ")
        && !name.starts_with(|c: char| c.general_category_group() == GeneralCategoryGroup::Mark)
        && name.char_indices().all(|(at, c)| {
            is_seen(c) || changes_what_is_seen(c, &name[..at], &name[at + c.len_utf8()..])
        })
}

/// Returns true if the character is visible by itself.
fn is_seen(c: char) -> bool {
    let is_hidden = matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    !is_hidden && !is_ignorable(c) && !BLANKS.contains(&c) && (c == ' ' || !c.is_whitespace())
}

fn is_ignorable(c: char) -> bool {
    IGNORABLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Returns true if a joiner or a selector between these texts changes how they look.
fn changes_what_is_seen(c: char, before: &str, after: &str) -> bool {
    match c {
        ZERO_WIDTH_NON_JOINER => follows_virama(before) || breaks_joining(before, after),
        ZERO_WIDTH_JOINER => follows_virama(before) || joins_emoji(before, after),
        TEXT_STYLE | EMOJI_STYLE => selects_style(before, after),
        _ => false,
    }
}

/// Applies the first rule of A.1 and the rule of A.2 (RFC 5892): a virama before the joiner.
fn follows_virama(before: &str) -> bool {
    before.chars().next_back().is_some_and(|c| canonical_combining_class(c) == VIRAMA)
}

/// Applies the second rule of A.1 (RFC 5892): letters on both sides that would join.
fn breaks_joining(before: &str, after: &str) -> bool {
    let joining = |c: &JoiningType| *c != JoiningType::Transparent;
    let left = before.chars().rev().map(get_joining_type).find(joining);
    let right = after.chars().map(get_joining_type).find(joining);
    matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// Returns true in an emoji ZWJ sequence such as a family (UTS #51, ED-16). A style or a skin tone
/// may stand before the joiner.
fn joins_emoji(before: &str, after: &str) -> bool {
    let before = before.strip_suffix(EMOJI_STYLE).unwrap_or(before);
    let before = before.strip_suffix(is_skin_tone).unwrap_or(before);
    before.ends_with(is_pictograph) && after.starts_with(is_pictograph)
}

/// Returns true in a presentation sequence or a keycap (UTS #51, ED-9a and ED-14c).
fn selects_style(before: &str, after: &str) -> bool {
    let is_keycap = before.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '#' | '*'))
        && after.starts_with(KEYCAP);
    is_keycap || before.ends_with(is_pictograph)
}

/// Returns true for an emoji that stands for itself. Unicode also counts digits, as parts of keycaps,
/// and regional indicators, as parts of flags.
fn is_pictograph(c: char) -> bool {
    c.is_emoji_char() && !c.is_ascii() && !is_regional_indicator(c) && !is_skin_tone(c)
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(name: &str) -> Option<String> {
        let room = room_name(name.as_bytes()).map(|room| room.name.into_owned());
        let user = user_name(name).map(Cow::into_owned);
        assert_eq!(room, user, "{name:?}");
        user
    }

    #[track_caller]
    fn is_refused(name: &str) {
        assert_eq!(stored(name), None, "{name:?}");
    }

    #[test]
    fn w7_a7_common_names_are_valid() {
        for name in [
            "alice",
            "A b c",
            "日本語の部屋",
            "żółć",
            "a:b",
            "a,b",
            "O'Neil",
            "x\u{30a}",
            "alice(host)",
            "Host",
            "藤岡弘、",
            "علی\u{200c}رضا",
            "می\u{64e}\u{200c}خواهم",
            "ශ්\u{200d}රී",
            "ක්\u{200d}ෂ",
            "क्\u{200d}ष",
            "क्\u{200c}ष",
            "नेपाल",
            "אבג",
            "Ольга",
            "оlga",
            "👋🏽",
            "❤\u{fe0f}",
            "❤\u{fe0e}",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦",
            "👨🏽\u{200d}⚕\u{fe0f}",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f}\u{200d}🔥",
            "🇯🇵",
            "1\u{fe0f}\u{20e3}",
            "#\u{fe0f}\u{20e3} one",
            "©\u{fe0f}",
        ] {
            assert_eq!(stored(name).as_deref(), Some(name), "{name:?}");
        }
        assert!(is_user_name(&"x".repeat(MAX_NAME)));
    }

    #[test]
    fn w7_a7_names_are_trimmed_nfc() {
        for (name, kept) in [
            ("e\u{301}lan", "\u{e9}lan"),
            ("\u{3000}山田\u{3000}太郎\u{3000} ", "山田 太郎"),
            (" a ", "a"),
            ("\u{212b}ngström", "\u{c5}ngström"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
        ] {
            assert_eq!(stored(name).as_deref(), Some(kept), "{name:?}");
        }
        // NFC decides about the length, which it may change in both directions.
        assert_eq!(stored(&"e\u{301}".repeat(127)), Some("\u{e9}".repeat(127)));
        assert!(stored(&"\u{958}".repeat(42)).is_some());
        is_refused(&"\u{958}".repeat(43));
        is_refused(&"x".repeat(MAX_NAME + 1));
        is_refused(&" x".repeat(100_000));
        assert_eq!(stored(&[" ".repeat(5000), "x".into()].concat()).as_deref(), Some("x"));
    }

    /// Characters and strings that no name may contain.
    const HIDDEN: [&str; 47] = [
        "\0",
        "\n",
        "\t",
        "\u{7f}",
        "\u{85}",
        "\u{ad}",
        "\u{34f}",
        "\u{61c}",
        "\u{180b}",
        "\u{180e}",
        "\u{17b4}",
        "\u{200b}",
        "\u{200c}",
        "\u{200d}",
        "\u{200e}",
        "\u{202e}",
        "\u{2028}",
        "\u{2029}",
        "\u{2060}",
        "\u{2066}",
        "\u{2800}",
        "\u{3164}",
        "\u{fe00}",
        "\u{fe0e}",
        "\u{fe0f}",
        "\u{feff}",
        "\u{fff0}",
        "\u{ffa0}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{378}",
        "\u{115f}",
        "\u{1160}",
        "\u{1d159}",
        "\u{1d173}",
        "\u{1bca0}",
        "\u{e0001}",
        "\u{e0067}",
        "\u{e0100}",
        "\u{16fe4}",
        "\u{13441}",
        "\u{a0}",
        "\u{2003}",
        "\u{1b}[31m",
        "  ",
        " \u{3000}",
        "\u{3000}\u{3000}",
    ];

    #[test]
    fn w7_a7_invisible_names_are_refused() {
        for hidden in HIDDEN {
            is_refused(&format!("a{hidden}b"));
            if !hidden.trim().is_empty() {
                is_refused(hidden);
                is_refused(&format!("a{hidden}"));
                is_refused(&format!("{hidden}b"));
            }
        }
        for name in ["", " ", "\u{3000}", "\u{301}a", " \u{301}", "\u{20e3}", "\u{903}a"] {
            is_refused(name);
        }
        assert_eq!(room_name(b"caf\xe9"), None);
    }

    #[test]
    fn w7_a7_only_useful_joiners_are_valid() {
        for name in [
            // Letters that do not join to the left, or not to the right.
            "د\u{200c}رضا",
            "علی\u{200c}",
            "\u{200c}رضا",
            "علی\u{200c}\u{200c}رضا",
            "علی\u{200d}رضا",
            "ශ\u{200d}ර",
            "ශ්\u{200d}\u{200d}ර",
            "alice\u{fe0f}",
            "1\u{fe0f}",
            "1\u{fe0f}2",
            "葛\u{e0100}",
            "❤\u{fe0f}\u{fe0f}",
            "👨\u{200d}",
            "\u{200d}👩",
            "👨\u{200d}\u{200d}👩",
            "👨\u{200d}a",
            "a\u{200d}👩",
            "1\u{200d}2",
            "👩🏽\u{fe0e}",
            "🇯\u{200d}🇵",
            "🇯\u{fe0f}🇵",
            "\u{1f3f4}\u{e0067}\u{e007f}",
        ] {
            is_refused(name);
        }
    }

    #[test]
    fn w7_a7_reserved_strings_are_refused() {
        for name in [
            "bob: hi",
            "bob:",
            ":",
            "a: b",
            "bob：\u{3000}hi",
            "bob：",
            "ann, bob",
            "ann， bob",
            "ann (host)",
            "ann (HOST)",
            "ann （ｈｏｓｔ）",
            "ann (host) x",
            "ann (private)",
            "ann （PRIVATE）",
            "ann (unencrypted)",
            "ann (ＵＮencrypted) x",
            "ann（暗号化なし）",
            "ann（ホスト）",
            "ann(ﾎｽﾄ)",
            "ann (ho\u{17f}t)",
        ] {
            assert!(!is_user_name(name), "{name:?}");
            assert!(room_name(name.as_bytes()).is_some(), "a room may: {name:?}");
        }
    }

    #[test]
    fn w8_a7_names_compare_by_nfkc_casefold() {
        for (one, other) in [
            ("Élan İ", "e\u{301}lan i\u{307}"),
            ("straße", "STRASSE"),
            ("Ａｌｉｃｅ", "alice"),
            ("ﾀﾛｳ", "タロウ"),
            ("ΑΣ", "ας"),
            ("ﬁn", "FIN"),
            ("❤\u{fe0f}", "❤"),
            ("❤\u{fe0f}", "❤\u{fe0e}"),
            ("1\u{fe0f}\u{20e3}", "1\u{20e3}"),
            ("क्\u{200c}", "क्"),
            ("山田\u{3000}太郎", "山田 太郎"),
            ("㎏", "KG"),
            ("ᾳ", "ΑΙ"),
        ] {
            assert_eq!(fold(one), fold(other), "{one:?} {other:?}");
        }
        // Letters of other scripts may look alike.
        for (one, other) in [("alice", "аlice"), ("e", "é"), ("は", "ば"), ("o", "0")] {
            assert_ne!(fold(one), fold(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn w8_folded_name_is_bounded() {
        let long = "\u{fdfa}".repeat(MAX_NAME / 3);
        assert!(is_user_name(&long));
        assert!(fold(&long).len() <= MAX_FOLDED);
    }

    #[test]
    fn w8_room_names_compare_as_kept() {
        let room = |name: &'static str| room_name(name.as_bytes()).expect(name).name;
        assert_eq!(room("Cafe\u{301}"), room("Caf\u{e9}"));
        assert_ne!(room("cafe"), room("Cafe"));
        assert_ne!(room("Ａ"), room("A"));
        assert_eq!(room_name("e\u{301} ".as_bytes()).map(|room| room.as_sent), Some("e\u{301} "));
    }

    #[test]
    fn w10_prefix_keeps_its_last_space() {
        let prefix = |prefix: &'static str| room_prefix(prefix.as_bytes()).expect("UTF-8");
        assert_eq!(prefix("Cafe\u{301} "), "Caf\u{e9} ");
        assert_eq!(prefix(" 山田\u{3000}"), "山田 ");
        assert_eq!(room_prefix(b"\xff"), None);
    }

    /// Texts in which letters, marks, joiners and emoji meet.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-zA-Z :,()]{1,3}",
            "[\u{300}-\u{36f}\u{200c}\u{200d}\u{fe0e}\u{fe0f}\u{94d}\u{dca}\u{3000}]{1,2}",
            "[علیرضافکষකශර👨👩❤🏽ßİΐﷺ]{1,2}",
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn w7_w8_kept_form_is_stable(text in text()) {
            if let Some(name) = valid(&text) {
                prop_assert!((1..=MAX_NAME).contains(&name.len()));
                prop_assert_eq!(name.nfc().collect::<String>(), &*name);
                let again = valid(&name);
                prop_assert_eq!(again.as_deref(), Some(&*name));
                let written = text.trim_matches([' ', IDEOGRAPHIC_SPACE]);
                prop_assert_eq!(&*fold(&name), &*fold(written), "however it was written");
                prop_assert!(!fold(&name).is_empty());
            }
        }

        #[test]
        fn w8_normal_form_and_case_do_not_matter(text in text()) {
            let folded = fold(&text);
            prop_assert_eq!(&fold(&text.nfd().collect::<String>()), &folded);
            prop_assert_eq!(&fold(&text.nfkc().collect::<String>()), &folded);
            let room = |text: &str| room_name(text.as_bytes()).map(|room| room.name.into_owned());
            prop_assert_eq!(room(&text.nfd().collect::<String>()), room(&text));
        }
    }
}
