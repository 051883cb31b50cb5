//! The process: its limit of open descriptors, its permissions, its clock and the signals that it ignores.

use std::ffi::CString;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use libc::c_int;

/// Raises this process's limit of open descriptors to its hard limit, and returns that.
///
/// # Errors
/// If getrlimit(2) or setrlimit(2) fails.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: getrlimit writes a whole rlimit to the pointer that it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: getrlimit has succeeded, so the limit is written.
    let mut limit = unsafe { limit.assume_init() };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: setrlimit reads the rlimit that it is given, which lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// Returns the time of the monotonic clock. std's `Instant` does not reveal it.
pub fn monotonic_time() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: clock_gettime writes a whole timespec to the pointer that it is given.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) } < 0 {
        // Every Linux has this clock.
        return Duration::ZERO;
    }
    // SAFETY: the call has succeeded, so the time is written.
    let time = unsafe { time.assume_init() };
    // The kernel's seconds are never negative, and its nanoseconds are below a second.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs `work` with a file mode creation mask, and restores the old one. The mask belongs to the whole process
/// (umask(2)), so other threads must not make files meanwhile.
pub fn with_umask<T>(mask: u32, work: impl FnOnce() -> T) -> T {
    // SAFETY: umask takes and returns an integer, and cannot fail.
    let before = unsafe { libc::umask(mask) };
    let result = work();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    result
}

/// Checks that this process may make, replace and remove files in a directory. Writes nothing.
///
/// # Errors
/// If it may not, or if the file system is read-only, or there is no such directory (access(2)).
pub fn may_change(directory: &Path) -> io::Result<()> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mode = libc::W_OK | libc::X_OK;
    // SAFETY: the path ends with a zero byte and lives through the call.
    let result = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns the user id that the kernel checks permissions with.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid(2) has no arguments, and always succeeds.
    unsafe { libc::geteuid() }
}

/// Ignores a signal from now on.
///
/// # Errors
/// If sigaction(2) fails.
pub fn ignore_signal(signal: c_int) -> io::Result<()> {
    // SAFETY: a sigaction consists of integers, a set of signals and an optional function, for which zero
    // is a valid value: no flags, no signals, no function.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: sigaction reads the action, which lives through the call, and returns no old action. An
    // ignored signal runs no code of ours.
    let done = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Returns true if a signal is ignored. A process can inherit that.
///
/// # Errors
/// If sigaction(2) fails.
pub fn is_ignored(signal: c_int) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action, sigaction writes the whole old one to the pointer that it is given.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction has succeeded, so the action is written.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}
