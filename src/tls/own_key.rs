//! The key that the server makes at its first start, and keeps from one run to the next.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::KeyPair;

use super::error::TlsError;
use crate::state_file;

/// The name of the file in the state directory.
const NAME: &str = "key.pem";

/// Permissions of anybody but the owner.
const OTHERS: u32 = 0o077;

/// Returns the server's directory for its state, as systemd(1) or else the user has it.
pub(super) fn directory() -> Option<PathBuf> {
    directory_by(&|name| env::var_os(name))
}

fn directory_by(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // systemd.exec(5): several directories are separated by colons. The first one is ours.
    let of_unit = variable("STATE_DIRECTORY").and_then(|list| env::split_paths(&list).next());
    of_unit.filter(|path| path.is_absolute()).or_else(|| state_file::directory(variable))
}

/// Returns the path of the key in a directory.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Reads the stored key, or makes and stores one. If it cannot be stored, that is reported, and the key
/// is for this run.
///
/// # Errors
/// If a key is stored and cannot be used. Another key in its place would look like an attack to every
/// client, so only the operator may decide that.
pub(super) fn load_or_make(directory: Option<&Path>) -> Result<KeyPair, TlsError> {
    if let Some(key) = load(directory)? {
        return Ok(key);
    }
    let key = KeyPair::generate().map_err(TlsError::internal)?;
    store(directory, &key);
    // Another server may have stored one since. Clients see one key, whichever server they meet.
    Ok(load(directory)?.unwrap_or(key))
}

/// Returns the stored key, or `None` if there is none. A directory that cannot be entered holds none: it
/// may be the home directory of another user.
///
/// # Errors
/// As [`load_or_make`].
pub(super) fn load(directory: Option<&Path>) -> Result<Option<KeyPair>, TlsError> {
    let Some(path) = directory.map(path) else { return Ok(None) };
    let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
    let refused = |why: &str| TlsError::in_file(&path, why);
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_file() {
        return Err(refused("the server's key is not a regular file"));
    }
    if mode & OTHERS != 0 {
        return Err(TlsError::in_file(
            &path,
            format_args!(
                "others may use the server's key (mode {mode:04o}): chmod 600 it, or remove it for \
                 a new one"
            ),
        ));
    }
    let text = fs::read_to_string(&path).map_err(|error| TlsError::in_file(&path, error))?;
    let key = KeyPair::from_pem(&text);
    key.map(Some)
        .map_err(|_| refused("the server's key is damaged: restore it, or remove it for a new one"))
}

/// Stores a key, unless another server has stored one, or reports why it cannot.
pub(super) fn store(directory: Option<&Path>, key: &KeyPair) {
    let why = "clients will see another fingerprint after a restart";
    let Some(path) = directory.map(path) else {
        return log::warn!(
            "the server's key is not stored, because none of STATE_DIRECTORY, XDG_STATE_HOME and \
             HOME names a directory: {why}"
        );
    };
    let keep_stored = |stored: &[u8]| match stored.is_empty() {
        true => key.serialize_pem().into_bytes(),
        false => stored.to_vec(),
    };
    match state_file::update(&path, keep_stored) {
        Ok(()) => log::info!("the server's new key is stored in {}", path.display()),
        Err(error) => {
            log::warn!("the server's key cannot be stored in {} ({error}): {why}", path.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_systemd_names_the_directory_first() {
        let by = |known: &[(&str, &str)]| {
            let value = |name: &str| known.iter().find(|(known, _)| *known == name);
            directory_by(&|name| value(name).map(|(_, value)| value.into()))
        };
        let home = ("HOME", "/home/a");
        let users = Some("/home/a/.local/state/reactor-chat".into());
        assert_eq!(
            by(&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), home]),
            Some("/var/lib/a".into())
        );
        assert_eq!(by(&[("STATE_DIRECTORY", ""), home]), users);
        assert_eq!(by(&[home]), users);
        assert_eq!(by(&[]), None);
    }

    #[test]
    fn e3_servers_at_once_share_a_key() {
        let directory = env::temp_dir().join(format!("reactor-chat-keys-{}", std::process::id()));
        let start = std::sync::Barrier::new(4);
        let load = || {
            start.wait();
            load_or_make(Some(&directory)).expect("a key").serialize_der()
        };
        let keys = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(load));
            threads.map(|thread| thread.join().expect("no panic"))
        });
        fs::remove_dir_all(&directory).expect("removed");
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}
