//! Patterns over room names, for policies.

use std::fmt;
use std::str::FromStr;

use crate::name::NAME_BYTES_MAX;

/// A pattern over room names: literal segments, `*` for exactly one segment, `**` for any number of them, also none.
///
/// There are no other wildcards, and none inside a segment: `prices/**` covers `prices` and `prices/eur/usd`, `pri*` is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
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

    /// Whether the pattern covers a room name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        // The classic walk with one point of return: whatever an earlier `**` took, a later one can take as well.
        let names: Vec<&str> = name.split('/').collect();
        let (mut at, mut taken) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while taken < names.len() {
            match self.segments.get(at) {
                Some(Segment::Any) => {
                    back = Some((at, taken));
                    at += 1;
                }
                Some(Segment::One) => {
                    at += 1;
                    taken += 1;
                }
                Some(Segment::Literal(literal)) if **literal == *names[taken] => {
                    at += 1;
                    taken += 1;
                }
                _ => match back {
                    Some((any, from)) => {
                        back = Some((any, from + 1));
                        at = any + 1;
                        taken = from + 1;
                    }
                    None => return false,
                },
            }
        }
        self.segments[at..].iter().all(|rest| *rest == Segment::Any)
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
            f.write_str(match segment {
                Segment::Literal(literal) => literal,
                Segment::One => "*",
                Segment::Any => "**",
            })?;
        }
        Ok(())
    }
}
