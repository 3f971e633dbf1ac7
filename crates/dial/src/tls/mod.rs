//! TLS by rustls: whom to trust, the handshake, and what its failures mean in plain words.
//!
//! The provider (aws-lc-rs) is named wherever a configuration is made: nothing depends on a process-wide default.

mod certificate;
mod explain;
mod files;
mod judge;
mod watched;

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use certificate::Certificate;
pub(crate) use explain::late_fault;
pub use watched::Watched;

use crate::error::{DialError, TlsFault};
use crate::settings::{Settings, Tls};
use crate::story::Scene;
use crate::telling::Telling;
use crate::url::{Scheme, Url};
use judge::{Identity, Judge};

/// All that a handshake needs.
pub(crate) struct Client {
    connector: TlsConnector,
    name: ServerName<'static>,
    judge: Arc<Judge>,
    identity: Arc<Identity>,
    alpn: Vec<String>,
    verifying: bool,
}

/// Reads the files and chooses the name, before anybody is called.
pub(crate) async fn prepare(
    url: &Url,
    settings: &Settings,
    telling: &Telling<'_>,
) -> Result<Client, DialError> {
    telling.begin("reading certificates of authorities");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (judge, identity) = read_files(settings.tls.clone(), Arc::clone(&provider)).await?;
    let (judge, identity) = (Arc::new(judge), Arc::new(identity));
    let name = server_name(url, &settings.tls)?;
    let alpn = offers(url.scheme, &settings.tls);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| DialError::System {
            doing: "begin TLS",
            text: error.to_string(),
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&judge) as _)
        .with_client_cert_resolver(Arc::clone(&identity) as _);
    config.alpn_protocols.clone_from(&alpn);
    Ok(Client {
        connector: TlsConnector::from(Arc::new(config)),
        name,
        judge,
        identity,
        alpn: alpn.iter().map(|name| explain::protocol(name)).collect(),
        verifying: !settings.tls.insecure,
    })
}

async fn read_files(
    tls: Tls,
    provider: Arc<CryptoProvider>,
) -> Result<(Judge, Identity), DialError> {
    let read = move || {
        Ok((
            Judge::read(&tls, &provider)?,
            Identity::read(&tls, &provider)?,
        ))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(result) => result,
        Err(error) => Err(DialError::System {
            doing: "read the certificates of authorities",
            text: error.to_string(),
        }),
    }
}

fn server_name(url: &Url, tls: &Tls) -> Result<ServerName<'static>, DialError> {
    let name = tls.server_name.as_deref().unwrap_or(&url.host);
    // A certificate names an address without its zone, a host without its last dot.
    let name = name.split('%').next().unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned()).map_err(|_| DialError::Tls {
        place: url.authority(),
        fault: TlsFault::Ours,
        text: format!("`{name}` is no name that a certificate could bear"),
        hint: Some("give the name to ask for with --server-name NAME".into()),
    })
}

fn offers(scheme: Scheme, tls: &Tls) -> Vec<Vec<u8>> {
    if tls.alpn.is_empty() && scheme.is_http() {
        // Without an offer some servers choose HTTP/2, which is not spoken here.
        return vec![b"http/1.1".to_vec()];
    }
    tls.alpn.clone()
}

impl Client {
    /// The handshake, over a connected stream.
    pub(crate) async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        telling: &Telling<'_>,
    ) -> Result<TlsStream<Watched<S>>, DialError> {
        let name = self.name.to_str();
        telling.begin("waiting for the peer's part of the TLS handshake");
        telling.tell(&Scene::TlsBegun {
            server_name: &name,
            alpn: &self.alpn,
            verifying: self.verifying,
        });
        let connecting = self
            .connector
            .connect(self.name.clone(), Watched::new(stream))
            .into_fallible();
        let result = connecting.await;
        if let Some(shown) = self.identity.asked() {
            telling.tell(&Scene::TlsIdentityAsked { shown });
        }
        let certificates = self.judge.certificates();
        let distrust = self.judge.distrust(&certificates, &name);
        if let Some(distrust) = &distrust {
            telling.tell(&Scene::TlsDistrusted {
                why: &distrust.text,
                certificates: &certificates,
                passed: !self.verifying,
            });
        }
        match (result, distrust) {
            (Ok(mut stream), _) => {
                stream.get_mut().0.stop_watching();
                tell_done(&stream, &certificates, telling);
                Ok(stream)
            }
            (Err(_), Some(distrust)) if self.verifying => Err(DialError::Tls {
                place: telling.place.clone(),
                fault: distrust.fault,
                text: distrust.text,
                hint: distrust.hint,
            }),
            (Err((error, stream)), _) => Err(self.failure(&error, stream.first(), telling)),
        }
    }

    fn failure(&self, error: &io::Error, first: &[u8], telling: &Telling<'_>) -> DialError {
        if first.is_empty() && explain::tls_error(error).is_none() {
            return telling.hung_up(
                "it hung up without an answer; a server that does not speak TLS may do so",
            );
        }
        let context = explain::Context {
            place: &telling.place,
            name: &self.name.to_str(),
            first,
            identity_asked: self.identity.asked(),
        };
        explain::handshake(error, &context).unwrap_or_else(|| telling.broken(error))
    }
}

fn tell_done<S>(stream: &TlsStream<S>, certificates: &[Certificate], telling: &Telling<'_>) {
    let connection = stream.get_ref().1;
    let version = connection
        .protocol_version()
        .map_or("TLS of an unknown version", explain::version);
    let cipher = connection
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()))
        .unwrap_or_default();
    let key_exchange = connection
        .negotiated_key_exchange_group()
        .map(|group| format!("{:?}", group.name()))
        .unwrap_or_default();
    let alpn = connection.alpn_protocol().map(explain::protocol);
    telling.tell(&Scene::TlsDone {
        version,
        cipher: &cipher,
        key_exchange: &key_exchange,
        alpn: alpn.as_deref(),
        certificates,
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
    });
}
