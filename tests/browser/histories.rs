//! Runs the script of the chat page in Chromium: golden histories and sessions. See `tests/script/`.

use crate::stranger;
use crate::support::browser::*;

/// Imports the script of the page, and returns the number of lines that it repeats.
const REPEAT: &str = "
    const { replay } = await import('/tests/script/replay.js');
    const { StreamReceiver } = await import('/src/web/pages/chat/stream/receiver.js');
    const { StreamSender } = await import('/src/web/pages/chat/stream/sender.js');
    const histories = await (await fetch('/tests/script/histories.jsonl')).text();
    return replay(histories, { StreamReceiver, StreamSender })";

/// Imports the script of the page, runs the tests of its sessions, and returns their number.
const VISIT: &str = "
    const { RequestError } = await import('/src/web/pages/chat/session/request_error.js');
    const { Server } = await import('/src/web/pages/chat/session/server.js');
    const { sessionTests } = await import('/tests/script/session_tests.js');
    for (const test of sessionTests) {
        await test({ Server, RequestError });
    }
    return sessionTests.length";

#[test]
fn h6_chromium_repeats_histories() {
    let Some(browser) = Browser::start("h6 with golden histories") else { return };
    let lines = run(&browser, REPEAT);
    assert!(lines > 1_000, "{lines}");
}

#[test]
fn h11_sessions_come_back_in_chromium() {
    let Some(browser) = Browser::start("h11 with sessions") else { return };
    let tests = run(&browser, VISIT);
    assert!(tests > 10, "{tests}");
}

/// Runs a script that returns a number, beside the files of this repository.
fn run(browser: &Browser, script: &str) -> u64 {
    let page = browser.page();
    page.open(&format!("http://{}/", stranger::serve()));
    let number = page.run(&format!("return (async () => {{ {script} }})()"));
    number.as_u64().expect("a number")
}
