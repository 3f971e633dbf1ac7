//! All that handshakes go by, read from the configuration: certificates by name, and whose certificates clients may show.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use super::config::{ClientCertificates, TlsConfig};
use super::error::TlsError;
use super::paper::{self, CertificateFacts, Paper};

/// What was read, checked and made ready.
#[derive(Debug, Clone)]
pub(crate) struct Papers {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) facts: Vec<CertificateFacts>,
    /// One for each source, in their order.
    papers: Vec<Paper>,
    /// Whose certificates clients may show; none where they are not asked.
    authorities: Vec<CertificateDer<'static>>,
}

impl Papers {
    /// Reads everything that the configuration names.
    pub(crate) fn read(
        tls: &TlsConfig,
        tickets: Arc<dyn ProducesTickets>,
        now_unix_s: i64,
    ) -> Result<Self, TlsError> {
        let provider = aws_lc_rs::default_provider();
        let papers = tls
            .certificates
            .iter()
            .map(|source| Paper::read(source, &provider, now_unix_s))
            .collect::<Result<_, _>>()?;
        Self::make_ready(tls, papers, authorities(&tls.clients)?, tickets)
    }

    /// Reads everything again. What cannot be used stays as it was, and holds up nothing else: the end of one certificate must not keep the others from being
    /// renewed. `None`: nothing is other than before.
    pub(super) fn renew(
        &self,
        tls: &TlsConfig,
        tickets: impl FnOnce() -> Result<Arc<dyn ProducesTickets>, TlsError>,
        now_unix_s: i64,
    ) -> (Option<Self>, Vec<TlsError>) {
        let provider = aws_lc_rs::default_provider();
        let mut failed = Vec::new();
        let mut papers = Vec::new();
        for (source, before) in tls.certificates.iter().zip(&self.papers) {
            papers.push(match Paper::read(source, &provider, now_unix_s) {
                Ok(paper) => paper,
                Err(error) => {
                    failed.push(error);
                    before.clone()
                }
            });
        }
        let authorities = authorities(&tls.clients).unwrap_or_else(|error| {
            failed.push(error);
            self.authorities.clone()
        });
        let is_same = papers
            .iter()
            .zip(&self.papers)
            .all(|(now, before)| now.key.cert == before.key.cert)
            && authorities == self.authorities;
        if is_same {
            return (None, failed);
        }
        let renewed = tickets().and_then(|it| Self::make_ready(tls, papers, authorities, it));
        match renewed {
            Ok(papers) => (Some(papers), failed),
            Err(error) => {
                failed.push(error);
                (None, failed)
            }
        }
    }

    /// Those whose file is not shown as it was in `before`.
    pub(super) fn changed_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = &'a CertificateFacts> {
        let both = self.papers.iter().zip(&before.papers);
        both.filter(|(now, before)| now.key.cert != before.key.cert)
            .map(|(now, _)| &now.facts)
    }

    fn make_ready(
        tls: &TlsConfig,
        papers: Vec<Paper>,
        authorities: Vec<CertificateDer<'static>>,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| other(&error))?;
        let builder = match verifier(&tls.clients, &authorities, provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(&papers)));
        config.alpn_protocols = vec![
            #[cfg(feature = "http2")]
            crate::http2::ALPN.to_vec(),
            // A WebSocket asks for nothing else.
            b"http/1.1".to_vec(),
        ];
        config.ticketer = tickets;
        // One ticket is enough to come back with, and each costs a handshake another encryption.
        config.send_tls13_tickets = 1;
        Ok(Self {
            config: Arc::new(config),
            facts: papers.iter().map(|paper| paper.facts.clone()).collect(),
            papers,
            authorities,
        })
    }
}

/// What sessions are resumed by, without a memory: the state lies with the client, sealed by keys of this run that change every few hours.
pub(crate) fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    aws_lc_rs::Ticketer::new().map_err(|error| other(&error))
}

fn authorities(clients: &ClientCertificates) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match clients {
        ClientCertificates::Unasked => Ok(Vec::new()),
        ClientCertificates::Optional(path) | ClientCertificates::Required(path) => {
            let authorities =
                paper::certificates(&paper::read(path)?, &path.display().to_string())?;
            roots(path, &authorities)?;
            Ok(authorities)
        }
    }
}

fn roots(path: &Path, authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots
            .add(certificate.clone())
            .map_err(|error| TlsError::File {
                file: path.display().to_string(),
                text: format!("it holds a certificate that is no authority's: {error}"),
            })?;
    }
    Ok(roots)
}

fn verifier(
    clients: &ClientCertificates,
    authorities: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (path, is_required) = match clients {
        ClientCertificates::Unasked => return Ok(None),
        ClientCertificates::Optional(path) => (path, false),
        ClientCertificates::Required(path) => (path, true),
    };
    let roots = Arc::new(roots(path, authorities)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let builder = if is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map(Some).map_err(|error| TlsError::File {
        file: path.display().to_string(),
        text: error.to_string(),
    })
}

fn other(error: &rustls::Error) -> TlsError {
    TlsError::Other {
        text: error.to_string(),
    }
}

/// Certificates by the host that a client names (SNI). One name may have several, of different kinds of key.
#[derive(Debug)]
struct ByName {
    names: HashMap<String, Vec<Arc<CertifiedKey>>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl ByName {
    fn new(papers: &[Paper]) -> Self {
        let mut names: HashMap<String, Vec<_>> = HashMap::new();
        for paper in papers {
            for name in &paper.facts.names {
                let named = names.entry(name.clone()).or_default();
                named.push(Arc::clone(&paper.key));
            }
        }
        let all = papers.iter().map(|paper| Arc::clone(&paper.key)).collect();
        Self { names, all }
    }

    /// Those for a host, by its whole name or by a wildcard for its first label (RFC 6125 §6.4.3).
    fn for_host(&self, host: &str) -> Option<&Vec<Arc<CertifiedKey>>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.get(&host).or_else(|| {
            let (_, parent) = host.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for ByName {
    /// Whoever names no host, or one that no certificate is for, gets the first certificate and judges it by itself: a client by address, or one that does
    /// not verify, is served; any other says in plain words that the names differ.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|host| self.for_host(host));
        let fits = |key: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            key.key.choose_scheme(schemes).is_some()
        };
        named
            .and_then(|keys| keys.iter().find(fits))
            .or_else(|| self.all.iter().find(fits))
            .or_else(|| self.all.first())
            .cloned()
    }
}
