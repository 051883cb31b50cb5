//! Tests of the space on a connection that carries a member.

use super::*;
use std::io::{self, ErrorKind, Write};

use crate::connection::Received;
use crate::fanout::{Audience, Extent, NO_TAG};
use crate::ids::Key;
use crate::protocol::carried::SIZE_FIELD;

const LIMIT: usize = 64 * 1024;

/// A transport whose peer reads everything or nothing.
struct Line {
    is_read: bool,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_read { Ok(bytes.len()) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Line {
    fn receive(&mut self, _: &mut [u8]) -> io::Result<Received> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stage {
    carried: Carried,
    connection: Connection<Line>,
    pool: BufferPool,
}

impl Stage {
    fn new(is_read: bool) -> Self {
        let member = MemberId(Key { slot: 1, generation: 0 });
        Self {
            carried: Carried::new(member, Framing::Units, Instant::now()),
            connection: Connection::new(Line { is_read }),
            pool: BufferPool::default(),
        }
    }

    /// Appends entries of one size. Returns the receipt and the number of entries that are left.
    fn append(&mut self, size: usize, count: u32, is_tagged: bool) -> (Receipt, u32) {
        let ends = (1..=count).map(|number| number * size as u32);
        let entries: Vec<Extent> =
            ends.map(|end| Extent { end, audience: Audience::All }).collect();
        let tag = if is_tagged { *b"tag!" } else { NO_TAG };
        let member = self.carried.member();
        let mut share = Share { member, cursor: 0, next: 0, until: count, tag };
        let bytes = vec![b'x'; size * count as usize];
        let job = Job { bytes: &bytes, entries: &entries, to: &mut [], is_tagged };
        let Self { carried, connection, pool } = self;
        let receipt = carried.append(connection, pool, (&job, &mut share), (9999, LIMIT));
        (receipt, share.until - share.next)
    }
}

#[test]
fn c3_full_connection_keeps_its_limit() {
    let mut stage = Stage::new(false);
    let (receipt, left) = stage.append(1_000, 100, false);
    assert_eq!((receipt.sent, receipt.dropped, left), (65, 35, 0), "the rest is dropped");
    assert!(stage.connection.unsent() <= LIMIT && !receipt.blocked);
    assert!(stage.connection.held_bytes() <= 2 * LIMIT);
    let (receipt, _) = stage.append(100, 1, false);
    assert_eq!(receipt.sent, 1, "but a unit that has space is not");
}

#[test]
fn c3_reader_gets_a_long_burst() {
    for is_tagged in [false, true] {
        let mut stage = Stage::new(true);
        let (receipt, left) = stage.append(1_000, 1_000, is_tagged);
        assert_eq!((receipt.sent, receipt.dropped, left), (1_000, 0, 0));
        assert!(!receipt.blocked && stage.connection.held_bytes() <= 2 * LIMIT);
    }
}

#[test]
fn c3_stream_waits_and_leaves_a_reserve() {
    let mut stage = Stage::new(false);
    let (receipt, left) = stage.append(1_150, 100, true);
    assert_eq!((receipt.sent as u32, receipt.dropped), (100 - left, 0), "the rest waits");
    assert!(receipt.blocked && left > 0);
    let (aside, left) = stage.append(1_150, 1, false);
    assert_eq!((aside.sent, left), (1, 0), "an answer has space");
}

#[test]
fn c3_full_connection_resumes_once() {
    let mut stage = Stage::new(false);
    stage.append(8, 2, true);
    assert_eq!(stage.connection.unsent(), 2 * (SIZE_FIELD + 8));
    assert!(!stage.carried.take_space(&stage.connection, LIMIT), "it was never full");
    stage.append(1_150, 100, true);
    assert!(!stage.carried.take_space(&stage.connection, LIMIT), "nothing was read");
    let empty = Connection::new(Line { is_read: false });
    assert!(stage.carried.take_space(&empty, LIMIT));
    assert!(!stage.carried.take_space(&empty, LIMIT), "once");
}
