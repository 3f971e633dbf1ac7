//! All that a server is told about who may come in.

use std::sync::Arc;

use taut_hub::Grant;

use crate::api_key::ApiKey;
use crate::verify::Verifier;

/// How a server asks who somebody is. It is a plain value: who changes a setting makes another one.
#[derive(Debug)]
pub struct Auth {
    /// What tokens are judged by.
    pub verifier: Verifier,
    /// Where a key set is to be fetched from.
    pub jwks_url: Option<String>,
    /// What a Conn may do that shows nothing.
    pub anonymous: Arc<Grant>,
    /// Whether who shows nothing is held back at all: a public address may be served then.
    pub is_restricted: bool,
    /// The keys of the server API.
    pub api_keys: Vec<ApiKey>,
}
