//! Pages of other origins.

use serde_json::json;

use crate::stranger;
use crate::support::browser::*;
use crate::support::*;

#[test]
fn h5_foreign_pages_read_no_figures() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h5 with a foreign page") else { return };
    browser.expect_in_console(&server.tcp.to_string());
    let (own, foreign) = (browser.page(), browser.open_tab());
    own.open(&format!("http://{}/", server.tcp));
    foreign.open(&format!("http://{}/", stranger::serve()));
    let read = "return fetch(arguments[0]).then(answer => answer.ok, () => 'refused')";
    for path in ["loop.json", "metrics", "events", "webtransport.json", ""] {
        let url = json!([format!("http://{}/{path}", server.tcp)]);
        assert_eq!(own.run_with(read, &url), true, "{path}");
        assert_eq!(foreign.run_with(read, &url), "refused", "{path}");
    }
}
