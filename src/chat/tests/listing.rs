//! The room list.

use super::*;

/// A stage with rooms of these names, and how each is listed.
fn listed(rooms: &[&'static str]) -> (Stage, impl Fn(&str) -> String) {
    let mut stage = Stage::with_defaults();
    for room in rooms {
        stage.create(room, r#"{"username":"host","capacity":5}"#);
    }
    let row =
        |room: &str| format!(r#"{{"room":"{room}","members":1,"capacity":5,"password":false}}"#);
    (stage, row)
}

#[test]
fn w10_field_h_a_cut_list_says_so() {
    let (stage, row) = listed(&["b", "a", "ab"]);
    let more = |room: &str| row(room).replace('}', r#","more":true}"#);
    let whole = format!("[{},{},{}]", row("a"), row("ab"), row("b"));
    let list_after =
        |prefix, after, max| String::from_utf8(stage.chat.list(prefix, after, max)).expect("UTF-8");
    let list = |prefix, max| list_after(prefix, None, max);
    assert_eq!(list(Some(""), whole.len()), whole);
    assert_eq!(list(Some(""), whole.len() - 1), format!("[{},{}]", row("a"), more("ab")));
    let two = format!("[{},{}]", row("a"), row("ab"));
    assert_eq!(list(Some(""), two.len()), two, "the sign does not fit");
    assert_eq!(list_after(Some(""), Some(""), two.len()), format!("[{}]", more("a")));
    for max in 0..whole.len() + 5 {
        let cut = list_after(Some(""), Some(""), max);
        assert!(cut == "[]" || cut.len() <= max, "{max}: {cut}");
        assert!(cut == "[]" || cut == whole || cut.ends_with(r#","more":true}]"#), "{max}: {cut}");
    }
    assert_eq!(list(Some(""), 3), "[]");
    assert_eq!(list(Some("a"), 999), format!("[{},{}]", row("a"), row("ab")));
    assert_eq!(list(None, 999), "[]");
}

#[test]
fn w10_field_h_long_names_hide_none() {
    let (stage, row) = listed(&["a", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "c"]);
    let list =
        |after, max| String::from_utf8(stage.chat.list(Some(""), after, max)).expect("UTF-8");
    let more = row("a").replace('}', r#","more":true}"#);
    let max = more.len() + 2;
    assert_eq!(list(Some(""), max), format!("[{more}]"));
    assert_eq!(list(Some("a"), max), format!("[{}]", row("c")), "the long name is left out");
    assert_eq!(list(Some("c"), max), "[]");
    let (stage, row) = listed(&["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"]);
    let whole = String::from_utf8(stage.chat.list(Some(""), None, max)).expect("UTF-8");
    assert_eq!(whole, format!("[{}]", row("b")), "nor to those who know of no pages");
}

#[test]
fn w10_field_h_pages_follow_a_name() {
    let (mut stage, row) = listed(&["a", "ab", "b", "c"]);
    let list = |stage: &Stage, prefix, after| {
        String::from_utf8(stage.chat.list(Some(prefix), Some(after), 999)).expect("UTF-8")
    };
    assert_eq!(list(&stage, "", "ab"), format!("[{},{}]", row("b"), row("c")));
    assert_eq!(list(&stage, "", "aa"), format!("[{},{},{}]", row("ab"), row("b"), row("c")));
    assert_eq!(list(&stage, "a", "a"), format!("[{}]", row("ab")));
    assert_eq!(list(&stage, "b", "a"), format!("[{}]", row("b")), "before all of the prefix");
    assert_eq!(list(&stage, "a", "b"), "[]", "behind all of the prefix");
    assert_eq!(list(&stage, "", "c"), "[]");
    // Another room comes between the pages, and the one behind which the next begins goes.
    stage.create("aaa", r#"{"username":"host","capacity":5}"#);
    assert_eq!(list(&stage, "", "b"), format!("[{}]", row("c")));
    stage.create("hid", r#"{"username":"host","hidden":true}"#);
    assert_eq!(list(&stage, "", "c"), "[]", "hidden rooms stay hidden");
}
