//! Another web server: an empty page, and the files of this repository. Its pages have an origin of their own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// The page at `/`.
const PAGE: &str = "<!doctype html><link rel=icon href=data:,><title>stranger</title>";

/// Serves on a free port to everyone who comes, until the tests end.
pub fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Chromium also opens connections that it does not use yet.
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Answers one request. The browser may go at any time.
fn answer(stream: TcpStream) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while stream.read_line(&mut head).is_ok_and(|size| size > 2) {}
    let path = head.split(' ').nth(1)?;
    let (kind, body) = match path {
        "/" => ("text/html", PAGE.into()),
        _ => {
            let kind = if path.ends_with(".js") { "text/javascript" } else { "text/plain" };
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path.trim_start_matches('/'));
            (kind, fs::read_to_string(file).ok()?)
        }
    };
    let size = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n");
    write!(stream.get_mut(), "{head}Connection: close\r\n\r\n{body}").ok()
}
