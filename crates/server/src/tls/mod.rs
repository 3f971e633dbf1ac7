//! TLS on the one port, by rustls with aws-lc-rs, which is named wherever a configuration is made: nothing depends on a process-wide default.
//!
//! [`Handshakes`] are shaken beside the cores; what comes of one is a [`Tunnel`], which goes to a core and is a Conn's stream there
//! ([`core::Tunnels`](crate::core)). [`Papers`] is what handshakes go by, [`Watch`] reads it again when its files change.
//!
//! Absent on purpose: early data (0-RTT), since it can be replayed; renegotiation, which rustls does not have; TLS below 1.2.

mod config;
mod current;
mod endings;
mod error;
mod handshake;
mod paper;
mod papers;
mod peer;
mod self_signed;
mod tunnel;
mod watch;

pub use config::{CertificateSource, ClientCertificates, TlsConfig};
pub(crate) use current::Current;
pub use error::TlsError;
pub(crate) use handshake::{ALERT, Destination, Handshakes, Parts, Shaker, threads_for};
pub use paper::CertificateFacts;
pub(crate) use papers::{Papers, tickets};
pub use self_signed::SelfSigned;
pub(crate) use tunnel::{Buffers, Luggage, Tunnel};
pub(crate) use watch::{Look, Renewal, Watch, looks, paths, unix_s};

impl TlsConfig {
    /// Whether there is anything to show to clients.
    #[must_use]
    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Reads everything that it names, as a start would, and says what the certificates hold.
    ///
    /// # Errors
    /// What would keep a server from starting.
    pub fn check(&self) -> Result<Vec<CertificateFacts>, TlsError> {
        if self.has_certificates() {
            return Ok(Papers::read(self, tickets()?, unix_s())?.facts);
        }
        let by = match (&self.clients, self.required) {
            (_, true) => "`tls.required`",
            (ClientCertificates::Unasked, false) => return Ok(Vec::new()),
            _ => "`tls.client_ca`",
        };
        Err(TlsError::NoCertificate { by: by.to_owned() })
    }
}

impl CertificateFacts {
    /// Whether the certificate is for a host or an address.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => *name == host,
        })
    }
}
