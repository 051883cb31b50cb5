//! The list of members in the answer to `/who` (W28): one line, which [`write_members`] writes and
//! [`parse_members`] parses.
//!
//! No name contains the separator or a mark (W7), so the line can be parsed. But the last name may
//! look like the count at the end of a list that was cut. The host is then moved to the end, and its
//! mark shows that there is no count.
//!
//! ```
//! use reactor_chat::protocol::Language;
//! use reactor_chat::protocol::members::{Listed, parse_members, write_members};
//!
//! let mut line = String::new();
//! let ann = Listed { name: "ann", is_host: true, is_in_clear: false };
//! let bob = Listed { name: "bob", is_host: false, is_in_clear: true };
//! write_members([ann, bob].into_iter(), 2, Language::English, 1000, &mut line);
//! assert_eq!(line, "ann (host), bob (unencrypted)");
//!
//! let list = parse_members(&line).expect("a list of members");
//! assert_eq!((list.names, list.host, list.more), (vec!["ann", "bob"], Some("ann"), 0));
//! assert_eq!(list.in_clear, ["bob"]);
//! ```

use super::notice::Language;

/// The separator of two names, in every language.
const SEPARATOR: &str = ", ";

/// The marks behind the host's name, in all languages.
const HOST_MARKS: [&str; 2] = [host_mark(Language::English), host_mark(Language::Japanese)];

/// The marks of a member that reads in the clear, in all languages. They stand behind that of the host.
const CLEAR_MARKS: [&str; 2] = [clear_mark(Language::English), clear_mark(Language::Japanese)];

/// The texts around the count of members that did not fit, in all languages.
const COUNTS: [[&str; 2]; 2] = [around_count(Language::English), around_count(Language::Japanese)];

const fn host_mark(language: Language) -> &'static str {
    match language {
        Language::English => " (host)",
        Language::Japanese => "（ホスト）",
    }
}

const fn clear_mark(language: Language) -> &'static str {
    match language {
        Language::English => " (unencrypted)",
        Language::Japanese => "（暗号化なし）",
    }
}

const fn around_count(language: Language) -> [&'static str; 2] {
    match language {
        Language::English => [" and ", " more"],
        Language::Japanese => [" ほか", "人"],
    }
}

/// A member of a list that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The name.
    pub name: &'a str,
    /// True for the host.
    pub is_host: bool,
    /// True if the member is to be marked: everybody on the way can read what it gets, although
    /// others in the room are encrypted (E12).
    pub is_in_clear: bool,
}

/// A parsed list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList<'a> {
    /// The names that fit.
    pub names: Vec<&'a str>,
    /// The host, which is one of the names. A list that was cut may lack it.
    pub host: Option<&'a str>,
    /// The names that are marked: everybody on the way can read what these members get.
    pub in_clear: Vec<&'a str>,
    /// The number of members that did not fit.
    pub more: usize,
}

/// Writes the `total` members of a room in at most `max` bytes. Members that do not fit are counted at
/// the end.
pub fn write_members<'a>(
    members: impl Iterator<Item = Listed<'a>>,
    total: usize,
    language: Language,
    max: usize,
    out: &mut String,
) {
    // The longest ending. Only the first name that does not fit shows that one is needed, so this
    // remembers the last point behind which it fits.
    let reserve = and_more(total, language).len();
    let (mut shown, mut shown_with_ending, mut size_with_ending) = (0, 0, out.len());
    let start = out.len();
    let mut host = None;
    for Listed { name, is_host, is_in_clear } in members {
        let between = if shown > 0 { SEPARATOR } else { "" };
        let host_mark = if is_host { host_mark(language) } else { "" };
        let clear_mark = if is_in_clear { clear_mark(language) } else { "" };
        let parts = [between, name, host_mark, clear_mark];
        if out.len() + parts.iter().map(|part| part.len()).sum::<usize>() > max {
            break;
        }
        let begin = out.len() + between.len();
        parts.iter().for_each(|part| out.push_str(part));
        if is_host {
            host = Some(begin..out.len());
        }
        shown += 1;
        if out.len() + reserve <= max {
            (shown_with_ending, size_with_ending) = (shown, out.len());
        }
    }
    if shown < total {
        out.truncate(size_with_ending);
        out.push_str(&and_more(total - shown_with_ending, language));
    } else if let Some(host) = host
        && split_count(&out[start..]).1 > 0
    {
        put_last(host, out);
    }
}

/// Moves an entry of a list to its end.
fn put_last(entry: std::ops::Range<usize>, out: &mut String) {
    let moved = out[entry.clone()].to_owned();
    // The entry is not the last one: that one looks like a count, and this one has a mark.
    out.replace_range(entry.start..entry.end + SEPARATOR.len(), "");
    out.push_str(SEPARATOR);
    out.push_str(&moved);
}

pub(super) fn and_more(count: usize, language: Language) -> String {
    let [before, behind] = around_count(language);
    format!("{before}{count}{behind}")
}

/// Parses a line that [`write_members`] has written in any language. Returns `None` if the line is
/// not a list of members.
pub fn parse_members(text: &str) -> Option<MemberList<'_>> {
    // No name contains this, and every message in text delivery does.
    if text.contains(": ") {
        return None;
    }
    let (listed, more) = split_count(text);
    let mut list = MemberList { names: Vec::new(), host: None, in_clear: Vec::new(), more };
    for entry in listed.split(SEPARATOR).filter(|_| !listed.is_empty()) {
        let in_clear = without_mark(entry, &CLEAR_MARKS);
        let host = without_mark(in_clear.unwrap_or(entry), &HOST_MARKS);
        let name = host.or(in_clear).unwrap_or(entry);
        if name.is_empty() || (host.is_some() && list.host.is_some()) {
            return None;
        }
        list.names.push(name);
        list.host = list.host.or(host);
        list.in_clear.extend(in_clear.map(|_| name));
    }
    let is_list = list.host.is_some() || list.more > 0;
    is_list.then_some(list)
}

/// Returns an entry without the mark at its end, if it has one of these.
fn without_mark<'a>(entry: &'a str, marks: &[&str]) -> Option<&'a str> {
    marks.iter().find_map(|mark| entry.strip_suffix(mark))
}

/// Splits off the count at the end of a list, which is 0 if there is none.
fn split_count(text: &str) -> (&str, usize) {
    let count = COUNTS.iter().find_map(|[before, behind]| {
        let (listed, count) = text.strip_suffix(behind)?.rsplit_once(before)?;
        let is_number = count.bytes().all(|byte| byte.is_ascii_digit());
        Some((listed, count.parse().ok().filter(|count| is_number && *count > 0)?))
    });
    count.unwrap_or((text, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(names: &[&str], host: usize, language: Language, max: usize) -> String {
        marked(names, (host, |_| false), language, max)
    }

    /// Writes a list in which the members at some places read in the clear.
    fn marked(
        names: &[&str],
        (host, is_in_clear): (usize, impl Fn(usize) -> bool),
        language: Language,
        max: usize,
    ) -> String {
        let mut out = String::new();
        let members = names.iter().enumerate().map(|(place, name)| Listed {
            name,
            is_host: place == host,
            is_in_clear: is_in_clear(place),
        });
        write_members(members, names.len(), language, max, &mut out);
        out
    }

    #[test]
    fn w28_members_fit_or_are_counted() {
        let line = |names: &[&str], max| written(names, 0, Language::English, max);
        assert_eq!(line(&["ann"], 99), "ann (host)");
        assert_eq!(line(&["ann", "bob", "cy"], 99), "ann (host), bob, cy");
        assert_eq!(line(&["ann", "bob", "cy"], 19), "ann (host), bob, cy");
        assert_eq!(line(&["ann", "bob", "cyd"], 19), " and 3 more");
        assert_eq!(line(&["ann", "bob", "cyd"], 25), "ann (host), bob, cyd");
        assert_eq!(line(&["ann", "bob", "cy", "d"], 21), "ann (host) and 3 more");
    }

    #[test]
    fn w28_members_in_japanese() {
        let line = |max| written(&["田中", "藤岡弘、", "bob"], 0, Language::Japanese, max);
        assert_eq!(line(99), "田中（ホスト）, 藤岡弘、, bob");
        assert_eq!(line(36), "田中（ホスト） ほか2人");
    }

    #[test]
    fn e12_members_in_the_clear_are_marked() {
        let names = ["ann", "bob", "cy"];
        let line = |language, max| marked(&names, (0, |place| place < 2), language, max);
        let whole = "ann (host) (unencrypted), bob (unencrypted), cy";
        assert_eq!(line(Language::English, 99), whole);
        assert_eq!(line(Language::English, whole.len()), whole, "marks count");
        assert_eq!(line(Language::English, 46), "ann (host) (unencrypted) and 2 more");
        let japanese = "ann（ホスト）（暗号化なし）, bob（暗号化なし）, cy";
        assert_eq!(line(Language::Japanese, 99), japanese);
        for line in [whole, japanese] {
            let list = parse_members(line).expect("a list");
            let read = (&list.names[..], list.host, &list.in_clear[..]);
            assert_eq!(read, (&names[..], Some("ann"), &names[..2]));
        }
        assert_eq!(
            parse_members("ann (host), (unencrypted)").map(|list| list.names.len()),
            Some(2)
        );
        assert_eq!(parse_members("ann (host),  (unencrypted)"), None, "a mark without a name");
    }

    #[test]
    fn w28_name_like_a_count_is_a_name() {
        let names = ["ann", "bob", "bob and 3 more"];
        let line = written(&names, 0, Language::English, 99);
        assert_eq!(line, "bob, bob and 3 more, ann (host)");
        let names = ["ann", "bob ほか3人"];
        let line = written(&names, 0, Language::English, 99);
        assert_eq!(line, "bob ほか3人, ann (host)");
    }

    #[test]
    fn w28_notices_are_no_member_lists() {
        let mut help = String::new();
        for language in [Language::English, Language::Japanese] {
            super::super::Notice::Help.write(language, &mut help);
            assert_eq!(parse_members(&help), None, "{help}");
            help.clear();
        }
        for text in [
            "bob: ann (host), cy",
            "",
            "bob joined",
            "bob, cy",
            "a (host), b (host)",
            ", a (host)",
            " (host)",
        ] {
            assert_eq!(parse_members(text), None, "{text:?}");
        }
    }

    /// Generates valid names, some of which resemble the texts around them.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z日本、人ほか]{1,8}",
            Just("x and 3 more".into()),
            Just("and 3 more".into()),
            Just("ほか3人".into()),
            Just("x ほか3人".into()),
            Just("a,b".into()),
            Just("(host)".into()),
        ]
    }

    proptest! {
        #[test]
        fn w28_written_members_are_parsed_again(
            names in proptest::collection::btree_set(name(), 1..12),
            host in any::<prop::sample::Index>(),
            is_japanese in any::<bool>(),
            in_clear in any::<u16>(),
            max in 30_usize..200,
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let host = host.index(names.len());
            let language = if is_japanese { Language::Japanese } else { Language::English };
            let is_in_clear = |place: usize| in_clear & (1 << place) != 0;
            let line = marked(&names, (host, is_in_clear), language, max);
            prop_assert!(line.len() <= max);
            let list = parse_members(&line).expect("a list");
            prop_assert_eq!(list.names.len() + list.more, names.len());
            let mut read = list.names.clone();
            if list.more == 0 {
                read.sort_unstable();
            }
            prop_assert_eq!(&read, &names[..read.len()]);
            prop_assert_eq!(list.host, Some(names[host]).filter(|host| read.contains(host)));
            let is_marked = |name: &&str| list.in_clear.contains(name);
            let right = |name: &&str| names.iter().position(|own| own == name).is_some_and(is_in_clear);
            prop_assert!(list.names.iter().all(|name| is_marked(name) == right(name)));
        }
    }
}
