//! Room names: slash-separated, so that they are URL paths, MQTT topics and NATS subjects alike.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest room name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;

/// A room's name, checked. Cloning it is a reference count.
///
/// UTF-8, 1 to 255 bytes, case-sensitive; segments separated by `/`; no empty, `.` or `..` segment; no control character;
/// none of `+ # * >`. Names that begin with `$` are well-formed but reserved: the shard refuses them, see [`RoomName::is_reserved`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

/// The rule that a room name breaks, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left once the leading slash is dropped.
    #[error("the room name is empty; name a room, for example lobby")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error(
        "the room name is {bytes} bytes long, at most {NAME_BYTES_MAX} are allowed; choose a shorter one"
    )]
    TooLong {
        /// How long the name is.
        bytes: usize,
    },
    /// Two slashes in a row, or one at the end.
    #[error(
        "the room name has an empty segment; write one slash between segments and none at the end"
    )]
    EmptySegment,
    /// A segment `.` or `..`, which URLs would resolve away.
    #[error("the room name has a segment \"{segment}\", which URLs resolve away; choose another")]
    DotSegment {
        /// `.` or `..`.
        segment: &'static str,
    },
    /// A control character, which no terminal or log may be shown.
    #[error("the room name has the control character U+{code:04X}; leave it out")]
    Control {
        /// Its code point.
        code: u32,
    },
    /// A character that is a wildcard in MQTT, NATS or our own patterns.
    #[error(
        "the room name has a \"{character}\", which is a wildcard in MQTT topics, NATS subjects or patterns; leave it out"
    )]
    Wildcard {
        /// Which one.
        character: char,
    },
}

impl RoomName {
    /// Checks `text` against the rules and keeps it. One leading slash is dropped: `/r/` URLs and MQTT topics both bring one.
    pub fn parse(text: &str) -> Result<RoomName, NameError> {
        Self::check(text).map(|name| RoomName(Arc::from(name)))
    }

    /// Checks `text` against the rules without allocating; gives the name without its leading slash.
    pub fn check(text: &str) -> Result<&str, NameError> {
        let name = text.strip_prefix('/').unwrap_or(text);
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: name.len() });
        }
        for character in name.chars() {
            if character.is_control() {
                return Err(NameError::Control {
                    code: u32::from(character),
                });
            }
            if matches!(character, '+' | '#' | '*' | '>') {
                return Err(NameError::Wildcard { character });
            }
        }
        for segment in name.split('/') {
            match segment {
                "" => return Err(NameError::EmptySegment),
                "." => return Err(NameError::DotSegment { segment: "." }),
                ".." => return Err(NameError::DotSegment { segment: ".." }),
                _ => {}
            }
        }
        Ok(name)
    }

    /// The room of a client that names none.
    #[must_use]
    pub fn lobby() -> RoomName {
        RoomName(Arc::from("lobby"))
    }

    /// The name, without a leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are one name's references: then they are equal, and nothing had to be compared.
    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the name begins with `$`: well-formed, but kept for the server's own use.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for RoomName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<RoomName, NameError> {
        RoomName::parse(text)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
