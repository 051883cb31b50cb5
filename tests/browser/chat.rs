//! People in rooms: in two browsers and on a terminal, by keyboard alone, in Japanese.

use crate::person::*;
use crate::support::browser::*;
use crate::support::pty::*;
use crate::support::*;

/// Starts two browsers and a terminal in one room, whose messages take this path to the browsers.
fn chat_over(path: &str, options: &[&str]) {
    let server = Server::start(options);
    let Some(browser) = Browser::start("h11 in two browsers") else { return };
    let Some(other) = Browser::start("h11 in two browsers") else { return };
    for browser in [&browser, &other].into_iter().filter(|_| path == TCP) {
        browser.expect_in_console("/webtransport.json - Failed to load resource: the server responded with a status of 404");
    }
    let (ann, bob) = (Person::visit(browser.page(), &server), Person::visit(other.page(), &server));
    ann.create("lobby", "ann");
    bob.join("lobby", "bob");
    let mut cyd = Terminal::start(&server, USUAL, &["join", "lobby", "cyd"]);
    for person in [&ann, &bob] {
        person.expect_path(path);
        person.expect_notice("cyd joined");
    }
    ann.say("one");
    bob.expect("ann", "one");
    bob.say("two");
    ann.expect("bob", "two");
    cyd.expect_where("two", |rows| rows.iter().any(|row| row.ends_with("bob: two")));
    cyd.keys("three\r");
    for person in [&ann, &bob] {
        person.expect("cyd", "three");
        assert_eq!(person.messages(), ["one", "two", "three"]);
    }
    cyd.keys("/exit\r");
    cyd.expect_end(0);
    bob.expect_notice("cyd left");
}

#[test]
fn h6_h8_chat_over_webtransport() {
    chat_over(UDP, &[]);
}

#[test]
fn h6_h7_chat_over_websocket() {
    chat_over(TCP, &["--webtransport", "off"]);
}

#[test]
fn h11_one_browser_is_in_several_rooms() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 in several rooms") else { return };
    let ann = Person::visit(browser.page(), &server);
    for room in ["red", "blue"] {
        ann.show("Rooms");
        ann.create(room, "ann");
        ann.say(&format!("in {room}"));
        ann.expect("ann", &format!("in {room}"));
    }
    ann.show("red");
    assert_eq!(ann.messages(), ["in red"]);
    ann.page.click(&format!("{ROOM} .leave-room"));
    ann.page.wait_for_text(&format!("{ROOM} .room-name"), "blue");
    assert_eq!(ann.page.texts("#tabs .tab-name"), ["Rooms", "blue"]);
    assert_eq!(ann.messages(), ["in blue"]);
}

#[test]
fn h11_unread_messages_are_counted() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 counts of unread messages") else { return };
    let page = browser.page();
    page.prepare(NOTIFICATIONS);
    let ann = Person::visit(page, &server);
    ann.page.click("#open-settings");
    ann.page.click("#choose-notify");
    ann.page.press(&[ESCAPE]);
    ann.create("lobby", "ann");
    let bob = Member::join(&server, "lobby", &text("bob"));
    ann.expect_members(&["ann", "bob"]);
    ann.page.show();
    bob.say("read at once");
    ann.expect("bob", "read at once");
    assert_eq!(ann.page.title(), "lobby – reactor-chat");
    ann.page.hide();
    bob.say("one");
    bob.say("two");
    ann.page.wait_for_title(|title| title == "(2) lobby – reactor-chat");
    bob.say("ann: three");
    ann.page.wait_for_title(|title| title == "(@1) lobby – reactor-chat");
    ann.page.wait_with(
        "return JSON.stringify(notes) === arguments[0]",
        &serde_json::json!([r#"[["bob in lobby","ann: three"]]"#]),
    );
    ann.page.show();
    ann.page.wait_for_title(|title| title == "lobby – reactor-chat");
    ann.show("Rooms");
    bob.say("four");
    ann.page.wait_for_text("#tabs .badge:not([hidden])", "1");
}

#[test]
fn h11_wrong_password_is_asked_again() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 passwords") else { return };
    let host = r#"{"username":"bob","password":"secret"}"#;
    let bob = Member::create(&server, "lobby", host);
    let ann = Person::visit(browser.page(), &server);
    ann.page.fill("#own-name", "ann");
    ann.page.click("#room-list [data-room=lobby]");
    ann.page.type_into("#enter-password", "guess");
    ann.page.click("#enter-submit");
    ann.page.wait_for("#enter-error:not([hidden])");
    ann.page.fill("#enter-password", "secret");
    ann.page.click("#enter-submit");
    bob.expect("ann joined");
    ann.page.wait_for(COMPOSER);
    ann.page.wait_for_absence("dialog[open]");
}

#[test]
fn h11_host_kicks_a_member() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 kicks") else { return };
    let Some(other) = Browser::start("h11 kicks") else { return };
    let (ann, bob) = (Person::visit(browser.page(), &server), Person::visit(other.page(), &server));
    ann.create("lobby", "ann");
    bob.join("lobby", "bob");
    ann.page.resize(1280, 720);
    ann.page.click(&format!("{ROOM} .member[data-name=bob]"));
    ann.page.click(&format!("{ROOM} [data-action=kick]"));
    ann.expect_notice("bob was removed by the host");
    bob.page.wait_for(&format!("{ROOM} .banner[data-state=ended]"));
    assert!(bob.page.texts(&format!("{ROOM} .rejoin-room:not([hidden])")).is_empty());
    ann.expect_members(&["ann"]);
}

#[test]
fn h11_room_is_passed_on() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 the next host") else { return };
    let ann = Person::visit(browser.page(), &server);
    ann.create("lobby", "ann");
    let bob = Member::join(&server, "lobby", &text("bob"));
    ann.expect_members(&["ann", "bob"]);
    ann.page.resize(1280, 720);
    ann.page.click(&format!("{ROOM} .member[data-name=bob]"));
    ann.page.click(&format!("{ROOM} [data-action=host]"));
    ann.expect_notice("bob is the host now");
    bob.say("/kick ann");
    ann.page.wait_for(&format!("{ROOM} .banner[data-state=ended]"));
}

#[test]
fn h11_host_leaves() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 the end of a room") else { return };
    let bob = Member::create(&server, "lobby", &text("bob"));
    let ann = Person::visit(browser.page(), &server);
    ann.join("lobby", "ann");
    bob.say("/exit");
    ann.page.wait_for(&format!("{ROOM} .banner[data-state=ended]"));
    ann.page.click(&format!("{ROOM} .rejoin-room"));
    ann.page.wait_for(COMPOSER);
    ann.expect_members(&["ann"]);
}

#[test]
fn h11_address_opens_a_room() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 the address of a room") else { return };
    let bob = Member::create(&server, "日本 / 語?", &text("bob"));
    let page = browser.page();
    page.open(&format!("{}#{}", address(&server), "%E6%97%A5%E6%9C%AC%20%2F%20%E8%AA%9E%3F"));
    page.type_into("#enter-name", "ann");
    page.press(&[ENTER]);
    bob.expect("ann joined");
    let ann = Person { page };
    ann.page.wait_for(COMPOSER);
    ann.page.click(&format!("{ROOM} .share-room"));
    let shared = "return document.getElementById('share-address').value === arguments[0]";
    let url = ann.page.run("return location.href");
    ann.page.wait_with(shared, &serde_json::json!([url]));
    ann.page.press(&[ESCAPE]);
    ann.page.reload();
    bob.expect_sometime("ann joined");
    ann.page.wait_for(COMPOSER);
}

#[test]
fn h11_page_speaks_japanese() {
    let server = Server::start(&["--lang", "ja"]);
    let Some(browser) = Browser::start_in("h11 in Japanese", "ja") else { return };
    let ann = Person::visit(browser.page(), &server);
    ann.page.wait_for("html[lang=ja]");
    ann.page.wait_for_text("#join-room", "入室");
    ann.create("談話室", "愛");
    ann.say("こんにちは");
    ann.expect("愛", "こんにちは");
    let bob = Member::join(&server, "談話室", &text("太郎"));
    ann.expect_notice("太郎");
    bob.say("愛さん、元気？");
    ann.page.wait_for_text(&format!("{ROOM} .mention mark"), "愛");
}

#[test]
fn h11_keyboard_alone_is_enough() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h11 by keyboard alone") else { return };
    let ann = Person::visit(browser.page(), &server);
    let page = &ann.page;
    page.wait("return document.activeElement.id === 'own-name'");
    page.press(&["a", "n", "n", ENTER, "r", TAB, TAB, ENTER]);
    page.wait("return document.activeElement.id === 'enter-password'");
    page.press(&[ENTER]);
    page.wait_for(COMPOSER);
    let bob = Member::join(&server, "r", &text("bob"));
    ann.expect_notice("bob joined");
    page.press(&["h", "i", " ", "@", "b", TAB, ENTER]);
    bob.expect("ann: hi @bob ");
    page.press(&["/", "k", "i", TAB, "b", TAB, ENTER]);
    ann.expect_notice("bob was removed by the host");
    page.press(&[UP, UP]);
    page.wait(&format!("return document.querySelector('{COMPOSER}').value === 'hi @bob '"));
    page.press_with(ALT, UP);
    page.wait("return document.activeElement.id === 'find-room'");
    page.press_with(ALT, DOWN);
    page.wait(&format!("return document.activeElement === document.querySelector('{COMPOSER}')"));
}
