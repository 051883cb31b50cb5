//! Repeats the golden histories with the script of the chat page in Chromium. See `tests/script/`.

use crate::stranger;
use crate::support::browser::*;

/// Imports the script of the page, and returns the number of lines that it repeats.
const REPEAT: &str = "
    const { replay } = await import('/tests/script/replay.js');
    const { StreamReceiver } = await import('/src/web/pages/chat/stream/receiver.js');
    const { StreamSender } = await import('/src/web/pages/chat/stream/sender.js');
    const histories = await (await fetch('/tests/script/histories.jsonl')).text();
    return replay(histories, { StreamReceiver, StreamSender })";

#[test]
fn h6_chromium_repeats_histories() {
    let Some(browser) = Browser::start("h6 with golden histories") else { return };
    let page = browser.page();
    page.open(&format!("http://{}/", stranger::serve()));
    let lines = page.run(&format!("return (async () => {{ {REPEAT} }})()"));
    assert!(lines.as_u64().is_some_and(|lines| lines > 1_000), "{lines}");
}
