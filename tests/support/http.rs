//! Requests of HTTP as raw bytes, and the responses to them.

use std::io::{ErrorKind, Read};

use super::{Control, Server};

/// A response.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub content: Vec<u8>,
}

impl Response {
    /// Reads a response with its content.
    pub fn read(stream: &mut impl Read) -> Self {
        let mut response = Self::read_head(stream);
        let size = response.field("content-length").map_or(0, |size| size.parse().expect("a size"));
        response.content = vec![0; size];
        stream.read_exact(&mut response.content).expect("the content");
        response
    }

    /// Reads a response up to the empty line.
    pub fn read_head(stream: &mut impl Read) -> Self {
        let head = read_head(stream);
        let mut lines = head.trim_end().split("\r\n");
        let status =
            lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status");
        let fields = lines.map(|line| line.split_once(": ").expect("a field"));
        Self {
            status: status[..3].parse().expect("a number"),
            fields: fields.map(|(name, value)| (name.to_ascii_lowercase(), value.into())).collect(),
            content: Vec::new(),
        }
    }

    /// Returns the value of a field, which exists once at most.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(of, _)| of == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert_eq!(found.next(), None, "{name} exists once");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("UTF-8")
    }
}

/// Reads the head of a response, up to the empty line.
pub fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&head)));
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("UTF-8")
}

/// Returns a request without content. `fields` are whole lines.
pub fn get(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

/// Sends bytes on a connection of their own, and returns the first response.
pub fn response_to(server: &Server, request: &[u8]) -> Response {
    let mut connection = Control::connect(server);
    connection.send(request);
    Response::read(&mut connection.stream())
}

/// Sends bytes on a connection of their own, and returns the status of the first response.
pub fn status_of(server: &Server, request: &[u8]) -> u16 {
    response_to(server, request).status
}

/// Returns everything until the server ends the connection, perhaps with a reset.
pub fn rest(connection: &Control) -> Vec<u8> {
    let mut rest = Vec::new();
    match connection.stream().read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    rest
}
