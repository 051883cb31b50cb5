//! Peers that misbehave on TCP, and checks of a server beside them.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::*;

/// Far below the memory that a mistake costs here, and far above the noise of the allocator.
pub const LITTLE_MEMORY: u64 = 8 << 20;

/// Raises the limit of open files, which is 1,024 in most shells, for tests with a crowd.
pub fn allow_a_crowd() -> u64 {
    reactor_chat::sys::raise_descriptor_limit().expect("the limit of open files")
}

pub fn list_frame() -> Vec<u8> {
    frame(LIST, "", b"")
}

/// Returns the header of a payload that exceeds every limit.
pub fn oversized_header() -> Vec<u8> {
    let mut header = list_frame();
    header[3] = 1;
    header
}

/// Checks that the server answers this connection.
#[track_caller]
pub fn expect_answer(control: &mut Control) {
    assert_eq!(control.status_of(LIST, "", b""), 0);
}

/// Checks that the server answers a new connection.
#[track_caller]
pub fn expect_service(server: &Server) {
    expect_answer(&mut Control::connect(server));
}

/// Starts a server with a list of rooms almost as long as a payload may be.
pub fn server_with_a_long_list(options: &[&str]) -> Server {
    let server = Server::start(&[&["--max-unproved", "0"], options].concat());
    let mut control = Control::connect(&server);
    for number in 0..200 {
        control.enter(CREATE, &format!("{number:0>200}"), b"host");
    }
    control.end();
    control.expect_end();
    server
}

/// Opens a connection with a small receive window.
pub fn connect_with_a_small_window(server: &Server) -> TcpStream {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(server.tcp), Type::STREAM, None).expect("one");
    socket.set_recv_buffer_size(4096).expect("an option");
    socket.connect_timeout(&server.tcp.into(), DEADLINE).expect("a connection");
    socket.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    socket.into()
}

/// Starts a peer that requests far more than it ever reads.
pub fn hoard(server: &Server) -> TcpStream {
    let mut stream = connect_with_a_small_window(server);
    stream.write_all(&list_frame().repeat(500)).expect("sent");
    stream
}

/// Checks that the server uses hardly any CPU time for a second.
#[track_caller]
pub fn expect_idleness(server: &Server) {
    let before = server.cpu_time();
    // The pause is the measurement.
    thread::sleep(Duration::from_secs(1));
    let used = server.cpu_time() - before;
    assert!(used <= Duration::from_millis(30), "{used:?} of CPU time in an idle second");
}
