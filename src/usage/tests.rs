//! Parts of the outputs that no real table has together.

use super::*;

const PROGRAM: Program = Program {
    name: "a-b",
    manual: 1,
    purpose: "tests",
    introduction: "One. Two:\n  a-b go\nThree",
    commands: &[Command { name: "go", arguments: "ROOM [NAME]", text: "go to a room" }],
    groups: &[Group { title: "All", options: OPTIONS }],
    hidden: &[flag("secret", "")],
    column: 14,
    remarks: ".dot first, a \\ and a \"quote\"",
    variables: &[("HOME", "home")],
    files: &[("/a", "a file")],
    statuses: &[("0", "always"), ("1", "never")],
    examples: &[("Go", "a-b go there")],
    see_also: &[("b", 1), ("c", 8)],
};

const OPTIONS: &[Opt] = &[
    flag("yes", "it's [this]: yes; no more. Nor that").short("y"),
    value("long-name-of-it", "N", "text").default("7"),
    file("file", "F", "long text that needs more than one line of the help, and ends in column 68")
        .repeated()
        .default("/var/lib/ab"),
    choice("kind", &["a", "b"], "one; b").default("a default that has many words"),
    choice("wide", &["a"], "a long text and a long default")
        .default("a default that has a lot of words"),
];

#[test]
fn u9_help_has_two_columns() {
    let help = help::text(&PROGRAM);
    let all = "\
Usage: a-b [OPTIONS] go ROOM [NAME]

One. Two:
  a-b go
Three

All:
  -y, --yes   it's [this]: yes; no more. Nor that
  --long-name-of-it N
              text                                          [7]
  --file F    long text that needs more than one line of the help, and ends in
              column 68                                     [/var/lib/ab]
  --kind a|b  one; b  [a default that has many words]
  --wide a    a long text and a long default
                                            [a default that has a lot of words]
";
    assert!(help.starts_with(all), "{help}");
    assert!(help.ends_with("\n\nExit status: 0 always; 1 never.\n"), "{help}");
}

#[test]
fn u9_page_has_no_stray_requests() {
    let page = man::text(&PROGRAM);
    assert!(page.contains("\n\\&.dot first, a \\e and a \\(dqquote\\(dq\n"), "{page}");
    assert!(page.contains("\n.Cm go Ar ROOM Op Ar NAME\n"), "{page}");
    assert!(page.contains("\nOne; b.\nThe default is "), "{page}");
    assert!(page.contains("\n.It Fl y , Fl \\-yes\n"), "{page}");
    assert!(page.ends_with("\n.Xr b 1 ,\n.Xr c 8\n"), "{page}");
    assert!(page.lines().all(|line| line.len() <= 80), "{page}");
}

#[test]
fn u9_texts_are_quoted_for_shells() {
    let zsh = zsh::text(&PROGRAM);
    assert!(zsh.contains(r"'(-y --yes)--yes[it'\''s \[this\]\: yes]'"), "{zsh}");
    assert!(zsh.contains(" '*--file=["), "{zsh}");
    let fish = fish::text(&PROGRAM);
    assert!(fish.contains(r"-s y -l yes -d 'it\'s [this]: yes'"), "{fish}");
}
