//! The connection over a transport that plays a script.

use super::*;
use std::collections::VecDeque;
use std::io::Write;

/// A transport that plays a script and records what is written.
#[derive(Default)]
struct Script {
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// Bytes that each write takes; an empty list takes nothing.
    writes: VecDeque<usize>,
    written: Vec<u8>,
    write_calls: usize,
    half_closed: bool,
    /// True if the transport cannot send bytes that it holds back.
    holds_back: bool,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_calls += 1;
        let size = self.writes.pop_front().ok_or(ErrorKind::WouldBlock)?.min(bytes.len());
        self.written.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.holds_back { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Transport for Script {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let bytes = self.reads.pop_front().unwrap_or(Err(ErrorKind::WouldBlock.into()))?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(if bytes.is_empty() { Received::End } else { Received::Bytes(bytes.len()) })
    }

    fn held_back(&self) -> usize {
        usize::from(self.holds_back)
    }

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
    assert!(connection.is_readable(), "after a partial read there may be more");
    assert_eq!(connection.fill(&mut scratch), ReadOutcome::Filled(1));
    assert_eq!(connection.fill(&mut scratch), ReadOutcome::Empty);
    assert!(!connection.is_readable());
    assert_eq!(connection.input(), b"abc");
}

#[test]
fn l16_interrupted_call_is_repeated() {
    let interrupted = || Err(ErrorKind::Interrupted.into());
    let mut connection = reading(vec![interrupted(), interrupted(), Ok(b"a".to_vec())]);
    assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Filled(1));
}

#[test]
fn l6_reset_is_one_connections_outcome() {
    let mut connection = reading(vec![Err(ErrorKind::ConnectionReset.into())]);
    let outcome = connection.fill(&mut [0; 8]);
    assert_eq!(outcome, ReadOutcome::Failed(ErrorKind::ConnectionReset));
}

#[test]
fn l10_partial_write_resumes_at_its_byte() {
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
            connection.transport.writes.push_back(step);
            connection.note_writable();
        }
        assert_eq!(connection.transport.written, all, "{step} bytes a write");
        assert!(blocks > 0 && connection.unsent() == 0);
    }
}

#[test]
fn l10_no_write_until_writable() {
    let mut connection = writing(&[]);
    connection.send(b"x".to_vec());
    assert_eq!(connection.flush(), WriteOutcome::Blocked);
    assert_eq!(connection.flush(), WriteOutcome::Blocked);
    assert_eq!(connection.transport.write_calls, 1, "no call while it would block");
}

#[test]
fn w9_each_frame_has_its_own_write() {
    let mut connection = writing(&[usize::MAX, usize::MAX]);
    connection.send(b"acknowledgement".to_vec());
    connection.send(b"completion".to_vec());
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert_eq!(connection.transport.write_calls, 2);
}

#[test]
fn c4_units_share_writes() {
    let (mut connection, mut pool) = (writing(&[usize::MAX; 9]), BufferPool::default());
    connection.send(b"completion".to_vec());
    for _ in 0..14 {
        connection.append(&mut pool, |out| out.extend_from_slice(&[b'u'; 66]));
    }
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert_eq!(connection.transport.write_calls, 2, "the frame, then all units");
    connection.release(&mut pool);
    assert_eq!((connection.unsent(), connection.held_bytes()), (0, 0));
}

#[test]
fn l13_w16_end_is_orderly() {
    let mut connection = writing(&[]);
    connection.send(b"last".to_vec());
    connection.finish();
    assert_eq!(connection.flush(), WriteOutcome::Blocked);
    assert!(!connection.transport.half_closed, "not before the reply is out");
    connection.transport.writes.push_back(99);
    connection.note_writable();
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert!(connection.transport.half_closed && !connection.is_over());
    connection.transport.reads = [Ok(b"late".to_vec()), Ok(vec![])].into();
    assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Filled(4));
    assert_eq!(connection.input(), b"", "dropped");
    assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Ended);
    assert!(connection.is_over());
}

#[test]
fn w16_ended_peer_is_not_awaited() {
    let mut connection = reading(vec![Ok(vec![])]);
    assert_eq!(connection.fill(&mut [0; 8]), ReadOutcome::Ended);
    connection.finish();
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert!(connection.is_over());
}

#[test]
fn flush_waits_for_the_transport() {
    let mut connection = writing(&[usize::MAX]);
    connection.send(b"x".to_vec());
    connection.finish();
    connection.transport.holds_back = true;
    assert_eq!(connection.flush(), WriteOutcome::Blocked);
    assert_eq!(connection.unsent(), 1, "its deadline is that of an unread reply");
    assert!(!connection.transport.half_closed, "not before all bytes are out");
    connection.transport.holds_back = false;
    assert!(connection.note_writable(), "the flush has to be repeated");
    assert_eq!(connection.flush(), WriteOutcome::Flushed);
    assert!(connection.transport.half_closed && !connection.note_writable());
}
