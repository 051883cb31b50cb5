//! Tests of the rules for names.

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
