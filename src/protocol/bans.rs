//! Answers about bans (W29): one line each, with a list of names that fits a datagram.
//!
//! Clients parse [lists of members](super::members). The lists here are in parentheses, so that no
//! client takes one for a list of members.

use super::Notice;
use super::members::and_more;
use super::notice::Language;

/// Writes the list of bans in at most `max` bytes. A name comes with true if its subnet is banned
/// too. Names that do not fit are counted at the end.
pub fn write_bans<'a>(
    names: impl ExactSizeIterator<Item = (&'a str, bool)>,
    language: Language,
    max: usize,
    out: &mut String,
) {
    if names.len() == 0 {
        return Notice::NobodyBanned.write(language, out);
    }
    let (intro, address) = match language {
        Language::English => ("banned (", " + address"),
        Language::Japanese => ("禁止中（", "＋アドレス"),
    };
    let names = names.map(|(name, has_address)| (name, if has_address { address } else { "" }));
    write_list(intro, names, closing(language), language, max, out);
}

/// Writes the answer to a host that banned `name` with a subnet that other members share, in at most
/// `max` bytes. Names of sharers that do not fit are counted at the end.
pub fn write_shared_ban<'a>(
    name: &str,
    sharers: impl ExactSizeIterator<Item = &'a str>,
    language: Language,
    max: usize,
    out: &mut String,
) {
    Notice::Banned(name).write(language, out);
    let intro = match language {
        Language::English => ", members with the same address stay but cannot come back (",
        Language::Japanese => "。同じアドレスの参加者は残りますが、戻れません（",
    };
    write_list(intro, sharers.map(|name| (name, "")), closing(language), language, max, out);
}

fn closing(language: Language) -> &'static str {
    match language {
        Language::English => ")",
        Language::Japanese => "）",
    }
}

fn write_list<'a>(
    intro: &str,
    names: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    closing: &str,
    language: Language,
    max: usize,
    out: &mut String,
) {
    out.push_str(intro);
    let total = names.len();
    // The count is at most `total`, so this is the longest ending.
    let reserve = and_more(total, language).len() + closing.len();
    for (shown, (name, mark)) in names.enumerate() {
        let between = if shown > 0 { ", " } else { "" };
        if out.len() + between.len() + name.len() + mark.len() + reserve > max {
            out.push_str(&and_more(total - shown, language));
            break;
        }
        [between, name, mark].iter().for_each(|part| out.push_str(part));
    }
    out.push_str(closing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::members::parse_members;

    const BOTH: [Language; 2] = [Language::English, Language::Japanese];

    fn bans(names: &[(&str, bool)], language: Language, max: usize) -> String {
        let mut out = String::new();
        write_bans(names.iter().copied(), language, max, &mut out);
        out
    }

    #[test]
    fn a8_bans_fit_a_datagram() {
        let names = [("bob", true), ("carol", false), ("dave", false)];
        let line = |max| bans(&names, Language::English, max);
        assert_eq!(line(99), "banned (bob + address, carol, dave)");
        assert_eq!(line(44), "banned (bob + address, carol and 1 more)");
        assert_eq!(line(35), "banned (bob + address and 2 more)");
        assert_eq!(bans(&[], Language::English, 99), "nobody is banned from this room");
        let line = bans(&names, Language::Japanese, 99);
        assert_eq!(line, "禁止中（bob＋アドレス, carol, dave）");
        let long = "ñ".repeat(127);
        for language in BOTH {
            let names = vec![(long.as_str(), true); 100];
            assert!((800..=1183).contains(&bans(&names, language, 1183).len()));
            let mut out = String::new();
            let sharers = names.iter().map(|(name, _)| *name);
            write_shared_ban(&long, sharers, language, 1183, &mut out);
            assert!((800..=1183).contains(&out.len()), "{}", out.len());
        }
    }

    #[test]
    fn a8_bans_never_read_as_members() {
        for language in BOTH {
            for max in 60..90 {
                let names = [("bob", true), ("and 3 more", false), ("x ほか3人", false)];
                let line = bans(&names, language, max);
                assert_eq!(parse_members(&line), None, "{line}");
                let mut out = String::new();
                let sharers = names.iter().map(|(name, _)| *name);
                write_shared_ban("bob", sharers, language, max + 60, &mut out);
                assert_eq!(parse_members(&out), None, "{out}");
            }
        }
    }
}
