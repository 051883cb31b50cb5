//! Reads and writes descriptors that another program may have made non-blocking.
//!
//! `O_NONBLOCK` belongs to the open file, not to the program. A shell, ssh or node may share our
//! pipe or terminal and set it at any time. So EAGAIN is no error but a reason to wait. For the
//! same reason we never set it ourselves.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The pause before a retry. poll(2) may report a terminal or a pipe as ready that has less space
/// than one write needs. Without a pause that would be a busy loop.
const PAUSE: Duration = Duration::from_millis(2);

/// Writes a part of the bytes. Waits until that is possible.
pub(crate) fn write_some(target: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match rustix::io::write(&target, bytes).map_err(io::Error::from) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(size) => return Ok(size),
            Err(error) => wait_if_not_ready(error, &target, PollFlags::OUT)?,
        }
    }
}

/// Writes all bytes, however long that takes.
pub(crate) fn write_all(target: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let size = write_some(&target, bytes)?;
        bytes = &bytes[size..];
    }
    Ok(())
}

/// Returns true if the descriptor is writable now or within `patience`.
pub(crate) fn takes_more(target: impl AsFd, patience: &Timespec) -> bool {
    let mut polled = [PollFd::new(&target, PollFlags::OUT)];
    // A signal only cuts the wait short.
    poll(&mut polled, Some(patience)).is_ok_and(|ready| ready > 0)
}

/// A reader that waits on EAGAIN.
pub(crate) struct BlockingReader<R>(pub(super) R);

impl<R: Read + AsFd> Read for BlockingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Ok(size) => return Ok(size),
                Err(error) => wait_if_not_ready(error, &self.0, PollFlags::IN)?,
            }
        }
    }
}

/// Waits until the descriptor is ready if the error is EAGAIN.
///
/// # Errors
/// Any other error.
fn wait_if_not_ready(error: io::Error, target: impl AsFd, what: PollFlags) -> io::Result<()> {
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock => {
            // The next attempt reports an error of this call too.
            let _ = poll(&mut [PollFd::new(&target, what)], None);
            thread::sleep(PAUSE);
            Ok(())
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn field_c_eagain_is_waited_out() {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).expect("an option");
        }
        let sent = vec![b'x'; 1 << 20];
        let size = sent.len();
        let writer = thread::spawn(move || write_all(&theirs, &sent));
        let mut got = Vec::new();
        BlockingReader(ours).read_to_end(&mut got).expect("read");
        assert_eq!(got.len(), size);
        writer.join().expect("a thread").expect("written");
    }
}
