//! The identity that the server shows: a certificate, its key and the fingerprint of that key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, ServerConfig, SupportedCipherSuite};

use super::error::TlsError;
use super::own_key;
use crate::config::{CERTIFICATE_AGE, CERTIFICATE_VALIDITY, KeyFiles};
use crate::fingerprint::Fingerprint;

/// Time for which a new certificate is valid already, because clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

/// The protocol of HTTP over TLS (RFC 7301, section 6). Clients of TCRP name none.
const ALPN: &[u8] = b"http/1.1";

/// An identity, ready for new sessions.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) fingerprint: Fingerprint,
    /// The certificate, without those that lead to its root.
    pub(super) certificate: CertificateDer<'static>,
}

/// Origin of the identity.
#[derive(Debug)]
pub(super) enum Source {
    /// Files of the operator.
    Files(KeyFiles),
    /// A key of our own, and certificates that it signs itself.
    Own(OwnKey),
}

#[derive(Debug)]
pub(super) struct OwnKey {
    /// The directory that it is stored in.
    directory: Option<PathBuf>,
    key: KeyPair,
    /// The names and addresses of the server.
    names: Vec<String>,
    /// Date of the last certificate.
    made_at: SystemTime,
}

impl Source {
    pub(super) fn files(files: KeyFiles) -> Self {
        Self::Files(files)
    }

    /// Returns a key of our own: the stored one, or a new one.
    ///
    /// # Errors
    /// As [`own_key::load_or_make`].
    pub(super) fn own(directory: Option<PathBuf>, names: Vec<String>) -> Result<Self, TlsError> {
        let key = own_key::load_or_make(directory.as_deref())?;
        Ok(Self::Own(OwnKey { directory, key, names, made_at: UNIX_EPOCH }))
    }

    pub(super) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Returns true if a certificate of our own should be replaced: it is old, or the date was wrong when
    /// it was made.
    pub(super) fn is_old(&self, date: SystemTime) -> bool {
        match self {
            Self::Files(_) => false,
            Self::Own(own) => {
                date.duration_since(own.made_at).map_or(true, |age| age >= CERTIFICATE_AGE)
            }
        }
    }

    /// Prepares to read the files of the operator again, or reads our own key again. A key that is
    /// stored no more is stored again.
    ///
    /// # Errors
    /// As [`own_key::load`]. Also if a file of the operator is a pipe or a terminal: the call that opens or
    /// reads it would block the loop until somebody writes.
    pub(super) fn read_again(&mut self) -> Result<(), TlsError> {
        let own = match self {
            Self::Own(own) => own,
            Self::Files(files) => return check_regular(files),
        };
        match own_key::load(own.directory.as_deref())? {
            Some(key) => own.key = key,
            None => own_key::store(own.directory.as_deref(), &own.key),
        }
        Ok(())
    }

    /// Reads the operator's files, or makes a certificate.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub(super) fn load(&mut self, date: SystemTime) -> Result<Identity, TlsError> {
        match self {
            Self::Files(files) => identity(read_certified(files)?).map_err(TlsError::internal),
            Self::Own(own) => {
                let certified = own.certify(date).map_err(TlsError::internal)?;
                own.made_at = date;
                identity(certified).map_err(TlsError::internal)
            }
        }
    }
}

impl OwnKey {
    /// Makes a certificate that the key signs itself.
    pub(super) fn certify(
        &self,
        date: SystemTime,
    ) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
        let certificate = certificate_params(&self.names, date)?.self_signed(&self.key)?;
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let chain = vec![certificate.der().clone()];
        Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
    }
}

/// Returns the content of a certificate of this date.
fn certificate_params(
    names: &[String],
    date: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    // A machine without a clock begins at the epoch.
    let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    let begin = date_time_ymd(1970, 1, 1) + since_epoch.saturating_sub(CLOCK_SKEW);
    let mut params = CertificateParams::new(names)?;
    params.not_before = begin;
    params.not_after = begin + CERTIFICATE_VALIDITY;
    // An issuer must not use a number twice (RFC 5280, section 4.1.2.2).
    params.serial_number = Some(SerialNumber::from(since_epoch.as_secs()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "reactor-chat");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

pub(super) fn identity(certified: CertifiedKey) -> Result<Identity, rustls::Error> {
    // The keys of aws-lc-rs all know their public key.
    let public_key = certified.key.public_key().ok_or(InconsistentKeys::Unknown)?;
    let fingerprint = Fingerprint::of_key(&public_key);
    let certificate = certified.end_entity_cert()?.clone().into_owned();
    Ok(Identity { config: Arc::new(server_config(certified)?), fingerprint, certificate })
}

/// The cipher suites in the order of the server. A handshake with AES-256 needs SHA-384, for which many
/// machines have no instructions: it took a tenth of the time of a join.
const SUITES: [SupportedCipherSuite; 3] =
    [TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_256_GCM_SHA384];

fn server_config(certified: CertifiedKey) -> Result<ServerConfig, rustls::Error> {
    let provider =
        CryptoProvider { cipher_suites: SUITES.to_vec(), ..aws_lc_rs::default_provider() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

pub(super) fn check_regular(files: &KeyFiles) -> Result<(), TlsError> {
    // A file that is missing is reported when it is read.
    let is_special = |path: &Path| fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    let paths = [&files.certificate, &files.key];
    let special = paths.into_iter().find(|path| is_special(path));
    special.map_or(Ok(()), |path| {
        Err(TlsError::in_file(path, "no regular file, so it is read at the start only"))
    })
}

/// Reads a certificate and its key.
pub(super) fn read_certified(files: &KeyFiles) -> Result<CertifiedKey, TlsError> {
    let bad_certificate =
        |error: pem::Error| TlsError::in_file(&files.certificate, describe(error, "certificate"));
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(bad_certificate)?;
    if chain.is_empty() {
        return Err(bad_certificate(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| TlsError::in_file(&files.key, describe(error, "private key")))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let certificate = files.certificate.display();
                TlsError::in_file(&files.key, format_args!("not the key of {certificate}"))
            }
            rustls::Error::InvalidCertificate(error) => {
                let why = format_args!("no certificate that TLS can use ({error})");
                TlsError::in_file(&files.certificate, why)
            }
            error => TlsError::in_file(&files.key, error),
        },
    )
}

fn describe(error: pem::Error, item: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("no {item} in PEM form without a passphrase"),
        error => error.to_string(),
    }
}
