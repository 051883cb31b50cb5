//! One TCP stream: bytes in, frames out, and an end in good order.
//!
//! It moves bytes and does not know what they mean. Readiness is remembered here: the poll tells of
//! an edge once, so a bit is set by an event and cleared only when a call would have blocked.
//!
//! An end has three steps, because closing a socket that still has unread input makes the kernel
//! send a reset, which overtakes the last reply (RFC 1122, 4.2.2.13): flush what is queued, shut
//! down the sending half, read on until the peer ends too. Deadlines are the owner's.

mod inbox;
mod outbox;

use std::io::{self, ErrorKind, Read, Write};

use inbox::Inbox;
use outbox::Outbox;

/// What a connection runs over.
pub trait Stream: Read + Write {
    /// Ends the sending half, so that the peer reads an end of stream.
    ///
    /// # Errors
    /// What shutdown(2) says.
    fn shutdown_write(&mut self) -> io::Result<()>;
}

impl Stream for mio::net::TcpStream {
    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(std::net::Shutdown::Write)
    }
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// So many bytes; there may be more.
    Filled(usize),
    /// Nothing for now: an event will tell.
    Drained,
    /// The peer has ended its half.
    Ended,
    /// The connection is gone.
    Failed(ErrorKind),
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Nothing is left to write.
    Flushed,
    /// The peer has to read first: an event will tell.
    Blocked,
    /// The connection is gone.
    Failed(ErrorKind),
}

/// Where a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Talking.
    Open,
    /// Nothing more is read for its meaning; what is queued is still written.
    Finishing,
    /// Our half is shut down; the peer's is read on.
    Lingering,
    /// Both halves have ended: there is nothing to lose.
    Over,
}

/// A TCP stream and its buffers.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    inbox: Inbox,
    outbox: Outbox,
    phase: Phase,
    readable: bool,
    writable: bool,
    peer_ended: bool,
}

impl<S: Stream> Connection<S> {
    /// A connection over a fresh stream. It counts as ready both ways until a call says otherwise:
    /// what came before it was registered has made its edge already.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            phase: Phase::Open,
            readable: true,
            writable: true,
            peer_ended: false,
        }
    }

    /// The stream, to register it.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// An event said that reading will not block.
    pub fn note_readable(&mut self) {
        self.readable = true;
    }

    /// An event said that writing will not block.
    pub fn note_writable(&mut self) {
        self.writable = true;
    }

    /// Reads once, through `scratch`, which bounds how much. In [`Connection::finish`]'s wake the
    /// bytes are dropped.
    pub fn fill(&mut self, scratch: &mut [u8]) -> ReadOutcome {
        if !self.readable || self.peer_ended {
            return ReadOutcome::Drained;
        }
        match retry_interrupted(|| self.stream.read(scratch)) {
            Ok(0) => {
                self.note_peer_end();
                ReadOutcome::Ended
            }
            Ok(size) => {
                if self.phase == Phase::Open {
                    self.inbox.extend(&scratch[..size]);
                }
                ReadOutcome::Filled(size)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                ReadOutcome::Drained
            }
            Err(error) => ReadOutcome::Failed(error.kind()),
        }
    }

    /// Whether reading may give more.
    pub fn is_readable(&self) -> bool {
        self.readable && !self.peer_ended
    }

    /// What was read and not consumed yet.
    pub fn input(&self) -> &[u8] {
        self.inbox.bytes()
    }

    /// Drops `size` bytes of the input: they are understood.
    pub fn consume(&mut self, size: usize) {
        self.inbox.consume(size);
    }

    /// Queues bytes that go out in one write of their own, if the socket takes them.
    pub fn send(&mut self, bytes: Vec<u8>) {
        if self.phase == Phase::Open {
            self.outbox.push(bytes);
        }
    }

    /// Bytes queued and not written.
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Bytes of memory for input and output, beside a little that each connection keeps.
    pub fn held_bytes(&self) -> usize {
        self.inbox.held_bytes() + self.outbox.held_bytes()
    }

    /// Writes what is queued, as far as the peer takes it, and goes on with the end if one was
    /// begun.
    pub fn flush(&mut self) -> WriteOutcome {
        while let Some(next) = self.outbox.front() {
            if !self.writable {
                return WriteOutcome::Blocked;
            }
            match retry_interrupted(|| self.stream.write(next)) {
                Ok(0) => return WriteOutcome::Failed(ErrorKind::WriteZero),
                Ok(size) => self.outbox.consume(size),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return WriteOutcome::Failed(error.kind()),
            }
        }
        match self.half_close() {
            Ok(()) => WriteOutcome::Flushed,
            Err(error) => WriteOutcome::Failed(error.kind()),
        }
    }

    /// Begins the end: what is queued will be flushed, then our half shut down.
    pub fn finish(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Finishing;
            self.inbox.clear();
        }
    }

    /// Whether requests are still read for their meaning.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the connection can be dropped without losing anything.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn half_close(&mut self) -> io::Result<()> {
        if self.phase != Phase::Finishing {
            return Ok(());
        }
        if self.peer_ended {
            // Closing the socket does the rest.
            self.phase = Phase::Over;
            return Ok(());
        }
        self.phase = Phase::Lingering;
        self.stream.shutdown_write()
    }

    fn note_peer_end(&mut self) {
        self.peer_ended = true;
        if self.phase == Phase::Lingering {
            self.phase = Phase::Over;
        }
    }
}

/// A signal may interrupt any call (signal(7)); these are simply made again.
fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// A stream that plays back what it is told and keeps what it gets.
    #[derive(Default)]
    struct Script {
        reads: VecDeque<io::Result<Vec<u8>>>,
        /// How many bytes each write takes; an empty list takes nothing.
        writes: VecDeque<usize>,
        written: Vec<u8>,
        write_calls: usize,
        half_closed: bool,
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.reads.pop_front().unwrap_or(Err(ErrorKind::WouldBlock.into()))?;
            buffer[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_calls += 1;
            let size = self.writes.pop_front().ok_or(ErrorKind::WouldBlock)?.min(bytes.len());
            self.written.extend_from_slice(&bytes[..size]);
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Script {
        fn shutdown_write(&mut self) -> io::Result<()> {
            self.half_closed = true;
            Ok(())
        }
    }

    fn reading(reads: Vec<io::Result<Vec<u8>>>) -> Connection<Script> {
        Connection::new(Script { reads: reads.into(), ..Script::default() })
    }

    fn writing(writes: &[usize]) -> Connection<Script> {
        Connection::new(Script { writes: writes.iter().copied().collect(), ..Script::default() })
    }

    #[test]
    fn l1_only_would_block_ends_readiness() {
        let mut connection = reading(vec![Ok(b"ab".to_vec()), Ok(b"c".to_vec())]);
        let mut scratch = [0; 8];
        assert_eq!(connection.fill(&mut scratch), ReadOutcome::Filled(2));
        assert!(connection.is_readable(), "a part was read: there may be more");
        assert_eq!(connection.fill(&mut scratch), ReadOutcome::Filled(1));
        assert_eq!(connection.fill(&mut scratch), ReadOutcome::Drained);
        assert!(!connection.is_readable());
        assert_eq!(connection.input(), b"abc");
    }

    #[test]
    fn l16_an_interrupted_call_is_made_again() {
        let interrupted = || Err(ErrorKind::Interrupted.into());
        let mut connection = reading(vec![interrupted(), interrupted(), Ok(b"a".to_vec())]);
        assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Filled(1));
    }

    #[test]
    fn l6_a_reset_is_an_outcome_of_one_connection() {
        let mut connection = reading(vec![Err(ErrorKind::ConnectionReset.into())]);
        let outcome = connection.fill(&mut [0; 8]);
        assert_eq!(outcome, ReadOutcome::Failed(ErrorKind::ConnectionReset));
    }

    #[test]
    fn l10_a_partial_write_resumes_at_the_right_byte() {
        let frames = [b"first frame".to_vec(), b"second".to_vec()];
        let all: Vec<u8> = frames.concat();
        for step in 1..=all.len() {
            let mut connection = writing(&[]);
            for frame in &frames {
                connection.send(frame.clone());
            }
            let mut blocks = 0;
            while connection.flush() == WriteOutcome::Blocked {
                blocks += 1;
                connection.stream.writes.push_back(step);
                connection.note_writable();
            }
            assert_eq!(connection.stream.written, all, "{step} bytes a write");
            assert!(blocks > 0 && connection.unsent() == 0);
        }
    }

    #[test]
    fn l10_nothing_is_written_before_the_socket_is_writable() {
        let mut connection = writing(&[]);
        connection.send(b"x".to_vec());
        assert_eq!(connection.flush(), WriteOutcome::Blocked);
        assert_eq!(connection.flush(), WriteOutcome::Blocked);
        assert_eq!(connection.stream.write_calls, 1, "no call while it would block");
    }

    #[test]
    fn w9_each_frame_has_a_write_of_its_own() {
        let mut connection = writing(&[usize::MAX, usize::MAX]);
        connection.send(b"acknowledgement".to_vec());
        connection.send(b"completion".to_vec());
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        assert_eq!(connection.stream.write_calls, 2);
    }

    #[test]
    fn l13_w16_an_end_flushes_then_half_closes_then_reads_to_the_peers_end() {
        let mut connection = writing(&[]);
        connection.send(b"last".to_vec());
        connection.finish();
        assert_eq!(connection.flush(), WriteOutcome::Blocked);
        assert!(!connection.stream.half_closed, "not before the reply is out");
        connection.stream.writes.push_back(99);
        connection.note_writable();
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        assert!(connection.stream.half_closed && !connection.is_over());
        connection.stream.reads = [Ok(b"late".to_vec()), Ok(vec![])].into();
        assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Filled(4));
        assert_eq!(connection.input(), b"", "dropped");
        assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Ended);
        assert!(connection.is_over());
    }

    #[test]
    fn w16_a_peer_that_has_ended_is_not_waited_for() {
        let mut connection = reading(vec![Ok(vec![])]);
        assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Ended);
        connection.finish();
        assert_eq!(connection.flush(), WriteOutcome::Flushed);
        assert!(connection.is_over());
    }
}
