//! A place for the files of Unix sockets.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::support::DEADLINE;

/// A directory for Unix sockets, which is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(test: &str) -> Self {
        let name = format!("reactor-chat-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    /// Connects to the socket in it.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.file()).expect("a listener");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream
    }

    /// Returns the path of a socket in it.
    pub fn file(&self) -> PathBuf {
        self.0.join("socket")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A test that fails may have removed it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
