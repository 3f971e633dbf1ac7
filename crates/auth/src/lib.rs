//! Who somebody is and what it may do: from a token to an [`Identity`] with its [`Grant`](taut_hub::Grant).
//!
//! No socket, clock or randomness is known here: times are arguments, keys that lie elsewhere are fetched by somebody else ([`Jwks`] says when).
//!
//! Invariants that a reader could break:
//! - A key has one algorithm. The header of a token chooses neither an algorithm nor a key: it only narrows down which of our keys are tried.
//! - `none` is no [`Algorithm`]. A public key is never a secret: they are different kinds of material.
//! - Nothing that a header brings along (`jwk`, `jku`, `x5c`, `x5u`) is looked at, and `kid` is compared and used for nothing else.
//! - Claims are looked at after the signature.
//! - What is not understood in our own claims refuses the token: leaving out what forbids something would allow it.
//! - Neither `Debug` nor an error shows a secret, a key or a token.

mod algorithm;
mod api_key;
mod auth;
mod error;
mod jwks;
mod key;
mod mint;
mod network;
mod revoke;
mod roles;
mod token;
mod verify;
mod webhook;

pub use algorithm::{Algorithm, Family, UnknownAlgorithm};
pub use api_key::{API_KEYS_MAX, ApiKey, NotAHash};
pub use auth::Auth;
pub use error::AuthError;
pub use jwks::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, Jwks, JwksError, JwksTimes, KeySet};
pub use key::{Key, KeyError, KeyMark};
pub use mint::{CannotSign, SigningKey};
pub use network::{Network, NotANetwork, ProxyTrust};
pub use revoke::{Damage, Full, REVOCATIONS_MAX, Revocation, Revocations, Unfit};
pub use roles::{ROLES_MAX, Roles, RuleError, read_rule};
pub use token::{TOKEN_BYTES_MAX, Token};
pub use verify::{Claims, Demands, Identity, Proof, USER_BYTES_MAX, Verifier};
pub use webhook::{ShortSecret, WebhookKey};
