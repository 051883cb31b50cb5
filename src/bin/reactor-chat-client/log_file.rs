//! The log (`--log`): the room's messages and notices in a file, one a line as in a pipe, with date
//! and time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use jiff::Zoned;

use crate::sanitize::plain;

/// The timestamp before a line. Lines from before we joined have blanks instead.
const TIME: &str = "%Y-%m-%d %H:%M:%S";
const NO_TIME: &str = "                   ";

/// The file, and the lines of its next write.
pub(crate) struct LogFile {
    path: String,
    /// `None` after an error, when the file may end with half a line.
    file: Option<File>,
    text: String,
    is_now: bool,
}

impl LogFile {
    /// Opens the file for appending. A new file is readable by its owner only.
    ///
    /// # Errors
    /// The file is not writable.
    pub(crate) fn open(path: &str) -> io::Result<Self> {
        // This makes a pipe without a reader an error, and keeps a full pipe from blocking us.
        let flags = libc::O_NONBLOCK;
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags)
            .open(path)?;
        Ok(Self { path: plain(path), file: Some(file), text: String::new(), is_now: true })
    }

    /// Turns the timestamps of the following lines on or off. Lines from before we joined have
    /// none.
    pub(crate) fn show_time(&mut self, is_now: bool) {
        self.is_now = is_now;
    }

    pub(crate) fn add_message(&mut self, name: &[u8], message: &[u8]) {
        self.add(&[name, b": ", message].concat());
    }

    pub(crate) fn add_notice(&mut self, text: &[u8]) {
        self.add(&[b"* ", text].concat());
    }

    /// Adds a line of the room.
    pub(crate) fn add(&mut self, line: &[u8]) {
        if self.file.is_none() {
            return;
        }
        let time = match self.is_now {
            true => Zoned::now().strftime(TIME).to_string(),
            false => NO_TIME.into(),
        };
        self.text.push_str(&format!("{time} {}\n", plain(&String::from_utf8_lossy(line))));
    }

    /// Writes the lines. Returns a text for the user if the file takes no more. The chat goes on
    /// without it.
    pub(crate) fn flush(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.text);
        let written = self.file.as_mut()?.write_all(text.as_bytes());
        written.err().map(|error| {
            self.file = None;
            format!("nothing more is written to {}: {error}", self.path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_m_full_disk_is_reported_once() {
        let mut log = LogFile::open("/dev/full").expect("a device");
        log.add_notice(b"bob joined");
        assert!(log.flush().is_some_and(|why| why.contains("/dev/full: No space left")));
        log.add_message(b"bob", b"hi");
        assert_eq!((log.flush(), &*log.text), (None, ""));
    }
}
