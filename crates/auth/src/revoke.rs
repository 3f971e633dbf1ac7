//! What was taken back before its time: tokens by their id, users, or everything that was issued before some moment.
//!
//! An entry is remembered as long as a token that it concerns may still be valid. The table is bounded, and says so when it is full: forgetting
//! one quietly would let somebody in again.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::verify::{Identity, TOKEN_ID_BYTES_MAX, USER_BYTES_MAX, checked_user};

/// Entries that are remembered at a time, of users and tokens together. Each costs about 200 bytes.
pub const REVOCATIONS_MAX: usize = 100_000;

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Every token of this user that was issued up to this second of Unix time.
    User {
        /// The user.
        user: Arc<str>,
        /// Up to when.
        issued_s_max: u64,
    },
    /// The token of this id.
    Token {
        /// Its `jti`.
        id: Arc<str>,
    },
    /// Every token that was issued up to this second of Unix time.
    All {
        /// Up to when.
        issued_s_max: u64,
    },
}

/// How far ahead of now everything may be taken back, in seconds: what clocks may differ by, and no time in milliseconds.
const AHEAD_S_MAX: u64 = 300;

/// What would take nothing back, or what nobody means. It cannot be undone, so it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No token names such a user.
    #[error(
        "no token has such a user: it has 1 to {USER_BYTES_MAX} bytes, without hidden characters or white space around it"
    )]
    User,
    /// No token has such an id.
    #[error("no token has such an id: it has 1 to {TOKEN_ID_BYTES_MAX} bytes")]
    Token,
    /// Nobody could come in until then.
    #[error(
        "that moment is yet to come, and until then no new token would count either; it is in seconds since 1970, and now is {now_s}"
    )]
    Ahead {
        /// The time.
        now_s: u64,
    },
}

impl Revocation {
    /// Whether there can be a token that this names.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn check(&self, now_s: u64) -> Result<(), Unfit> {
        match self {
            Self::User { user, .. } if checked_user(user).is_err() => Err(Unfit::User),
            Self::Token { id } if id.is_empty() || id.len() > TOKEN_ID_BYTES_MAX => {
                Err(Unfit::Token)
            }
            Self::All { issued_s_max } if *issued_s_max > now_s.saturating_add(AHEAD_S_MAX) => {
                Err(Unfit::Ahead { now_s })
            }
            _ => Ok(()),
        }
    }
}

/// No further revocation is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{REVOCATIONS_MAX} revocations are remembered already; revoke everything issued before now instead, or change the key"
)]
pub struct Full;

/// All that is taken back: users, tokens, and everything issued up to a time.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    users: HashMap<Arc<str>, Entry>,
    tokens: HashMap<Arc<str>, Entry>,
    /// Everything issued up to here.
    all_s_max: Option<Entry>,
    /// The second in which a full table was looked through for what has expired; not twice in one, since each look takes all of it.
    looked_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    issued_s_max: u64,
    /// From then on no token that it concerns is valid any more.
    until_s: u64,
}

impl Revocations {
    /// Takes something back, for tokens that are valid at most `life_s_max` seconds longer.
    ///
    /// # Errors
    /// The table is full.
    pub fn revoke(
        &mut self,
        revocation: &Revocation,
        life_s_max: u64,
        now_s: u64,
    ) -> Result<(), Full> {
        let until_s = now_s.saturating_add(life_s_max);
        self.put(revocation, until_s, now_s)
    }

    fn put(&mut self, revocation: &Revocation, until_s: u64, now_s: u64) -> Result<(), Full> {
        let (table, name, issued_s_max) = match revocation {
            Revocation::All { issued_s_max } => {
                self.all_s_max = Some(joined(self.all_s_max, *issued_s_max, until_s));
                return Ok(());
            }
            Revocation::User { user, issued_s_max } => (true, user, *issued_s_max),
            Revocation::Token { id } => (false, id, u64::MAX),
        };
        let is_known = match table {
            true => self.users.contains_key(name),
            false => self.tokens.contains_key(name),
        };
        if !is_known && self.len() >= REVOCATIONS_MAX {
            if self.looked_s != now_s {
                self.looked_s = now_s;
                self.expire(now_s);
            }
            if self.len() >= REVOCATIONS_MAX {
                return Err(Full);
            }
        }
        let table = match table {
            true => &mut self.users,
            false => &mut self.tokens,
        };
        let before = table.get(name).copied();
        table.insert(Arc::clone(name), joined(before, issued_s_max, until_s));
        Ok(())
    }

    /// Why a token counts no more; `None` where it does. A token that does not say when it was issued counts as the oldest.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> Option<&'static str> {
        let covers = |entry: &Entry| identity.issued_s <= entry.issued_s_max;
        if self.all_s_max.as_ref().is_some_and(covers) {
            return Some("everything issued before then was");
        }
        let user = identity.user.as_ref().and_then(|user| self.users.get(user));
        if user.is_some_and(covers) {
            return Some("by its user");
        }
        let token = identity.token_id.as_ref();
        token
            .is_some_and(|id| self.tokens.contains_key(id))
            .then_some("by its id")
    }

    /// Forgets what concerns no token any more.
    pub fn expire(&mut self, now_s: u64) {
        self.users.retain(|_, entry| entry.until_s > now_s);
        self.tokens.retain(|_, entry| entry.until_s > now_s);
        self.all_s_max = self.all_s_max.filter(|entry| entry.until_s > now_s);
    }

    /// How many users and tokens are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len() + self.tokens.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.all_s_max.is_none()
    }

    /// One line for the file, to be appended and synced before the revocation is acknowledged: a checksum, a space, JSON, a line end.
    #[must_use]
    pub fn encode_line(revocation: &Revocation, until_s: u64) -> String {
        let json = match revocation {
            Revocation::User { user, issued_s_max } => {
                json!({"user": &**user, "issued_max": issued_s_max, "until": until_s})
            }
            Revocation::Token { id } => json!({"token": &**id, "until": until_s}),
            Revocation::All { issued_s_max } => {
                json!({"issued_max": issued_s_max, "until": until_s})
            }
        };
        line(&json.to_string())
    }

    /// The whole table as such lines, to write the file anew without what has expired.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if let Some(entry) = self.all_s_max {
            let issued_s_max = entry.issued_s_max;
            out.push_str(&Self::encode_line(
                &Revocation::All { issued_s_max },
                entry.until_s,
            ));
        }
        for (user, entry) in &self.users {
            let (user, issued_s_max) = (Arc::clone(user), entry.issued_s_max);
            let revocation = Revocation::User { user, issued_s_max };
            out.push_str(&Self::encode_line(&revocation, entry.until_s));
        }
        for (id, entry) in &self.tokens {
            let id = Arc::clone(id);
            out.push_str(&Self::encode_line(&Revocation::Token { id }, entry.until_s));
        }
        out
    }

    /// Reads lines. Gives what they say, without what has expired, and how many of them are damaged: a torn last one is what a crash leaves, any
    /// other must be told to people, since somebody may get in again by it.
    #[must_use]
    pub fn decode(bytes: &[u8], now_s: u64) -> (Self, Damage) {
        let (mut table, mut damage) = (Self::default(), Damage::default());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match read_line(line) {
                Some((revocation, until_s)) if until_s > now_s => {
                    damage.dropped += usize::from(table.put(&revocation, until_s, now_s).is_err());
                }
                Some(_) => {}
                None if line.last() != Some(&b'\n') => damage.torn = true,
                None => damage.broken += 1,
            }
        }
        (table, damage)
    }
}

/// What could not be read of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The last line was not finished: it was never acknowledged.
    pub torn: bool,
    /// Lines whose checksum does not agree.
    pub broken: usize,
    /// Lines that found the table full.
    pub dropped: usize,
}

/// Whatever reaches farther counts.
fn joined(before: Option<Entry>, issued_s_max: u64, until_s: u64) -> Entry {
    Entry {
        issued_s_max: before.map_or(issued_s_max, |old| old.issued_s_max.max(issued_s_max)),
        until_s: before.map_or(until_s, |old| old.until_s.max(until_s)),
    }
}

fn line(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 10);
    // Writing to a String cannot fail.
    let _ = writeln!(line, "{:08x} {json}", crc32fast::hash(json.as_bytes()));
    line
}

fn read_line(line: &[u8]) -> Option<(Revocation, u64)> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (checksum, json) = line.split_once(' ')?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(json.as_bytes()) {
        return None;
    }
    let entry: Map<String, Value> = serde_json::from_str(json).ok()?;
    let text = |name: &str| entry.get(name)?.as_str().map(Arc::from);
    let number = |name: &str| entry.get(name).and_then(Value::as_u64);
    let until_s = number("until")?;
    let revocation = match (text("user"), text("token")) {
        (Some(user), None) => Revocation::User {
            user,
            issued_s_max: number("issued_max")?,
        },
        (None, Some(id)) => Revocation::Token { id },
        (None, None) => Revocation::All {
            issued_s_max: number("issued_max")?,
        },
        _ => return None,
    };
    Some((revocation, until_s))
}
