//! Files that the programs keep from one run to the next: their directory, and how they are
//! replaced.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

/// The name of our directory below the one for all programs.
const NAME: &str = "reactor-chat";

/// Returns the user's directory for our state: `$XDG_STATE_HOME/reactor-chat`, else
/// `~/.local/state/reactor-chat` (XDG Base Directory Specification). `variable` returns a variable
/// of the environment. Returns `None` without a home directory.
pub fn directory(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification ignores relative paths.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let states = absolute("XDG_STATE_HOME");
    Some(states.or_else(|| Some(absolute("HOME")?.join(".local/state")))?.join(NAME))
}

/// Replaces a file by what `change` makes of its content. A file that does not exist counts as empty.
/// The directory is locked meanwhile, so that processes that do this at once lose no change.
///
/// # Errors
/// The file cannot be read, or an error of [`replace`].
pub fn update(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<()> {
    let lock = File::open(directory_of(path)?)?;
    lock.lock()?;
    let content = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        content => content?,
    };
    replace(path, &change(&content))
}

/// Replaces a file as a whole, and creates its directory if it is missing. Only the owner can read
/// the file (mode 0600). After a crash the file has either the old content or the new one.
///
/// # Errors
/// An operation on the directory or the temporary file fails. The old file is unchanged then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = directory_of(path)?;
    // Two processes never share a temporary file. A file that a crash has left is overwritten.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", process::id()));
    let temporary = PathBuf::from(name);
    let replaced = write(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // It may not exist.
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    // The new name is durable once its directory is (fsync(2)).
    File::open(directory)?.sync_all()
}

/// Returns the directory of a file. Creates it if it is missing.
fn directory_of(path: &Path) -> io::Result<&Path> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    Ok(directory)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // A file that exists would keep its mode.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn directory_with(known: &[(&str, &str)]) -> Option<PathBuf> {
        let value = |name: &str| known.iter().find(|(known, _)| *known == name);
        directory(&|name| value(name).map(|(_, value)| value.into()))
    }

    #[test]
    fn e3_state_directory_follows_xdg() {
        let home = ("HOME", "/home/a");
        let usual = Some("/home/a/.local/state/reactor-chat".into());
        assert_eq!(directory_with(&[home]), usual);
        assert_eq!(directory_with(&[home, ("XDG_STATE_HOME", "relative")]), usual);
        assert_eq!(directory_with(&[home, ("XDG_STATE_HOME", "")]), usual);
        let other = directory_with(&[home, ("XDG_STATE_HOME", "/state")]);
        assert_eq!(other, Some("/state/reactor-chat".into()));
        assert_eq!(directory_with(&[]), None);
    }

    #[test]
    fn e3_file_is_private_and_replaced() {
        let root = std::env::temp_dir().join(format!("reactor-chat-state-{}", process::id()));
        let path = root.join("a/b/file");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("a file"), content);
        }
        let mode = |path: &Path| fs::metadata(path).expect("an inode").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&root.join("a/b"))), (0o600, 0o700));
        // The temporary file is gone.
        assert_eq!(fs::read_dir(root.join("a/b")).expect("a directory").count(), 1);
        // A directory cannot be replaced by a file.
        assert!(replace(&root.join("a"), b"").is_err());
        assert_eq!(fs::read_dir(&root).expect("a directory").count(), 1);
        fs::remove_dir_all(&root).expect("removed");
    }
}
