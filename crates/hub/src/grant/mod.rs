//! Grants: what a Conn may do, computed once from its credentials.
//!
//! There is one resolver, [`Grant::decide`], for every door, command and tool. It knows no order: whatever one rule forbids stays forbidden,
//! else whatever one rule allows is allowed, else nothing is. So a grant that is put together from claims and roles means the same in any order.
//!
//! `$user` stays a segment of its own in the patterns and is compared with the user's name as a whole, when it is asked. A user by the
//! name of `*` or `a/b` gets no further by it: no segment of a room's name can be that. And users with the same rights share one grant.

mod rights;

use std::fmt;
use std::sync::Arc;

pub use rights::{Right, Rights, RightsError, parse_rights};

use crate::name::RoomName;
use crate::pattern::Pattern;

/// Rules that one grant may have: each decision looks at all of them.
pub const GRANT_RULES_MAX: usize = 64;

/// What the patterns and sources of one grant may hold together, in bytes.
pub const GRANT_BYTES_MAX: usize = 16 << 10;

/// What holds in the rooms that a pattern covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GrantRule {
    /// Which rooms. `$user` stands for the user's name.
    pub pattern: Pattern,
    /// What is allowed there.
    pub allowed: Rights,
    /// What is forbidden there, whatever another rule allows.
    pub denied: Rights,
    /// Where it was written, for people: `claim taut.grants["lobby"]`, `role editor, line 14 of taut.toml`.
    pub source: Arc<str>,
}

impl fmt::Display for GrantRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.pattern)?;
        if !self.allowed.is_empty() {
            write!(f, " allows {}", self.allowed)?;
        }
        if !self.denied.is_empty() {
            write!(f, " forbids {}", self.denied)?;
        }
        Ok(())
    }
}

/// What a Conn may do: rules without an order, see [`Grant::decide`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grant {
    rules: Box<[GrantRule]>,
    /// Every right in every room: nothing needs to be looked at.
    everything: bool,
}

/// Too much for one grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// More than [`GRANT_RULES_MAX`].
    #[error(
        "{rules} rules are too many for one grant, at most {GRANT_RULES_MAX} are allowed; cover more rooms by one pattern"
    )]
    TooManyRules {
        /// How many there are.
        rules: usize,
    },
    /// More than [`GRANT_BYTES_MAX`].
    #[error(
        "the rules of the grant have {bytes} bytes, at most {GRANT_BYTES_MAX} are allowed; cover more rooms by one pattern"
    )]
    TooLong {
        /// How long they are.
        bytes: usize,
    },
}

/// Whether something is allowed, and because of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is.
    pub allowed: bool,
    /// The rule that says so; `None` where none speaks of it, and so it is not allowed.
    pub because: Option<&'a GrantRule>,
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allowed { "yes" } else { "no" })?;
        match self.because {
            Some(rule) => write!(f, ", {rule}"),
            None => f.write_str(", nothing allows it"),
        }
    }
}

impl Grant {
    /// A grant of these rules.
    ///
    /// # Errors
    /// There are too many, or they are too long.
    pub fn new(rules: Vec<GrantRule>) -> Result<Self, GrantError> {
        if rules.len() > GRANT_RULES_MAX {
            return Err(GrantError::TooManyRules { rules: rules.len() });
        }
        let bytes = rules
            .iter()
            .map(|rule| rule.source.len() + rule.pattern.len_bytes())
            .sum();
        if bytes > GRANT_BYTES_MAX {
            return Err(GrantError::TooLong { bytes });
        }
        let allows_all =
            |rule: &GrantRule| rule.pattern.is_everything() && rule.allowed == Rights::ALL;
        let everything = rules.iter().any(allows_all) && rules.iter().all(|r| r.denied.is_empty());
        Ok(Self {
            rules: rules.into(),
            everything,
        })
    }

    /// Every right everywhere: what a server without authentication gives everybody.
    #[must_use]
    pub fn open() -> Self {
        Self {
            rules: Box::new([GrantRule {
                pattern: Pattern::everything(),
                allowed: Rights::ALL,
                denied: Rights::NONE,
                source: Arc::from("open server"),
            }]),
            everything: true,
        }
    }

    /// No right anywhere.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[GrantRule] {
        &self.rules
    }

    /// Whether it allows everything, so that nobody needs to ask.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// The one resolver: whether whoever has this grant, as `user` where its credentials named one, has a right in a room.
    ///
    /// Looks at each rule once, without an allocation.
    #[must_use]
    pub fn decide(&self, room: &RoomName, right: Right, user: Option<&str>) -> Decision<'_> {
        let mut decision = Decision {
            allowed: false,
            because: None,
        };
        for rule in &self.rules {
            let speaks = rule.denied.has(right) || rule.allowed.has(right) && !decision.allowed;
            if !speaks || !rule.pattern.matches_for(room.as_str(), user) {
                continue;
            }
            decision = Decision {
                allowed: !rule.denied.has(right),
                because: Some(rule),
            };
            if !decision.allowed {
                break;
            }
        }
        decision
    }

    /// [`Grant::decide`] without the reason.
    #[must_use]
    pub fn allows(&self, room: &RoomName, right: Right, user: Option<&str>) -> bool {
        self.everything || self.decide(room, right, user).allowed
    }
}
