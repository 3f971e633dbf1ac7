//! Keys for the server API: long random words, of which only hashes are kept.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::key::sha256;

/// Keys that there may be.
pub const API_KEYS_MAX: usize = 64;

/// What every key begins with, so that one that was published is found by those who look for such.
const PREFIX: &str = "taut_";

/// The hash of a key. A key is 32 random bytes, so nobody finds it from its hash, and a slow hash would gain nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey([u8; 32]);

/// A text that is no hash of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no hash of an API key; use what `taut token key` prints, sha256: and 64 hexadecimal digits"
)]
pub struct NotAHash;

impl ApiKey {
    /// A new key from random bytes: the key itself, to be shown once, and its hash, to be kept.
    #[must_use]
    pub fn generate(random: [u8; 32]) -> (String, Self) {
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let hash = Self(sha256(key.as_bytes()));
        (key, hash)
    }

    /// Which of `keys` a peer has shown. All of them are compared, in constant time.
    #[must_use]
    pub fn find(shown: &str, keys: &[Self]) -> Option<usize> {
        if shown.len() > 256 {
            return None;
        }
        let hash = sha256(shown.as_bytes());
        let mut found = None;
        for (index, key) in keys.iter().enumerate() {
            if verify_slices_are_equal(&hash, &key.0).is_ok() {
                found = Some(index);
            }
        }
        found
    }
}

impl FromStr for ApiKey {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let digits = text.strip_prefix("sha256:").ok_or(NotAHash)?;
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAHash);
        }
        let mut hash = [0; 32];
        for (place, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotAHash)?;
            *place = u8::from_str_radix(pair, 16).map_err(|_| NotAHash)?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}
