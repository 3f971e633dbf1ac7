//! From a token to an identity: every check in one place, in an order that tells a stranger nothing.
//!
//! The signature comes before any claim, so whoever cannot sign learns nothing about what claims we want.

use std::sync::Arc;

use serde_json::{Map, Value};
use taut_hub::Grant;

use crate::error::AuthError;
use crate::key::{Key, KeyMark};
use crate::revoke::Revocations;
use crate::roles::Roles;
use crate::token::{Token, shorten};

/// Keys that are tried for one token: those of its id, or all where it names none. Bounds what a worthless token costs.
const TRIES_MAX: usize = 8;

/// The longest name of a user, in bytes.
pub const USER_BYTES_MAX: usize = 128;

/// The longest `jti`, in bytes.
pub(crate) const TOKEN_ID_BYTES_MAX: usize = 256;

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Demands {
    /// Who may have made it; anybody with a key, where empty.
    pub issuers: Vec<String>,
    /// For whom it must be: one of these must be in `aud`. Where empty, a token with an `aud` is refused, since it is for somebody else.
    pub audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub leeway_s: u64,
    /// The longest that a token may be valid, from now and from its `iat`, in seconds: so long revocations are remembered.
    pub life_s_max: u64,
    /// Which claim names the user.
    pub user_claim: String,
    /// Roles of everybody who has a token.
    pub roles: Vec<String>,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_s: 10,
            life_s_max: 31 * 86_400,
            user_claim: "sub".into(),
            roles: Vec::new(),
        }
    }
}

/// Who somebody is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user; `None` of a token that names none and only grants.
    pub user: Option<Arc<str>>,
    /// The display name that it suggests, where it does: the claim `taut.as`, else `name`. Not checked.
    pub name: Option<String>,
    /// The token's `jti`, to revoke it by.
    pub token_id: Option<Arc<str>>,
    /// When it was issued, in seconds of Unix time; 0 where it does not say.
    pub issued_s: u64,
    /// When it ends, in seconds of Unix time. With the leeway past it the Conn must have shown a new one.
    pub expires_s: u64,
    /// What it may do.
    pub grant: Arc<Grant>,
    /// By what it is known, so that it can be judged again by other settings.
    pub proof: Proof,
}

/// By what somebody is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A token: the key that signed it, and what it claims.
    Token {
        /// The key.
        key: KeyMark,
        /// Whether that came from a key set, and not from the configuration.
        is_fetched: bool,
        /// The claims.
        claims: Claims,
    },
    /// A certificate.
    Certificate,
    /// A proxy's word.
    Proxy,
    /// Something that is not asked again.
    Other,
}

/// What a token claims, as one JSON text. It does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Arc<str>);

impl Claims {
    fn of(claims: &Map<String, Value>) -> Self {
        Self(serde_json::to_string(claims).unwrap_or_default().into())
    }
}

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims")
    }
}

/// Everything that tokens are judged by.
#[derive(Debug, Default)]
pub struct Verifier {
    /// Keys from the configuration.
    pub keys: Vec<Key>,
    /// What tokens must say.
    pub demands: Demands,
    /// The roles that they may name.
    pub roles: Roles,
}

impl Verifier {
    /// Judges a token. `fetched` are the keys of key sets ([`crate::Jwks::keys`]); `now_s` is Unix time.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn verify(
        &self,
        token: &str,
        fetched: &[&[Key]],
        revoked: &Revocations,
        now_s: u64,
    ) -> Result<Identity, AuthError> {
        let token = Token::parse(token)?;
        let key = self.check_signature(&token, fetched)?;
        let identity = Identity {
            proof: Proof::Token {
                key,
                is_fetched: !self.has_key(key),
                claims: Claims::of(&token.claims),
            },
            ..self.identity(&token.claims, now_s)?
        };
        match revoked.of(&identity) {
            Some(why) => Err(AuthError::Revoked(why)),
            None => Ok(identity),
        }
    }

    /// Whether a key is one of the configuration's.
    #[must_use]
    pub fn has_key(&self, key: KeyMark) -> bool {
        self.keys.iter().any(|known| known.mark() == key)
    }

    /// Judges the claims of a token again that was good before, by whatever has changed since. Whether its key still counts is the caller's to know.
    ///
    /// # Errors
    /// The first thing that is wrong with it now.
    pub fn judge_again(&self, before: &Identity, now_s: u64) -> Result<Identity, AuthError> {
        let Proof::Token { claims, .. } = &before.proof else {
            return Ok(before.clone());
        };
        let parsed: Map<String, Value> = serde_json::from_str(&claims.0)
            .map_err(|_| AuthError::Malformed("its claims are no JSON object"))?;
        Ok(Identity {
            proof: before.proof.clone(),
            ..self.identity(&parsed, now_s)?
        })
    }

    fn check_signature(&self, token: &Token<'_>, fetched: &[&[Key]]) -> Result<KeyMark, AuthError> {
        let wanted = token.key_id.as_deref();
        let keys = || {
            let fetched = fetched.iter().flat_map(|keys| keys.iter());
            let keys = self.keys.iter().chain(fetched);
            keys.filter(|key| key.algorithm() == token.algorithm)
        };
        // A key without an id is for tokens of any id; one with an id only for its own, and for tokens that name none. Whose id is named comes first, so
        // that no number of others keeps it from being tried.
        let named = keys().filter(|key| wanted.is_some() && key.id() == wanted);
        let others = keys().filter(|key| wanted.is_none() || key.id().is_none());
        let mut tried = false;
        for key in named.chain(others).take(TRIES_MAX) {
            if key.verifies(token.signed(), token.signature()) {
                return Ok(key.mark());
            }
            tried = true;
        }
        // Where only keys without an id were there, the set may have the one that is named.
        let is_known = wanted.is_none_or(|wanted| keys().any(|key| key.id() == Some(wanted)));
        if tried && is_known {
            return Err(AuthError::Signature(token.algorithm));
        }
        Err(AuthError::UnknownKey {
            algorithm: token.algorithm,
            key_id: wanted.map(shorten),
        })
    }

    /// What the claims of a token come to whose signature is right.
    ///
    /// # Errors
    /// The first claim that is not as it must be.
    pub fn identity(&self, claims: &Map<String, Value>, now_s: u64) -> Result<Identity, AuthError> {
        let demands = &self.demands;
        let wrong = |claim, text: String| AuthError::Claim { claim, text };
        let expires_s = date(claims, "exp")?
            .ok_or_else(|| wrong("exp", "is missing; a token must end some time".into()))?;
        if now_s >= expires_s.saturating_add(demands.leeway_s) {
            return Err(AuthError::Expired {
                expired_s: expires_s,
            });
        }
        let life_s_max = demands.life_s_max.saturating_add(demands.leeway_s);
        if expires_s - now_s.min(expires_s) > life_s_max {
            let text = format!(
                "is too far off; at most {} seconds from now are taken",
                demands.life_s_max
            );
            return Err(wrong("exp", text));
        }
        let issued_s = date(claims, "iat")?.unwrap_or(0);
        // Or it would be taken towards its end, when what was revoked in the beginning is forgotten.
        if issued_s > 0 && expires_s.saturating_sub(issued_s) > life_s_max {
            let text = format!(
                "is too far from `iat`; a token lives at most {} seconds",
                demands.life_s_max
            );
            return Err(wrong("exp", text));
        }
        let from_s = date(claims, "nbf")?.unwrap_or(0).max(issued_s);
        if from_s > now_s.saturating_add(demands.leeway_s) {
            return Err(AuthError::NotYet { from_s });
        }
        self.check_parties(claims)?;
        let taut = claims.get("taut").and_then(Value::as_object);
        let suggested = taut
            .and_then(|taut| taut.get("as"))
            .or_else(|| claims.get("name"));
        Ok(Identity {
            user: self.user(claims)?,
            name: suggested.and_then(Value::as_str).map(str::to_owned),
            token_id: token_id(claims)?,
            issued_s,
            expires_s,
            grant: Arc::new(self.roles.grant_of_claims(claims, &demands.roles)?),
            proof: Proof::Other,
        })
    }

    fn check_parties(&self, claims: &Map<String, Value>) -> Result<(), AuthError> {
        let wrong = |claim, text: &str| {
            let text = text.to_owned();
            AuthError::Claim { claim, text }
        };
        let (issuers, audiences) = (&self.demands.issuers, &self.demands.audiences);
        let issuer = claims.get("iss").and_then(Value::as_str);
        if !issuers.is_empty() && !issuers.iter().any(|known| issuer == Some(known.as_str())) {
            return Err(wrong("iss", "is none of auth.issuers"));
        }
        let ours = |audience: &Value| audiences.iter().any(|ours| audience == ours.as_str());
        match claims.get("aud") {
            None if audiences.is_empty() => Ok(()),
            None => Err(wrong("aud", "is missing, and auth.audiences demands one")),
            Some(_) if audiences.is_empty() => Err(wrong(
                "aud",
                "names somebody, and auth.audiences does not say who we are",
            )),
            Some(Value::Array(list)) if list.iter().any(ours) => Ok(()),
            Some(one) if ours(one) => Ok(()),
            Some(_) => Err(wrong("aud", "is none of auth.audiences")),
        }
    }

    /// The identity of somebody whom something else vouches for, a certificate or a proxy: it lasts as long as the connection, and counts as the
    /// oldest where users are revoked.
    ///
    /// # Errors
    /// The name is none that a user can have.
    pub fn vouched(name: &str, grant: &Arc<Grant>) -> Result<Identity, AuthError> {
        Ok(Identity {
            user: Some(checked_user(name).map_err(AuthError::Vouched)?),
            name: None,
            token_id: None,
            issued_s: 0,
            expires_s: u64::MAX,
            grant: Arc::clone(grant),
            proof: Proof::Other,
        })
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<Option<Arc<str>>, AuthError> {
        let claim = match self.demands.user_claim.as_str() {
            "sub" => "sub",
            _ => "auth.user_claim",
        };
        let wrong = |text: &str| AuthError::Claim {
            claim,
            text: text.to_owned(),
        };
        let user = match claims.get(&self.demands.user_claim) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(user)) => user,
            Some(_) => return Err(wrong("is no text, and must name the user")),
        };
        checked_user(user).map(Some).map_err(wrong)
    }
}

pub(crate) fn checked_user(user: &str) -> Result<Arc<str>, &'static str> {
    if user.is_empty() || user.len() > USER_BYTES_MAX {
        return Err("names a user of 0 or more than 128 bytes");
    }
    if user.trim() != user || user.chars().any(is_hidden) {
        return Err(
            "names a user with white space around it, or with characters that cannot be seen",
        );
    }
    Ok(user.into())
}

/// Characters that would make one user look like another, or steer a terminal: control characters, line separators, what Unicode lets a font leave out
/// (`Default_Ignorable_Code_Point`), annotations, and the empty pattern of Braille.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn token_id(claims: &Map<String, Value>) -> Result<Option<Arc<str>>, AuthError> {
    match claims.get("jti") {
        None => Ok(None),
        Some(Value::String(id)) if !id.is_empty() && id.len() <= TOKEN_ID_BYTES_MAX => {
            Ok(Some(id.as_str().into()))
        }
        Some(_) => Err(AuthError::Claim {
            claim: "jti",
            text: "is no text of 1 to 256 bytes".into(),
        }),
    }
}

/// A date (RFC 7519 section 2): seconds of Unix time, fractions allowed and dropped.
fn date(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<u64>, AuthError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    // Beyond 2^53 a fraction has no seconds any more.
    let whole = |seconds: f64| (0.0..9.0e15).contains(&seconds).then_some(seconds);
    let seconds = match (value.as_u64(), value.as_f64().and_then(whole)) {
        (Some(seconds), _) => Some(seconds),
        (None, Some(seconds)) if value.is_number() => {
            format!("{:.0}", seconds.floor()).parse().ok()
        }
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds < 9_000_000_000_000_000 => Ok(Some(seconds)),
        _ => Err(AuthError::Claim {
            claim,
            text: "is no date in seconds since 1970".into(),
        }),
    }
}
