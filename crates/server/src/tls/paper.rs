//! One certificate with its key: read, checked, and what it says.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::config::CertificateSource;
use super::error::TlsError;

/// Bytes of a file at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a certificate of the server's own says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its file, or what stands for it.
    pub file: String,
    /// The hosts and addresses that it is for.
    pub names: Vec<String>,
    /// Until when it is valid, for example `2026-11-21`.
    pub until: String,
    /// The same in seconds since 1970.
    pub until_unix_s: i64,
    /// The SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` writes it.
    pub fingerprint: String,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub(super) struct Paper {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: CertificateFacts,
}

impl Paper {
    /// Reads and checks one.
    pub(super) fn read(
        source: &CertificateSource,
        provider: &CryptoProvider,
        now_unix_s: i64,
    ) -> Result<Self, TlsError> {
        let (chain_name, key_name) = names_of(source);
        let (chain, key) = match source {
            CertificateSource::Files { chain, key } => (read(chain)?, read(key)?),
            CertificateSource::Pem { chain, key } => {
                (chain.clone().into_bytes(), key.clone().into_bytes())
            }
        };
        let chain = certificates(&chain, &chain_name)?;
        let key = private_key(&key, &key_name)?;
        let key = fit(&chain, &key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => match owner(&chain, &key, provider) {
                Some(number) => TlsError::File {
                    file: chain_name.clone(),
                    text: format!(
                        "its order is wrong: the key is that of certificate {number} in it; the server's own comes first, then whoever vouches for it"
                    ),
                },
                None => TlsError::WrongKey {
                    chain: chain_name.clone(),
                    key: key_name,
                },
            },
            // rustls has only words about its attempts for it.
            rustls::Error::General(_) => TlsError::File {
                file: key_name,
                text: "its key is of a kind or a size that is not spoken here; use ECDSA with P-256, P-384 or P-521, Ed25519, or RSA with 2048 bits or more".into(),
            },
            error => TlsError::Other {
                text: format!("the key in {key_name} cannot be used: {error}"),
            },
        })?;
        let facts = facts(&chain, &chain_name, now_unix_s)?;
        Ok(Self {
            key: Arc::new(key),
            facts,
        })
    }
}

/// A chain with its key, where they belong together.
fn fit(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain.to_vec(), key.clone_key(), provider)
}

/// The number, from 2 on, of the certificate that the key is of.
fn owner(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Option<usize> {
    let mut numbered = (1..).zip(chain).skip(1);
    let is_of_key =
        |one: &CertificateDer<'static>| fit(std::slice::from_ref(one), key, provider).is_ok();
    numbered.find_map(|(number, one)| is_of_key(one).then_some(number))
}

fn names_of(source: &CertificateSource) -> (String, String) {
    match source {
        CertificateSource::Files { chain, key } => {
            (chain.display().to_string(), key.display().to_string())
        }
        CertificateSource::Pem { .. } => ("the given text".into(), "the given text".into()),
    }
}

/// Reads a file of bounded size.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let refuse = |text: String| TlsError::File {
        file: path.display().to_string(),
        text,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            refuse(match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such file".into(),
                std::io::ErrorKind::PermissionDenied => "this user may not read it".into(),
                _ => error.to_string(),
            })
        })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The certificates of a PEM text; never none.
pub(super) fn certificates(
    bytes: &[u8],
    file: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |text: String| TlsError::File {
        file: file.to_owned(),
        text,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(what_is_wrong(&error)))?;
    if certificates.is_empty() {
        return Err(refuse(
            "it holds no certificate (no line -----BEGIN CERTIFICATE-----)".into(),
        ));
    }
    Ok(certificates)
}

/// What is wrong with a PEM text. The library would show bytes as numbers.
fn what_is_wrong(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "a section has no line -----END, so the file is cut off".into()
        }
        pem::Error::IllegalSectionStart { .. } => "a line -----BEGIN is not whole".into(),
        error => format!("its PEM cannot be read: {error}"),
    }
}

fn private_key(bytes: &[u8], file: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        let holds = |label: &[u8]| bytes.windows(label.len()).any(|window| window == label);
        let text = if holds(b"ENCRYPTED") {
            "its key is locked by a password; unlock it with `openssl pkey -in FILE -out KEY`"
        } else {
            "it holds no private key (no line -----BEGIN PRIVATE KEY-----); name it with `tls.key` (--tls-key FILE)"
        };
        TlsError::File {
            file: file.to_owned(),
            text: text.into(),
        }
    })
}

fn facts(
    chain: &[CertificateDer<'_>],
    file: &str,
    now_unix_s: i64,
) -> Result<CertificateFacts, TlsError> {
    let unreadable = || TlsError::File {
        file: file.to_owned(),
        text: "its first certificate cannot be read".into(),
    };
    let own = chain.first().ok_or_else(unreadable)?;
    let (_, certificate) = X509Certificate::from_der(own).map_err(|_| unreadable())?;
    let validity = certificate.validity();
    let not_valid = |text: String| TlsError::NotValid {
        chain: file.to_owned(),
        text,
    };
    let until = day(&validity.not_after);
    if validity.not_after.timestamp() < now_unix_s {
        return Err(not_valid(format!("expired on {until}; renew it")));
    }
    if validity.not_before.timestamp() > now_unix_s {
        let from = validity.not_before.to_datetime();
        let (hour, minute, second) = from.to_hms();
        return Err(not_valid(format!(
            "is valid from {} {hour:02}:{minute:02}:{second:02} UTC on, and it is not that time yet; look at this machine's clock",
            day(&validity.not_before)
        )));
    }
    let names = names(&certificate);
    if names.is_empty() {
        return Err(TlsError::NoName {
            chain: file.to_owned(),
        });
    }
    Ok(CertificateFacts {
        file: file.to_owned(),
        names,
        until,
        until_unix_s: validity.not_after.timestamp(),
        fingerprint: fingerprint(own),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => match **bytes {
                [a, b, c, d] => Some(IpAddr::from([a, b, c, d]).to_string()),
                _ => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| IpAddr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect()
}

fn day(time: &ASN1Time) -> String {
    let moment = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}",
        moment.year(),
        u8::from(moment.month()),
        moment.day()
    )
}

fn fingerprint(der: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.join(":")
}
