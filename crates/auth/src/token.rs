//! A token in its compact form (RFC 7515 section 3.1), taken apart and not yet believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::error::AuthError;

/// The longest token that is looked at, in bytes: what fits into a request's head beside everything else.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// The longest `kid`, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;

/// What a token says of itself. Anybody can write it: until its signature is verified it means nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Token<'a> {
    /// The header's algorithm.
    pub algorithm: Algorithm,
    /// The header's key id.
    pub key_id: Option<String>,
    /// The header, whole.
    pub header: Map<String, Value>,
    /// The claims, whole.
    pub claims: Map<String, Value>,
    signed: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes a token apart and refuses what no key needs to be asked for.
    ///
    /// Keys that a header brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are not looked at.
    ///
    /// # Errors
    /// It is none, or asks for what we do not do.
    pub fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::TooLong { bytes: token.len() });
        }
        let mut parts = token.split('.');
        let (Some(head), Some(body), Some(tail), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(AuthError::Malformed(
                "it is not three parts with dots between",
            ));
        };
        let header = object(head).ok_or(AuthError::Malformed("its header is no JSON object"))?;
        if header.contains_key("crit") {
            return Err(AuthError::Malformed(
                "its header has `crit`, and no extension is understood",
            ));
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => name
                .parse()
                .map_err(|_| AuthError::Algorithm(shorten(name)))?,
            _ => return Err(AuthError::Malformed("its header names no algorithm")),
        };
        check_type(header.get("typ"))?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
            Some(_) => return Err(AuthError::Malformed("its key id is none")),
        };
        let claims = object(body).ok_or(AuthError::Malformed("its claims are no JSON object"))?;
        let signature = URL_SAFE_NO_PAD
            .decode(tail)
            .ok()
            .filter(|signature| !signature.is_empty())
            .ok_or(AuthError::Malformed(
                "its signature is missing or no base64url",
            ))?;
        Ok(Self {
            algorithm,
            key_id,
            header,
            claims,
            signed: &token.as_bytes()[..head.len() + 1 + body.len()],
            signature,
        })
    }

    /// What of a token can be read that [`Token::parse`] may refuse: its header and its claims, for people who wonder why.
    #[must_use]
    pub fn peek(token: &str) -> [Option<Map<String, Value>>; 2] {
        let mut parts = token.split('.').take(2);
        [(); 2].map(|()| {
            parts
                .next()
                .filter(|part| part.len() <= TOKEN_BYTES_MAX)
                .and_then(object)
        })
    }

    /// What the signature is over.
    pub(crate) fn signed(&self) -> &[u8] {
        self.signed
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

/// A token for something else, such as a log-out, must not open a door here (RFC 8725 section 3.11).
fn check_type(kind: Option<&Value>) -> Result<(), AuthError> {
    let known = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        matches!(kind, "jwt" | "at+jwt")
    };
    match kind {
        None => Ok(()),
        Some(Value::String(kind)) if known(kind) => Ok(()),
        Some(_) => Err(AuthError::Malformed(
            "its `typ` is neither JWT nor at+jwt, so it is for something else",
        )),
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// As much of what a peer wrote as a log needs, without anything that a terminal would obey.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
