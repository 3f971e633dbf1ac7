//! What one may do in a room.

use std::fmt;

/// One thing that a Conn may be allowed in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// To be in it and hear what is said from then on.
    Join,
    /// To say something.
    Publish,
    /// To read what was said before.
    History,
    /// To see who is there, and who comes and goes.
    Who,
    /// To read what is set; with [`Right::Publish`] also to set it.
    State,
    /// To act on the room and on others in it through the API.
    Admin,
}

impl Right {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 6] = [
        Self::Join,
        Self::Publish,
        Self::History,
        Self::Who,
        Self::State,
        Self::Admin,
    ];

    /// The word for it, in claims and in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Publish => "publish",
            Self::History => "history",
            Self::Who => "who",
            Self::State => "state",
            Self::Admin => "admin",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.word() == word)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Several rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// What `*` stands for: everything but [`Right::Admin`], which must be named.
    pub const USUAL: Self = Self(0b1_1111);
    /// Every right there is.
    pub const ALL: Self = Self(0b11_1111);

    /// These, and one more.
    #[must_use]
    pub fn with(self, right: Right) -> Self {
        Self(self.0 | 1 << right as u8)
    }

    /// These, and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether `right` is among them.
    #[must_use]
    pub fn has(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Right::ALL.into_iter().filter(|right| self.has(*right));
        for (index, right) in words.enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(right.word())?;
        }
        Ok(())
    }
}

/// A word that is no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{word}\" is no right; they are join, publish, history, who, state, admin, and * for all but admin, each with a - before it to forbid it"
)]
pub struct RightsError {
    /// The word.
    pub word: String,
}

/// Reads words such as `join publish -state`: what is allowed, and what is forbidden. Words stand apart by spaces or commas.
///
/// A forbidding `-*` forbids everything, `admin` too.
///
/// # Errors
/// The first word that is none.
pub fn parse_rights(text: &str) -> Result<(Rights, Rights), RightsError> {
    let (mut allowed, mut denied) = (Rights::NONE, Rights::NONE);
    let words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    for word in words {
        let wrong = || RightsError {
            word: word.chars().take(32).collect(),
        };
        match word.strip_prefix('-') {
            Some("*") => denied = Rights::ALL,
            Some(word) => denied = denied.with(Right::of_word(word).ok_or_else(wrong)?),
            None if word == "*" => allowed = allowed.and(Rights::USUAL),
            None => allowed = allowed.with(Right::of_word(word).ok_or_else(wrong)?),
        }
    }
    Ok((allowed, denied))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_read_and_written() {
        let (allowed, denied) = parse_rights("join, publish  -state").unwrap();
        assert_eq!(allowed.to_string(), "join publish");
        assert_eq!(denied.to_string(), "state");
        assert_eq!(parse_rights("").unwrap(), (Rights::NONE, Rights::NONE));
    }

    #[test]
    fn a_star_is_everything_but_admin_and_forbids_admin_too() {
        assert!(!parse_rights("*").unwrap().0.has(Right::Admin));
        assert_eq!(parse_rights("* admin").unwrap().0, Rights::ALL);
        assert_eq!(parse_rights("-*").unwrap().1, Rights::ALL);
        assert_eq!(Right::ALL.into_iter().collect::<Rights>(), Rights::ALL);
    }

    #[test]
    fn another_word_is_said_and_cut() {
        assert_eq!(parse_rights("join JOIN").unwrap_err().word, "JOIN");
        let long = parse_rights(&"x".repeat(10_000)).unwrap_err();
        assert_eq!(long.word.len(), 32);
    }
}
