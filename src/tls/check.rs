//! The check of certificate and key before a start. It makes no key and writes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::Level;
use rcgen::{PublicKeyData as _, date_time_ymd};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

use super::error::TlsError;
use super::identity::{check_regular, identity, read_certified};
use super::own_key;
use crate::config::{KeyFiles, TlsConfig, TlsMode};
use crate::fingerprint::Fingerprint;
use crate::sys;

/// Permissions of all users. The group may be one for certificates.
const ANYBODY: u32 = 0o007;

/// Time before the end of a certificate from which on it should have been renewed. Those that are valid for
/// 90 days are usually renewed 30 days before their end.
const NEAR_END: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Returns lines about the settings of TLS, with their levels.
pub(super) fn lines(settings: &TlsConfig, date: SystemTime) -> Vec<(Level, String)> {
    let checked = match (settings.mode, &settings.files) {
        (TlsMode::Off, _) => {
            return vec![(Level::Info, "off: requests over TCP are in cleartext".into())];
        }
        (_, Some(files)) => of_files(files, date),
        (_, None) => of_own_key(own_key::directory().as_deref()),
    };
    checked.unwrap_or_else(|error| vec![(Level::Error, format!("no certificate: {error}"))])
}

fn of_files(files: &KeyFiles, date: SystemTime) -> Result<Vec<(Level, String)>, TlsError> {
    // To read a pipe takes its content from the start, and may wait without end.
    if let Err(special) = check_regular(files) {
        return Ok(vec![(Level::Warn, special.to_string())]);
    }
    let certified = read_certified(files)?;
    let certificate = files.certificate.display();
    let dates = dates(&certified.cert[0]).map(|dates| describe_dates(dates, date));
    let fingerprint = identity(certified).map_err(TlsError::internal)?.fingerprint;
    let mut lines = vec![(Level::Info, format!("key {fingerprint}"))];
    let dates = dates.unwrap_or((Level::Warn, "has no dates that can be read".into()));
    lines.push((dates.0, format!("certificate {certificate} {}", dates.1)));
    lines.extend(open_to_anybody(&files.key));
    Ok(lines)
}

fn open_to_anybody(key: &Path) -> Option<(Level, String)> {
    let mode = fs::metadata(key).ok()?.permissions().mode() & 0o777;
    let why = "all users of this machine may use the key";
    let line = || format!("{}: {why} (mode {mode:04o}): chmod 640 it", key.display());
    (mode & ANYBODY != 0).then(|| (Level::Warn, line()))
}

fn of_own_key(directory: Option<&Path>) -> Result<Vec<(Level, String)>, TlsError> {
    let Some(directory) = directory else {
        let why = "none of STATE_DIRECTORY, XDG_STATE_HOME and HOME names a directory";
        return Ok(vec![(Level::Warn, format!("a new key at every start, because {why}"))]);
    };
    let path = own_key::path(directory);
    let path = path.display();
    if let Some(key) = own_key::load(Some(directory))? {
        let fingerprint = Fingerprint::of_key(&key.subject_public_key_info());
        return Ok(vec![(Level::Info, format!("key {fingerprint} in {path}"))]);
    }
    // The start makes the directories that are missing.
    let existing = directory.ancestors().find(|ancestor| ancestor.exists());
    Ok(vec![match sys::may_change(existing.unwrap_or(directory)) {
        Ok(()) => (Level::Info, format!("the start makes a key and stores it in {path}")),
        Err(error) => {
            (Level::Warn, format!("a new key at every start: cannot store it in {path} ({error})"))
        }
    }])
}

/// Returns the first and the last second of a certificate's validity, since the epoch. rustls compares the
/// dates before anything else, and its errors have them.
pub(super) fn dates(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let error_at = |seconds| {
        let (roots, time) = (RootCertStore::empty(), Duration::from_secs(seconds));
        let time = UnixTime::since_unix_epoch(time);
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], time, &[]).err()
    };
    let begin = match error_at(0)? {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            not_before.as_secs()
        }
        // It has been valid since the epoch.
        _ => 0,
    };
    match error_at(u64::MAX)? {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Some((begin, not_after.as_secs()))
        }
        _ => None,
    }
}

fn describe_dates((begin, end): (u64, u64), date: SystemTime) -> (Level, String) {
    let now = date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now < begin {
        (Level::Error, format!("is not valid before {}", day(begin)))
    } else if now > end {
        (Level::Error, format!("has expired on {}", day(end)))
    } else if end - now < NEAR_END.as_secs() {
        (Level::Warn, format!("is valid until {} only: is it renewed?", day(end)))
    } else {
        (Level::Info, format!("is valid until {}", day(end)))
    }
}

/// The last second of the year 9999, since the epoch. A certificate has no later date (RFC 5280, section
/// 4.1.2.5), and neither has the calendar of rcgen.
const LAST: u64 = 253_402_300_799;

fn day(seconds: u64) -> String {
    let time = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.min(LAST));
    time.date().to_string()
}
