//! Pages of other origins, and names that lead to our address.

use serde_json::json;

use crate::person::*;
use crate::stranger;
use crate::support::browser::*;
use crate::support::*;

/// Opens a WebSocket, and returns `open` or `refused`.
const WEBSOCKET: &str = "return new Promise(done => {
    const socket = new WebSocket(`ws://${arguments[0]}/chat`);
    socket.onopen = () => done('open');
    socket.onerror = () => done('refused');
})";

/// Opens a session of WebTransport likewise.
const WEBTRANSPORT: &str = "
    const [address, hashes] = arguments;
    const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const serverCertificateHashes = hashes.map(text => ({ algorithm: 'sha-256', value: bytes(text) }));
    const session = new WebTransport(`https://${address}/chat`, { serverCertificateHashes });
    session.closed.catch(() => {});
    return session.ready.then(() => 'open', () => 'refused')";

#[test]
fn h5_foreign_pages_open_nothing() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h5 with a foreign page") else { return };
    browser.expect_in_console(&server.tcp.to_string());
    browser.expect_in_console(&server.udp.to_string());
    let (own, foreign) = (browser.page(), browser.open_tab());
    own.open(&address(&server));
    foreign.open(&format!("http://{}/", stranger::serve()));
    let hashes = own.run("return fetch('/webtransport.json').then(answer => answer.json())");
    let sessions = [&own, &foreign].map(|page| {
        let websocket = page.run_with(WEBSOCKET, &json!([server.tcp.to_string()]));
        let arguments = json!([server.udp.to_string(), hashes["hashes"]]);
        [websocket, page.run_with(WEBTRANSPORT, &arguments)]
    });
    assert_eq!(sessions, [["open", "open"], ["refused", "refused"]]);
}

#[test]
fn h5_foreign_pages_read_no_figures() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h5 with a foreign page") else { return };
    browser.expect_in_console(&server.tcp.to_string());
    let (own, foreign) = (browser.page(), browser.open_tab());
    own.open(&address(&server));
    foreign.open(&format!("http://{}/", stranger::serve()));
    let read = "return fetch(arguments[0]).then(answer => answer.ok, () => 'refused')";
    for path in ["loop.json", "metrics", "events", "webtransport.json", ""] {
        let url = json!([format!("{}{path}", address(&server))]);
        assert_eq!(own.run_with(read, &url), true, "{path}");
        assert_eq!(foreign.run_with(read, &url), "refused", "{path}");
    }
}

#[test]
fn h5_foreign_names_are_421() {
    let server = Server::start(&[]);
    let rules = "--host-resolver-rules=MAP evil.example 127.0.0.1";
    let Some(browser) = Browser::start_with("h5 with a foreign name", rules) else { return };
    browser.expect_in_console("421");
    let page = browser.page();
    let url = format!("http://evil.example:{}/", server.tcp.port());
    page.open(&url);
    page.wait_for_text("body", "--allow-host");
    let allowing = Server::start(&["--allow-host", "evil.example"]);
    page.open(&format!("http://evil.example:{}/", allowing.tcp.port()));
    page.wait_for("#own-name");
}
