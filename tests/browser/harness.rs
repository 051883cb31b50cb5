//! Tests of the harness itself, against pages that are part of their own address.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::browser::*;

const FORM: &str = "data:text/html,<title>form</title><input id=who><button id=go>go</button>\
    <p id=said></p><script>go.onclick = () => { said.textContent = who.value; document.title = 'done' }</script>";

#[test]
fn browser_types_and_clicks() {
    let Some(browser) = Browser::start("a form in a browser") else { return };
    let page = browser.page();
    page.open(FORM);
    assert_eq!(page.title(), "form");
    page.type_into("#who", "an");
    page.press(&["n", TAB, ENTER]);
    page.wait_for_text("#said", "ann");
    page.wait_for_title(|title| title == "done");
    page.fill("#who", "日本");
    page.insert("🙂");
    page.click("#go");
    page.wait_for_text("#said", "日本🙂");
}

#[test]
fn tabs_are_separate_and_can_be_hidden() {
    let Some(browser) = Browser::start("two pages in a browser") else { return };
    let (first, second) = (browser.page(), browser.open_tab());
    second.open(FORM);
    assert_ne!(first.title(), "form");
    assert_eq!(second.title(), "form");
    second.hide();
    second.wait("return document.hidden");
    second.show();
    second.wait("return !document.hidden && document.hasFocus()");
    second.resize(360, 640);
    assert_eq!(second.run("return [innerWidth, innerHeight]"), serde_json::json!([360, 640]));
    assert!(second.picture().starts_with(b"\x89PNG"));
}

#[test]
fn complaint_in_the_console_fails_a_test() {
    let page = |script: &str| format!("data:text/html,<script>{script}</script>");
    let Some(browser) = Browser::start("the console of a browser") else { return };
    browser.page().open(&page("console.error('is broken')"));
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(browser)));
    assert!(outcome.is_err());
    let Some(browser) = Browser::start("the console of a browser") else { return };
    browser.expect_in_console("is broken");
    browser.page().open(&page("console.error('is broken')"));
}
