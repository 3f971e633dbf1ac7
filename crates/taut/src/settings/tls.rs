//! TLS as people set it, and as the server is told.

use taut_server::{CertificateSource, ClientCertificates, Listen, Speaks};

use super::values::Values;

/// What the settings of `[tls]` say, beside those that the server takes as they are.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) certs: Vec<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) self_signed: bool,
    pub(crate) client_ca: String,
    pub(crate) clients: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certs: Vec::new(),
            keys: Vec::new(),
            self_signed: false,
            client_ca: String::new(),
            clients: "optional".into(),
        }
    }
}

type Told = (Vec<CertificateSource>, ClientCertificates);

impl Tls {
    /// As the server is told; the self-signed certificate comes later, since it may be kept beside the rooms. An error is a setting and what is wrong with it.
    pub(crate) fn config(&self) -> Result<Told, (&'static str, String)> {
        if self.certs.is_empty() && !self.keys.is_empty() {
            return Err((
                "tls.key",
                "there is a key and no certificate; name it with `tls.cert` (--tls-cert FILE)"
                    .into(),
            ));
        }
        if !self.keys.is_empty() && self.keys.len() != self.certs.len() {
            return Err((
                "tls.key",
                format!(
                    "there are {} certificates and {} keys; name one key for each certificate, in the same order",
                    self.certs.len(),
                    self.keys.len()
                ),
            ));
        }
        if self.self_signed && !self.certs.is_empty() {
            return Err((
                "tls.self_signed",
                "it contradicts `tls.cert`: a certificate is named, so none is made; leave one out"
                    .into(),
            ));
        }
        // Without keys of their own, each stands in its certificate's file.
        let keys = self.keys.iter().map(Some).chain(std::iter::repeat(None));
        let certificates = self.certs.iter().zip(keys);
        let certificates = certificates.map(|(chain, key)| CertificateSource::Files {
            chain: chain.into(),
            key: key.unwrap_or(chain).into(),
        });
        let clients = match (self.client_ca.as_str(), self.clients.as_str()) {
            ("", "required") => {
                return Err((
                    "tls.clients",
                    "nobody could come in: name the authorities of clients with `tls.client_ca` (--tls-client-ca FILE)".into(),
                ));
            }
            ("", _) => ClientCertificates::Unasked,
            (path, "required") => ClientCertificates::Required(path.into()),
            (path, _) => ClientCertificates::Optional(path.into()),
        };
        Ok((certificates.collect(), clients))
    }
}

/// The first address that takes TLS only, where there is no certificate to show.
pub(super) fn lacks_certificate(values: &Values) -> Option<&Listen> {
    if !values.tls.certs.is_empty() || values.tls.self_signed {
        return None;
    }
    let mut listeners = values.config.listeners.iter();
    listeners.find(|listen| listen.speaks == Speaks::Tls)
}
