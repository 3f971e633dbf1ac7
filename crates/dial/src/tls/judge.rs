//! Whether a peer's certificate is to be trusted, and what we show of ourselves.
//!
//! Invariants:
//! - The verdict is always found and kept, also where it is not acted on, so that the story can tell it.
//! - Signatures of the handshake are checked in every case: `insecure` trusts any certificate, but only its own key.
//! - A certificate that stands itself in a file of authorities is trusted for the names and the time that it has, and without the file's
//!   certificate being an authority: people put a server's self-signed certificate there.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::certificate::Certificate;
use super::explain::{self, Distrust};
use super::files;
use crate::error::DialError;
use crate::settings::Tls;

/// Judges a peer's certificate.
#[derive(Debug)]
pub(super) struct Judge {
    /// `None` when there is nobody to trust.
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    given: Vec<CertificateDer<'static>>,
    insecure: bool,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    certificates: Vec<CertificateDer<'static>>,
    verdict: Option<Error>,
}

impl Judge {
    /// Reads the authorities: the system's, and those of the settings.
    pub(super) fn read(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Self, DialError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(files::system().iter().cloned());
        let mut given = Vec::new();
        for path in &tls.authorities {
            for certificate in files::certificates(path)? {
                if roots.add(certificate.clone()).is_err() {
                    return Err(DialError::File {
                        path: path.clone(),
                        text: "one of its certificates cannot be read".into(),
                    });
                }
                given.push(certificate);
            }
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .build()
                .ok();
        Ok(Self {
            by_authority,
            given,
            insecure: tls.insecure,
            algorithms: provider.signature_verification_algorithms,
            seen: Mutex::default(),
        })
    }

    /// What the peer showed, its own certificate first.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.certificates.iter().map(Certificate::read).collect()
    }

    /// Why it is not to be trusted.
    pub(super) fn distrust(&self, certificates: &[Certificate], name: &str) -> Option<Distrust> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = seen.verdict.as_ref()?;
        let knows_nobody = files::system().is_empty();
        Some(explain::distrust(verdict, certificates, name, knows_nobody))
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self
            .given
            .iter()
            .any(|given| given.as_ref() == own.as_ref())
        {
            check_time(own, now)?;
            return verify_server_name(&ParsedCertificate::try_from(own)?, name);
        }
        match &self.by_authority {
            Some(judge) => judge
                .verify_server_cert(own, others, name, ocsp, now)
                .map(|_| ()),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

fn check_time(own: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let Ok((_, certificate)) = X509Certificate::from_der(own) else {
        return Err(CertificateError::BadEncoding.into());
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > certificate.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(own, others, name, ocsp, now);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.certificates = std::iter::once(own)
            .chain(others)
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        seen.verdict = verdict.as_ref().err().cloned();
        match verdict {
            Err(error) if !self.insecure => Err(error),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Who we are, for peers that ask.
#[derive(Debug)]
pub(super) struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: Mutex<bool>,
}

impl Identity {
    /// Reads our certificate chain and key, where the settings name them.
    pub(super) fn read(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Self, DialError> {
        let key = match &tls.identity {
            None => None,
            Some((chain, key)) => {
                let certificates = files::certificates(chain)?;
                let certified = CertifiedKey::from_der(certificates, files::key(key)?, provider);
                Some(Arc::new(certified.map_err(|error| DialError::File {
                    path: key.clone(),
                    text: explain::own_key(&error, chain),
                })?))
            }
        };
        Ok(Self {
            key,
            asked: Mutex::new(false),
        })
    }

    /// `Some` once the peer has asked: whether there was something to show.
    pub(super) fn asked(&self) -> Option<bool> {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.then_some(self.key.is_some())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        // Also without one: only who claims to have some is asked at all by rustls, and the story tells the question.
        true
    }
}
