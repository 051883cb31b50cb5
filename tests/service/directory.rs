//! A place for the files of Unix sockets.

use std::path::PathBuf;

/// A directory for Unix sockets, which is removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(test: &str) -> Self {
        let name = format!("reactor-chat-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        Self(path)
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
