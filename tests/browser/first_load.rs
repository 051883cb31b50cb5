//! The first load of both pages: bytes, and the time until a person can type.

use serde_json::json;

use crate::person::*;
use crate::support::Server;
use crate::support::browser::*;

/// Most compressed bytes of both pages together.
const MOST_BYTES: u64 = 60 * 1024;

/// Notes the time at which the script has run and the field for the name has the focus, in milliseconds
/// since the navigation began.
const NOTE_READY: &str = "
    const look = () => {
        const name = document.getElementById('server-name');
        const isReady = name?.textContent && document.activeElement?.id === 'own-name';
        isReady ? globalThis.readyAt = performance.now() : setTimeout(look);
    };
    look()";

#[test]
fn h2_first_load_is_small() {
    let server = Server::start(&[]);
    let Some(browser) = Browser::start("h2 by the size of the pages") else { return };
    let page = browser.page();
    let sizes = ["", "loop"].map(|path| {
        page.open(&format!("{}{path}", address(&server)));
        let loaded = page.run("return performance.getEntriesByType('navigation')[0].toJSON()");
        loaded["encodedBodySize"].as_u64().expect("a size")
    });
    assert!(sizes[0] > 1_000 && sizes[1] > 1_000, "{sizes:?}");
    assert!(sizes[0] + sizes[1] <= MOST_BYTES, "{sizes:?}");
    page.prepare(NOTE_READY);
    page.command("Network.enable", &json!({}));
    page.command("Network.setCacheDisabled", &json!({"cacheDisabled": true}));
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            page.open(&address(&server));
            page.wait("return globalThis.readyAt").as_f64().expect("a time")
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "chat {} bytes, loop {} bytes; ready to type in {:.0} ms",
        sizes[0], sizes[1], times[4]
    );
}
