//! The page that shows the loop at work.

use crate::person::address;
use crate::support::browser::*;
use crate::support::*;

/// Opens the page of the loop, and waits for its first figures.
fn open(page: &Page, server: &Server) {
    page.open(&format!("{}loop", address(server)));
    page.wait_for("#state[data-state=live]");
}

#[test]
fn h12_picture_follows_the_loop() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h12 in a browser") else { return };
    let page = browser.page();
    open(&page, &server);
    assert_eq!(page.texts("#turn .file").len(), 10);
    let ann = Member::create(&server, "lobby", &text("ann"));
    page.wait_for_text("#headline", "1members");
    page.wait_for_text("#headline", "1rooms");
    page.press(&[" "]);
    page.wait_for("#state[data-state=frozen]");
    let frozen = page.texts("#headline");
    let _bob = Member::join(&server, "lobby", &text("bob"));
    // Figures go on to arrive, and are not shown.
    ann.expect("bob joined");
    page.run(
        "return new Promise(done => {
        const events = new EventSource('/events');
        let left = 3;
        events.onmessage = () => { left -= 1; if (left === 0) { events.close(); done(); } };
    })",
    );
    assert_eq!(page.texts("#headline"), frozen);
    page.press(&[" "]);
    page.wait_for_text("#headline", "2members");
}

#[test]
fn h12_hidden_picture_costs_nothing() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h12 in a hidden page") else { return };
    let page = browser.page();
    open(&page, &server);
    page.hide();
    page.wait(
        "return fetch('/loop.json').then(answer => answer.json())
            .then(figures => figures.gauges.viewers === 0)",
    );
    page.show();
    page.wait_for("#state[data-state=live]");
}

#[test]
fn h12_picture_survives_a_restart() {
    let server = Server::start(&[]);
    let [tcp, udp] = [server.tcp, server.udp].map(|address| address.port().to_string());
    let Some(browser) = Browser::start("h12 with a server that restarts") else { return };
    browser.expect_in_console("/events");
    let page = browser.page();
    open(&page, &server);
    drop(server);
    page.wait_for("#state[data-state=lost]");
    let _server = Server::start_at(&tcp, &udp, &[]);
    page.wait_for("#state[data-state=live]");
}
