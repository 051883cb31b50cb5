//! The values of options: numbers, seconds, sizes, and words.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use getopts::Matches;

use super::UsageError;
use crate::protocol::frame::PROTOCOL_MAX_PAYLOAD;

/// The longest time that an option accepts, in seconds: a year. A longer one is a mistake, and sums with a
/// clock never overflow.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

/// Parses the permissions of a file, in octal digits as chmod(1) takes them.
pub(super) fn unix_mode(matches: &Matches) -> Result<Option<u32>, UsageError> {
    let Some(text) = matches.opt_str("unix-mode") else { return Ok(None) };
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => Err(UsageError(format!("--unix-mode must be octal from 0 to 777, not '{text}'"))),
    }
}

pub(super) fn number<T: FromStr + Bounded>(
    matches: &Matches,
    name: &str,
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        UsageError(format!("--{name} must be a whole number from 0 to {}, not '{text}'", T::MAX))
    })
}

/// Types of numeric options, with their maximum for the error message.
pub(super) trait Bounded: fmt::Display {
    const MAX: Self;
}

impl Bounded for u16 {
    const MAX: Self = u16::MAX;
}

impl Bounded for u32 {
    const MAX: Self = u32::MAX;
}

/// Parses the size of a ring. A ring has at least 6 KiB, so that the longest message fits. The limit is far
/// below the 4 GiB at which the offsets in a ring would wrap.
pub(super) fn room_history(matches: &Matches) -> Result<Option<usize>, UsageError> {
    const MIN: usize = 4096;
    const MAX: usize = 1 << 30;
    let Some(text) = matches.opt_str("room-history") else { return Ok(None) };
    match text.parse() {
        Ok(bytes) if (MIN..=MAX).contains(&bytes) => Ok(Some(bytes)),
        _ => Err(UsageError(format!(
            "--room-history must be from {MIN} to {MAX} bytes, not '{text}'"
        ))),
    }
}

pub(super) fn seconds(
    matches: &Matches,
    name: &str,
    default: Option<Duration>,
) -> Result<Option<Duration>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(default) };
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(seconds) if seconds <= MAX_SECONDS => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(UsageError(format!(
            "--{name} must be whole seconds from 0 (off) to {MAX_SECONDS}, not '{text}'"
        ))),
    }
}

/// Parses a limit, which 0 disables.
pub(super) fn limit<T>(
    matches: &Matches,
    name: &str,
    default: Option<T>,
) -> Result<Option<T>, UsageError>
where
    T: TryFrom<u32>,
{
    match number::<u32>(matches, name)? {
        None => Ok(default),
        Some(0) => Ok(None),
        // Every limit has at least 32 bits, so the conversion succeeds.
        Some(limit) => Ok(T::try_from(limit).ok()),
    }
}

pub(super) fn max_payload(matches: &Matches, default: usize) -> Result<usize, UsageError> {
    match number::<u32>(matches, "max-payload")?.map(|bytes| bytes as usize) {
        None => Ok(default),
        Some(0) => Ok(PROTOCOL_MAX_PAYLOAD),
        Some(bytes) if bytes <= PROTOCOL_MAX_PAYLOAD => Ok(bytes),
        Some(bytes) => Err(UsageError(format!(
            "--max-payload must be at most the protocol's {PROTOCOL_MAX_PAYLOAD} bytes, not {bytes}"
        ))),
    }
}

pub(super) fn choice<T: Copy, const N: usize>(
    matches: &Matches,
    name: &str,
    choices: [(&str, T); N],
) -> Result<Option<T>, UsageError> {
    let Some(text) = matches.opt_str(name) else { return Ok(None) };
    match choices.iter().find(|(word, _)| *word == text) {
        Some((_, choice)) => Ok(Some(*choice)),
        None => {
            let words = choices.map(|(word, _)| word).join(" or ");
            Err(UsageError(format!("--{name} must be {words}, not '{text}'")))
        }
    }
}
