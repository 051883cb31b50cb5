//! Barriers for people who cannot see, hear or use a mouse, as axe-core finds them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::person::*;
use crate::pictures::choose_look;
use crate::support::browser::*;
use crate::support::namespace::skip_outside_ci;
use crate::support::*;

/// Impacts of axe-core that the pages must not have.
const BAD: [&str; 2] = ["serious", "critical"];

/// Returns axe-core, which `.ci/axe` fetches. Without it, prints that barriers are not looked for, except in
/// CI, where the test fails.
pub fn axe() -> Option<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let script = fs::read_to_string(target.join("axe-core/axe.min.js"));
    script.inspect_err(|_| skip_outside_ci("barriers in the pages", "run .ci/axe")).ok()
}

/// Checks that axe-core finds no serious barrier in a page.
#[track_caller]
pub fn expect_none(page: &Page, axe: &str) {
    let found = find(page, axe);
    assert!(found.is_empty(), "{found:#?}");
}

/// Returns the serious barriers in a page.
fn find(page: &Page, axe: &str) -> Vec<String> {
    if page.run("return !window.axe") == true {
        page.run(axe);
    }
    let results = page.run("return axe.run(document, { resultTypes: ['violations'] })");
    let violations = results["violations"].as_array().expect("a list").iter();
    let bad = violations.filter(|rule| BAD.iter().any(|impact| rule["impact"] == *impact));
    bad.map(describe).collect()
}

/// Returns a rule, the number of elements that break it, and the first of them.
fn describe(rule: &Value) -> String {
    let nodes = rule["nodes"].as_array().expect("a list");
    let first = &nodes[0];
    let [html, why] = ["html", "failureSummary"].map(|key| first[key].as_str().expect("words"));
    format!("{} of {} elements: {html}: {why}", rule["id"], nodes.len())
}

/// Checks a page on a desktop and on a phone, light and dark.
fn expect_none_in_looks(page: &Page, axe: &str) {
    for (scheme, width) in [("light", 1280), ("dark", 360)] {
        choose_look(page, scheme, width);
        expect_none(page, axe);
    }
}

#[test]
fn h11_chat_page_has_no_barriers() {
    let Some(axe) = axe() else { return };
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 by its barriers") else { return };
    let ann = Person::visit(browser.page(), &server);
    let _bob = Member::create(&server, "lobby", &text("bob"));
    expect_none_in_looks(&ann.page, &axe);
    ann.page.click("#create-room");
    expect_none_in_looks(&ann.page, &axe);
    ann.page.press(&[ESCAPE]);
    ann.page.click("#open-settings");
    expect_none_in_looks(&ann.page, &axe);
    ann.page.press(&[ESCAPE]);
    ann.create("garden", "ann");
    let cyd = Member::join(&server, "garden", &text("cyd"));
    cyd.say("ann: look at https://example.org/");
    ann.say("yes");
    ann.expect("ann", "yes");
    ann.expect_members(&["ann", "cyd"]);
    expect_none_in_looks(&ann.page, &axe);
    ann.page.press_with(ALT, "m");
    expect_none_in_looks(&ann.page, &axe);
    ann.page.click(&format!("{ROOM} .share-room"));
    expect_none_in_looks(&ann.page, &axe);
    ann.page.press(&[ESCAPE]);
    cyd.say("/exit");
    drop(server);
    ann.page.wait_for(&format!("{ROOM} .banner:not([hidden])"));
    browser.expect_in_console("");
    expect_none_in_looks(&ann.page, &axe);
}

#[test]
fn h12_loop_page_has_no_barriers() {
    let Some(axe) = axe() else { return };
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h12 by its barriers") else { return };
    let page = browser.page();
    page.open(&format!("{}loop", address(&server)));
    page.wait_for("#state[data-state=live]");
    page.press(&[" "]);
    page.wait_for("#state[data-state=frozen]");
    page.run("document.querySelectorAll('details').forEach(details => { details.open = true })");
    expect_none_in_looks(&page, &axe);
}

#[test]
fn axe_finds_a_picture_without_text() {
    let Some(axe) = axe() else { return };
    let Some(browser) = Browser::start("barriers in a page") else { return };
    let page = browser.page();
    page.open("data:text/html,<html lang=en><title>t</title><img src=data:,>");
    let found = find(&page, &axe);
    assert!(found.len() == 1 && found[0].contains("image-alt"), "{found:#?}");
    page.open("data:text/html,<html lang=en><title>t</title><main><h1>t</h1></main>");
    expect_none(&page, &axe);
}
