//! What a server is told about TLS.

use std::path::PathBuf;

/// TLS as configured. Without certificates there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificates. A client that names a host (SNI) gets the first that is for it, any other client the first of all.
    pub certificates: Vec<CertificateSource>,
    /// Whether clients are asked for certificates of their own.
    pub clients: ClientCertificates,
    /// Refuse clear text on every TCP address.
    pub required: bool,
    /// Milliseconds between two looks at the files. Default 2,000.
    pub reload_ms: u64,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            clients: ClientCertificates::Unasked,
            required: false,
            reload_ms: 2_000,
        }
    }
}

/// Where a certificate and its key come from.
#[derive(Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Two PEM files, which may be one: the chain, the server's own certificate first, and the key. They are read again when they change.
    Files {
        /// The chain.
        chain: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The same as texts, which stay as they are.
    Pem {
        /// The chain.
        chain: String,
        /// The key.
        key: String,
    },
}

impl std::fmt::Debug for CertificateSource {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files { chain, key } => f
                .debug_struct("Files")
                .field("chain", chain)
                .field("key", key)
                .finish(),
            Self::Pem { chain, .. } => f
                .debug_struct("Pem")
                .field("chain", chain)
                .finish_non_exhaustive(),
        }
    }
}

/// Whether clients are asked for certificates (mutual TLS).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Unasked,
    /// They are; who has none comes in without. One that the authorities of this PEM file do not vouch for is refused.
    Optional(PathBuf),
    /// They are; who has none is refused.
    Required(PathBuf),
}
