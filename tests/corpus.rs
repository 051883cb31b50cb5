//! Replays the corpora of fuzzing: every file below `tests/fuzz/corpus/` goes to the target that its
//! folder is named after. A panic shows a broken property.

#[path = "fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

/// Passes every file of a folder to its target. Fails if there are hardly any.
fn replay(folder: &str, target: fn(&[u8])) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(folder);
    let files = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut count = 0;
    for file in files {
        let file = file.expect("an entry").path();
        // The file named last is the one that panicked: a failed test prints its output.
        println!("{}", file.display());
        target(&fs::read(&file).expect("a file"));
        count += 1;
    }
    assert!(count >= 20, "{count} files in {}", path.display());
}

#[test]
fn w2_w3_frame_corpus() {
    replay("frame", fuzz::frame);
}

#[test]
fn w5_w6_w7_request_corpus() {
    replay("request", fuzz::request);
}

#[test]
fn t1_w18_datagram_corpus() {
    replay("datagrams", fuzz::datagrams);
}

#[test]
fn c1_carried_corpus() {
    replay("carried", fuzz::carried);
}

#[cfg(feature = "web")]
#[test]
fn h4_http_corpus() {
    replay("http", fuzz::http);
}

#[cfg(feature = "webtransport")]
#[test]
fn h8_http3_corpus() {
    replay("http3", fuzz::http3);
}

#[cfg(feature = "tls")]
#[test]
fn e6_e8_sealed_corpus() {
    replay("sealed", fuzz::sealed);
}

#[cfg(feature = "tls")]
#[test]
fn e1_first_bytes_corpus() {
    replay("first_bytes", fuzz::first_bytes);
}

#[cfg(feature = "web")]
#[test]
fn h7_websocket_corpus() {
    replay("websocket", fuzz::websocket);
}
