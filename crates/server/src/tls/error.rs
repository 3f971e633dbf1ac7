//! Why a server cannot speak TLS as configured.

/// What is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of what it should.
    #[error("TLS: {file}: {text}")]
    File {
        /// The file, or what stands for it.
        file: String,
        /// What is wrong with it.
        text: String,
    },
    /// The key is not that of the certificate.
    #[error(
        "TLS: the key in {key} is not that of the certificate in {chain}; name the pair that was made together"
    )]
    WrongKey {
        /// The file of the certificate.
        chain: String,
        /// The file of the key.
        key: String,
    },
    /// The certificate is not valid now.
    #[error("TLS: the certificate in {chain} {text}")]
    NotValid {
        /// The file of the certificate.
        chain: String,
        /// Since or until when.
        text: String,
    },
    /// No client would accept it under any name.
    #[error(
        "TLS: the certificate in {chain} is for no name: it has no subject alternative name, so no client would trust it; make one with subjectAltName=DNS:your.host"
    )]
    NoName {
        /// The file of the certificate.
        chain: String,
    },
    /// TLS is asked for and there is no certificate.
    #[error(
        "TLS is asked for by {by} and there is no certificate; set `tls.cert` and `tls.key` (--tls-cert FILE --tls-key FILE), or --tls-self-signed for development"
    )]
    NoCertificate {
        /// What asks for it.
        by: String,
    },
    /// UDP has no TLS.
    #[error(
        "`tls.required` is set and {address} speaks in clear text; leave this address out, or `tls.required`"
    )]
    ClearText {
        /// The address.
        address: String,
    },
    /// rustls has a reason of its own.
    #[error("TLS: {text}")]
    Other {
        /// The reason.
        text: String,
    },
}
