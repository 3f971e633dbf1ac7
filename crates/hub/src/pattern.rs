//! Patterns over room names, for policies.

use std::fmt;
use std::str::FromStr;

use crate::name::NAME_BYTES_MAX;

/// A pattern over room names: literal segments, `*` for exactly one segment, `**` for any number of them, also none.
///
/// There are no other wildcards, and none inside a segment: `prices/**` covers `prices` and `prices/eur/usd`, `pri*` is an error.
/// In grants the segment `$user` stands for the name of whoever asks, see [`Pattern::parse_for_users`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    Literal(Box<str>),
    User,
    One,
    Any,
}

/// What is wrong with a pattern, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is nothing in it.
    #[error("the pattern is empty; write ** for every room")]
    Empty,
    /// No room name is as long, so nothing would ever match.
    #[error("the pattern is {bytes} bytes long and no room name is longer than {NAME_BYTES_MAX}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Two slashes in a row, one at the start or one at the end.
    #[error(
        "the pattern \"{pattern}\" has an empty segment; write one slash between segments and none at the ends"
    )]
    EmptySegment {
        /// The pattern.
        pattern: String,
    },
    /// A star beside other characters.
    #[error(
        "the segment \"{segment}\" mixes a wildcard with other characters; * stands for one whole segment, ** for any number of them"
    )]
    PartialWildcard {
        /// The segment.
        segment: String,
    },
    /// A wildcard of another system.
    #[error(
        "the segment \"{segment}\" has a \"{character}\", which no room name has; * stands for one segment (MQTT's +), ** for any number of them (MQTT's #, NATS's >)"
    )]
    ForeignWildcard {
        /// The segment.
        segment: String,
        /// Which character.
        character: char,
    },
    /// `$user` beside other characters: a user by the name of `b` and one by the name of `a-b` could meet.
    #[error(
        "the segment \"{segment}\" mixes $user with other characters; $user stands for one whole segment, as in users/$user/**"
    )]
    PartialUser {
        /// The segment.
        segment: String,
    },
    /// A segment that no room name can have.
    #[error("the segment {segment:?} is none that a room name can have; leave it out")]
    NoSuchSegment {
        /// The segment.
        segment: String,
    },
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        let mut segments = Vec::new();
        for segment in text.split('/') {
            let segment = parse_segment(segment, text)?;
            // Two in a row mean the same as one and would only slow the match down.
            if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
                segments.push(segment);
            }
        }
        Ok(Pattern { segments })
    }

    /// Reads a pattern of a grant, in which the segment `$user` stands for the name of whoever asks. It is compared as it is: no name
    /// becomes a wildcard or a second segment.
    pub fn parse_for_users(text: &str) -> Result<Pattern, PatternError> {
        let mut pattern = Pattern::parse(text)?;
        for segment in &mut pattern.segments {
            if let Segment::Literal(literal) = segment
                && literal.contains("$user")
            {
                if &**literal != "$user" {
                    return Err(PatternError::PartialUser {
                        segment: literal.to_string(),
                    });
                }
                *segment = Segment::User;
            }
        }
        Ok(pattern)
    }

    /// Every room.
    #[must_use]
    pub fn everything() -> Pattern {
        Pattern {
            segments: vec![Segment::Any],
        }
    }

    /// Whether it is [`Pattern::everything`].
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.segments == [Segment::Any]
    }

    /// How long it is when it is written, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        let length = |segment: &Segment| segment.as_str().len() + 1;
        self.segments.iter().map(length).sum::<usize>() - 1
    }

    /// Whether the pattern covers a room name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.matches_for(name, None)
    }

    /// Whether the pattern covers a room name for `user`. For nobody, `$user` covers nothing.
    #[must_use]
    pub fn matches_for(&self, name: &str, user: Option<&str>) -> bool {
        // The classic walk with one point of return: whatever an earlier `**` took, a later one can take as well.
        let mut names = name.split('/');
        let mut at = 0;
        let mut back = None;
        loop {
            let mut ahead = names.clone();
            let Some(segment) = ahead.next() else {
                return self.segments[at..].iter().all(|rest| *rest == Segment::Any);
            };
            let fits = match self.segments.get(at) {
                Some(Segment::Any) => {
                    back = Some((at, ahead));
                    at += 1;
                    continue;
                }
                Some(Segment::One) => true,
                Some(Segment::Literal(literal)) => **literal == *segment,
                Some(Segment::User) => user == Some(segment),
                None => false,
            };
            if fits {
                at += 1;
                names = ahead;
                continue;
            }
            let Some((any, from)) = &mut back else {
                return false;
            };
            at = *any + 1;
            names = from.clone();
            from.next();
        }
    }
}

impl Segment {
    fn as_str(&self) -> &str {
        match self {
            Self::Literal(literal) => literal,
            Self::User => "$user",
            Self::One => "*",
            Self::Any => "**",
        }
    }
}

fn parse_segment(segment: &str, pattern: &str) -> Result<Segment, PatternError> {
    match segment {
        "" => {
            return Err(PatternError::EmptySegment {
                pattern: pattern.to_owned(),
            });
        }
        "*" => return Ok(Segment::One),
        "**" => return Ok(Segment::Any),
        _ => {}
    }
    let segment_owned = || segment.to_owned();
    if segment.contains('*') {
        return Err(PatternError::PartialWildcard {
            segment: segment_owned(),
        });
    }
    if let Some(character) = segment.chars().find(|c| matches!(c, '+' | '#' | '>')) {
        return Err(PatternError::ForeignWildcard {
            segment: segment_owned(),
            character,
        });
    }
    if matches!(segment, "." | "..") || segment.chars().any(char::is_control) {
        return Err(PatternError::NoSuchSegment {
            segment: segment_owned(),
        });
    }
    Ok(Segment::Literal(Box::from(segment)))
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        Pattern::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(segment.as_str())?;
        }
        Ok(())
    }
}
