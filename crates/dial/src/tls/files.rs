//! PEM files: authorities, certificate chains, keys; and the system's list of authorities.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{DialError, plain};

/// Bytes of a file at most. The lists of authorities of systems are below 1 MiB.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The system's authorities, read once in the life of the process: there are some 150, and reconnecting must not read them each time.
pub(super) fn system() -> &'static [CertificateDer<'static>] {
    static SYSTEM: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    // What could not be read leaves an authority unknown, which the error about the certificate then says.
    SYSTEM.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}

/// The certificates of a PEM file, or the one of a DER file; never none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let bytes = read(path)?;
    let refuse = |text: String| DialError::File {
        path: path.to_owned(),
        text,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(format!("its PEM cannot be read: {error}")))?;
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    // DER begins with a sequence longer than 127 bytes.
    if bytes.starts_with(&[0x30, 0x82]) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    Err(refuse(
        "it holds no certificate (no line -----BEGIN CERTIFICATE-----)".into(),
    ))
}

/// The first private key of a PEM file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, DialError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let holds = |label: &[u8]| bytes.windows(label.len()).any(|window| window == label);
        let text = if holds(b"ENCRYPTED") {
            "its key is locked by a password; unlock it with `openssl pkey -in FILE -out KEY`"
        } else {
            "it holds no private key (no line -----BEGIN PRIVATE KEY-----)"
        };
        DialError::File {
            path: path.to_owned(),
            text: text.into(),
        }
    })
}

fn read(path: &Path) -> Result<Vec<u8>, DialError> {
    let refuse = |text: String| DialError::File {
        path: path.to_owned(),
        text,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse(plain(&error)))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
