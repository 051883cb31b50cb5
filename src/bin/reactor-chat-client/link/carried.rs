//! Units on the connection of a request (C1).

use std::io::{self, ErrorKind};

use mio::Registry;
use mio::event::Event;

use super::connection::Connection;
use super::{ReceiveOutcome, retry};
use crate::server_stream::ServerStream;
use reactor_chat::protocol::carried::{self, DecodedUnit, MAX_DOWN, SIZE_FIELD};

/// Bytes of one read, and of units that wait to be written: a record of TLS.
const CHUNK: usize = 16 << 10;

/// A connection that carries the messages of a membership.
pub(super) struct CarriedLink {
    connection: Connection,
    /// Bytes of the unit that has begun.
    input: Vec<u8>,
    /// Whole units that wait to be written.
    output: Vec<u8>,
    is_readable: bool,
    is_writable: bool,
    has_ended: bool,
}

impl CarriedLink {
    pub(super) fn open(place: (&Registry, mio::Token), stream: ServerStream) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::open(place, stream)?,
            input: Vec::new(),
            output: Vec::new(),
            // TLS may hold bytes already, for which no event comes.
            is_readable: true,
            is_writable: true,
            has_ended: false,
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns true if another unit can be queued.
    pub(super) fn has_space(&self) -> bool {
        !self.has_ended && self.output.len() < CHUNK
    }

    pub(super) fn has_work(&self, is_reading: bool) -> bool {
        let has_output = !self.output.is_empty() || self.connection.wants_flush();
        (is_reading && self.is_readable) || (self.is_writable && has_output)
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        // The next call on the socket returns the error or the end.
        self.is_readable |= event.is_readable() || event.is_error() || event.is_read_closed();
        self.is_writable |= event.is_writable();
    }

    /// Reads until some units are complete, and passes each to `handle`. A keep-alive has no
    /// content.
    pub(super) fn receive(&mut self, mut handle: impl FnMut(&[u8])) -> ReceiveOutcome {
        let mut chunk = [0; CHUNK];
        while self.is_readable {
            match retry(|| self.connection.read(&mut chunk)) {
                Ok(0) => self.end(),
                Ok(size) => {
                    self.input.extend_from_slice(&chunk[..size]);
                    let units = self.take_units(&mut handle);
                    if units > 0 {
                        return ReceiveOutcome::Received(units);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(_) => self.end(),
            }
        }
        ReceiveOutcome::Drained
    }

    fn take_units(&mut self, handle: &mut impl FnMut(&[u8])) -> usize {
        let (mut start, mut units) = (0, 0);
        loop {
            match carried::decode(&self.input[start..], MAX_DOWN) {
                DecodedUnit::Incomplete => break,
                DecodedUnit::Whole(content) => {
                    (start, units) = (start + SIZE_FIELD + content.len(), units + 1);
                    if !content.is_empty() {
                        handle(content);
                    }
                }
                DecodedUnit::TooLarge { .. } => {
                    self.end();
                    break;
                }
            }
        }
        self.input.drain(..start);
        units
    }

    fn end(&mut self) {
        (self.is_readable, self.is_writable, self.has_ended) = (false, false, true);
    }

    /// Queues a unit. [`Self::flush`] writes it, together with others; when they are many, this does.
    pub(super) fn queue(&mut self, content: &[u8]) {
        carried::encode(content, &mut self.output);
        if !self.has_space() {
            self.flush();
        }
    }

    /// Writes what waits, as far as there is space.
    pub(super) fn flush(&mut self) {
        while self.is_writable && !self.output.is_empty() {
            let written = retry(|| self.connection.write(&self.output));
            self.note_written(written);
        }
        if self.is_writable {
            let flushed = retry(|| self.connection.flush().map(|()| 0));
            self.note_written(flushed);
        }
    }

    fn note_written(&mut self, written: io::Result<usize>) {
        match written {
            Ok(size) => drop(self.output.drain(..size)),
            Err(error) => {
                self.is_writable = false;
                // After a failure only the rest of the input can be read. Its end follows.
                self.is_readable |= error.kind() != ErrorKind::WouldBlock;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A link, its poll, and a server at the other end.
    struct Bench {
        link: CarriedLink,
        server: TcpStream,
        poll: mio::Poll,
    }

    impl Bench {
        /// Creates a link of a client that has read some bytes behind the reply.
        fn new(ahead: &[u8]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let at = listener.local_addr().expect("an address");
            let mut stream = ServerStream::clear(TcpStream::connect(at).expect("a server").into());
            stream.put_back(ahead);
            let (server, _) = listener.accept().expect("a client");
            server.set_read_timeout(Some(DEADLINE)).expect("a timeout");
            let poll = mio::Poll::new().expect("a poll");
            let link = CarriedLink::open((poll.registry(), mio::Token(0)), stream);
            Self { link: link.expect("a link"), server, poll }
        }

        fn wait(&mut self) {
            let mut events = mio::Events::with_capacity(4);
            self.poll.poll(&mut events, Some(DEADLINE)).expect("an event");
            assert!(!events.is_empty(), "nothing happens");
            events.iter().for_each(|event| self.link.note_event(event));
        }

        /// Receives until there are as many contents, or the end.
        fn contents(&mut self, count: usize) -> Vec<Vec<u8>> {
            let mut contents = Vec::new();
            while contents.len() < count && !self.link.has_ended() {
                let handle = |content: &[u8]| contents.push(content.to_vec());
                if let ReceiveOutcome::Drained = self.link.receive(handle)
                    && !self.link.has_ended()
                {
                    self.wait();
                }
            }
            contents
        }
    }

    fn units(contents: &[&[u8]]) -> Vec<u8> {
        let mut units = Vec::new();
        contents.iter().for_each(|content| carried::encode(content, &mut units));
        units
    }

    #[test]
    fn c1_units_come_in_any_pieces() {
        let contents = [&b"ann: hi"[..], &[b'x'; MAX_DOWN], b"bob: hi"];
        let bytes = units(&contents);
        for cut in [1, 2, 5, 9, 10, bytes.len() - 1] {
            let (ahead, rest) = bytes.split_at(cut);
            let mut bench = Bench::new(ahead);
            let mut server = bench.server.try_clone().expect("a socket");
            let rest = rest.to_vec();
            let writer = std::thread::spawn(move || {
                for piece in rest.chunks(1000) {
                    server.write_all(piece).expect("sent");
                }
            });
            assert_eq!(bench.contents(3), contents, "{cut}");
            writer.join().expect("a writer");
        }
    }

    #[test]
    fn c1_keep_alive_has_no_content() {
        let mut bench = Bench::new(&[]);
        bench.server.write_all(&units(&[b"", b"ann: hi", b""])).expect("sent");
        assert_eq!(bench.contents(1), [b"ann: hi"]);
        bench.link.queue(b"");
        bench.link.flush();
        let mut unit = [1; SIZE_FIELD];
        bench.server.read_exact(&mut unit).expect("a unit");
        assert_eq!(unit, [0, 0]);
    }

    #[test]
    fn c1_too_large_unit_ends_link() {
        let mut bench = Bench::new(&[]);
        let size = (MAX_DOWN as u16 + 1).to_be_bytes();
        bench.server.write_all(&[&units(&[b"hi"])[..], &size].concat()).expect("sent");
        assert_eq!(bench.contents(2), [b"hi"]);
        assert!(bench.link.has_ended() && !bench.link.has_work(true));
    }

    #[test]
    fn c2_end_comes_behind_last_unit() {
        let mut bench = Bench::new(&[]);
        bench.server.write_all(&units(&[b"bye"])).expect("sent");
        bench.server.shutdown(std::net::Shutdown::Both).expect("ended");
        assert_eq!(bench.contents(2), [b"bye"]);
        assert!(bench.link.has_ended() && !bench.link.has_space());
    }

    #[test]
    fn c3_full_connection_takes_no_more() {
        let mut bench = Bench::new(&[]);
        let content = [b'x'; 1000];
        let mut queued = 0;
        while bench.link.has_space() {
            bench.link.queue(&content);
            queued += 1;
        }
        assert!(!bench.link.has_work(false), "it waits for an event");
        let mut server = bench.server.try_clone().expect("a socket");
        let reader = std::thread::spawn(move || {
            let mut unit = [0; SIZE_FIELD + 1000];
            (0..queued).for_each(|_| server.read_exact(&mut unit).expect("a unit"));
        });
        while !bench.link.output.is_empty() {
            bench.wait();
            bench.link.flush();
        }
        assert!(bench.link.has_space());
        reader.join().expect("a reader");
    }
}
