//! All that a server is told about who may come in.

use std::path::PathBuf;
use std::sync::Arc;

use taut_hub::Grant;

use crate::api_key::ApiKey;
use crate::network::ProxyTrust;
use crate::verify::Verifier;

/// How a server asks who somebody is. It is a plain value: who changes a setting makes another one.
#[derive(Debug)]
pub struct Auth {
    /// What tokens are judged by.
    pub verifier: Verifier,
    /// Where a key set is to be fetched from.
    pub jwks_url: Option<String>,
    /// The authorities that vouch for that URL, as PEM; those of the system, where `None`.
    pub jwks_authorities: Option<Arc<[u8]>>,
    /// The file of a key set, to be read again when it changes. Its keys are not among the verifier's.
    pub jwks_file: Option<PathBuf>,
    /// What who shows a certificate may do, as the user that the certificate names; `None` where certificates name nobody.
    pub by_certificate: Option<Arc<Grant>>,
    /// A proxy whose word is taken.
    pub by_proxy: Option<ProxyTrust>,
    /// What a Conn may do that shows nothing.
    pub anonymous: Arc<Grant>,
    /// Whether who shows nothing is held back at all: a public address may be served then.
    pub is_restricted: bool,
    /// The keys of the server API.
    pub api_keys: Vec<ApiKey>,
}
