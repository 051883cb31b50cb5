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
mod tests;
