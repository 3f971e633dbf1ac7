//! Key sets (RFC 7517) and when to fetch them anew. Fetching is for somebody else: this says when, and takes what came.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::key::Key;

/// Keys that are taken of one set; further ones are left out and counted.
pub const JWKS_KEYS_MAX: usize = 64;

/// The longest set that is read, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 << 10;

/// Why something is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Longer than [`JWKS_BYTES_MAX`].
    #[error("the key set has {bytes} bytes, at most {JWKS_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// No JSON object with a list `keys`.
    #[error("this is no key set; it must be a JSON object with a list \"keys\"")]
    Malformed,
    /// None of its keys can be used. What was there before stays.
    #[error(
        "none of the {keys} keys of the set can be used; RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519 can, with \"use\" absent or \"sig\""
    )]
    NoneUsable {
        /// How many there are.
        keys: usize,
    },
}

/// What a set holds.
#[derive(Debug, Default)]
pub struct KeySet {
    /// The keys that can be used.
    pub keys: Vec<Key>,
    /// How many cannot: other kinds, for encryption, broken, or too many.
    pub skipped: usize,
}

impl KeySet {
    /// Reads a set. A key of an unknown kind is skipped, not an error (RFC 7517 section 5). Secrets (`oct`) are skipped too: what is published is
    /// none. A key without `alg` gets the one of its kind, RS256 for RSA.
    ///
    /// # Errors
    /// It is none, or nothing of it can be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksError> {
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLong { bytes: bytes.len() });
        }
        let set: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| JwksError::Malformed)?;
        let Some(Value::Array(given)) = set.get("keys") else {
            return Err(JwksError::Malformed);
        };
        let usable = given.iter().filter_map(|key| read_key(key.as_object()?));
        let keys: Vec<Key> = usable.take(JWKS_KEYS_MAX).collect();
        if keys.is_empty() {
            return Err(JwksError::NoneUsable { keys: given.len() });
        }
        let skipped = given.len() - keys.len();
        Ok(Self { keys, skipped })
    }
}

fn read_key(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    if text("use").is_some_and(|what_for| what_for != "sig") {
        return None;
    }
    if let Some(operations) = jwk.get("key_ops") {
        operations
            .as_array()?
            .iter()
            .find(|operation| operation.as_str() == Some("verify"))?;
    }
    let id = match jwk.get("kid") {
        None => None,
        Some(id) => Some(id.as_str().filter(|id| id.len() <= 256)?.to_owned()),
    };
    let natural = match (text("kty")?, text("crv")) {
        ("RSA", _) => Algorithm::Rs256,
        ("EC", Some("P-256")) => Algorithm::Es256,
        ("EC", Some("P-384")) => Algorithm::Es384,
        ("EC", Some("P-521")) => Algorithm::Es512,
        ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
        _ => return None,
    };
    let algorithm = match text("alg") {
        Some(name) => name.parse().ok()?,
        None => natural,
    };
    if algorithm.family() != natural.family() {
        return None;
    }
    match natural {
        Algorithm::Rs256 => Key::rsa(algorithm, id, &bytes("n")?, &bytes("e")?).ok(),
        Algorithm::EdDsa => {
            let point = bytes("x").filter(|point| point.len() == 32)?;
            Key::public(algorithm, id, &point).ok()
        }
        _ => {
            // SEC 1 section 2.3.3: the uncompressed point.
            let (x, y) = (bytes("x")?, bytes("y")?);
            let coordinate = match natural {
                Algorithm::Es256 => 32,
                Algorithm::Es384 => 48,
                _ => 66,
            };
            if x.len() != coordinate || y.len() != coordinate {
                return None;
            }
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            Key::public(algorithm, id, &point).ok()
        }
    }
}

/// When sets are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksTimes {
    /// How old a set may be that says nothing of its own, in milliseconds.
    pub fresh_ms: u64,
    /// The shortest and the longest that its own word counts, in milliseconds.
    pub fresh_ms_bounds: (u64, u64),
    /// The least time between two fetches for a key that is not known, in milliseconds: anybody can write a token with an invented one.
    pub unknown_ms_min: u64,
    /// How long keys are used that cannot be fetched any more, in milliseconds.
    pub stale_ms_max: u64,
}

impl Default for JwksTimes {
    fn default() -> Self {
        Self {
            fresh_ms: 10 * 60_000,
            fresh_ms_bounds: (60_000, 24 * 3_600_000),
            unknown_ms_min: 30_000,
            stale_ms_max: 24 * 3_600_000,
        }
    }
}

/// A set that is fetched: its keys, and when it is to be fetched anew. Times are milliseconds of a clock that never goes back.
#[derive(Debug, Default)]
pub struct Jwks {
    times: JwksTimes,
    set: KeySet,
    /// When the keys came, and until when they are fresh.
    fetched: Option<(u64, u64)>,
    tried_ms: Option<u64>,
    under_way: bool,
    failures: u32,
}

impl Jwks {
    /// Nothing yet.
    #[must_use]
    pub fn new(times: JwksTimes) -> Self {
        Self {
            times,
            ..Self::default()
        }
    }

    /// Whether it is to be fetched now: never before, not fresh any more, or for a key id that it lacks. [`Jwks::begin`] says that it is.
    #[must_use]
    pub fn needs_fetch(&self, key_id: Option<&str>, now_ms: u64) -> bool {
        if self.under_way {
            return false;
        }
        let since_try = self.tried_ms.map(|tried| now_ms.saturating_sub(tried));
        if self.failures > 0 {
            // 1 s, 2 s, 4 s, … at most a minute.
            let wait_ms = 1_000_u64 << (self.failures - 1).min(6);
            return since_try.is_none_or(|since| since >= wait_ms.min(60_000));
        }
        let Some((_, fresh_until)) = self.fetched else {
            return true;
        };
        let lacks = key_id.is_some_and(|id| !self.set.keys.iter().any(|key| key.id() == Some(id)));
        let may_ask = since_try.is_none_or(|since| since >= self.times.unknown_ms_min);
        now_ms >= fresh_until || lacks && may_ask
    }

    /// Whether it is being fetched.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// It is being fetched.
    pub fn begin(&mut self, now_ms: u64) {
        self.under_way = true;
        self.tried_ms = Some(now_ms);
    }

    /// It has come, with the `max-age` of its answer in milliseconds. Gives how many keys there are.
    ///
    /// # Errors
    /// It cannot be used: what was there before stays, as after [`Jwks::fail`].
    pub fn accept(
        &mut self,
        bytes: &[u8],
        max_age_ms: Option<u64>,
        now_ms: u64,
    ) -> Result<usize, JwksError> {
        match KeySet::parse(bytes) {
            Ok(set) => {
                let (least, most) = self.times.fresh_ms_bounds;
                let fresh_ms = max_age_ms.unwrap_or(self.times.fresh_ms).clamp(least, most);
                self.set = set;
                self.fetched = Some((now_ms, now_ms.saturating_add(fresh_ms)));
                self.under_way = false;
                self.failures = 0;
                Ok(self.set.keys.len())
            }
            Err(error) => {
                self.fail(now_ms);
                Err(error)
            }
        }
    }

    /// It could not be fetched. From now on it is left alone for a while, however long that took: whoever waits for a key is refused, and waits for no
    /// second attempt.
    pub fn fail(&mut self, now_ms: u64) {
        self.under_way = false;
        self.tried_ms = Some(now_ms);
        self.failures = self.failures.saturating_add(1);
    }

    /// The keys to verify with; none once they are too old to be trusted.
    #[must_use]
    pub fn keys(&self, now_ms: u64) -> &[Key] {
        match self.fetched {
            Some((came, fresh_until))
                if now_ms < fresh_until.max(came.saturating_add(self.times.stale_ms_max)) =>
            {
                &self.set.keys
            }
            _ => &[],
        }
    }

    /// Whoever it is fetched from is believed by another rule now: what went wrong before says nothing.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.tried_ms = None;
    }

    /// How many keys of the last set could not be used.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.set.skipped
    }
}
