//! One pass over valid JSON, which finds the objects that stand for attachments.
//!
//! What stands for one holds no object itself, so that each byte is looked at twice at most.

use std::borrow::Cow;

const PLACEHOLDER: &str = "_placeholder";
/// The longest that one character of a name can be written: `\u005f`.
const ESCAPE_BYTES_MAX: usize = 6;

/// Which objects stand for attachments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `{"_placeholder":true,"num":N}`, its members in any order.
    Placeholders,
    /// `{"base64":"…"}`.
    Base64,
}

/// A stretch of the JSON.
pub(super) enum Piece<'a> {
    /// It stays as it is.
    Plain(&'a str),
    /// It stands for this attachment.
    Placeholder(usize),
    /// It is this attachment, escapes undone.
    Base64(Cow<'a, str>),
    /// Between two stretches: here something else has a member `_placeholder`.
    Stray,
}

/// The JSON as pieces in their order.
pub(super) struct Walk<'a> {
    json: &'a str,
    wanted: Wanted,
    /// What was not handed out yet begins here.
    start: usize,
    /// What was not looked at yet begins here.
    at: usize,
    found: Option<Piece<'a>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(json: &'a str, wanted: Wanted) -> Self {
        Self {
            json,
            wanted,
            start: 0,
            at: 0,
            found: None,
        }
    }

    /// Goes on behind the string that begins here; whether it is the name of a stray placeholder.
    fn pass_string(&mut self) -> bool {
        let mut cursor = Cursor::at(self.json, self.at);
        let Some(literal) = cursor.string() else {
            self.at = self.json.len();
            return false;
        };
        self.at = cursor.at;
        spells(literal, PLACEHOLDER) && cursor.take(":")
    }

    fn attachment(&self) -> Option<(Piece<'a>, usize)> {
        let mut cursor = Cursor::at(self.json, self.at);
        let piece = match self.wanted {
            Wanted::Placeholders => Piece::Placeholder(placeholder(&mut cursor)?),
            Wanted::Base64 => Piece::Base64(base64(&mut cursor)?),
        };
        Some((piece, cursor.at))
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        let bytes = self.json.as_bytes();
        while let Some(ahead) = memchr::memchr2(b'"', b'{', bytes.get(self.at..)?) {
            self.at += ahead;
            if bytes[self.at] == b'"' {
                if self.pass_string() {
                    return Some(Piece::Stray);
                }
                continue;
            }
            let Some((piece, end)) = self.attachment() else {
                self.at += 1;
                continue;
            };
            let plain = &self.json[self.start..self.at];
            (self.start, self.at) = (end, end);
            self.found = Some(piece);
            return Some(Piece::Plain(plain));
        }
        let plain = &self.json[self.start..];
        (self.start, self.at) = (bytes.len(), bytes.len());
        (!plain.is_empty()).then_some(Piece::Plain(plain))
    }
}

/// `{"_placeholder":true,"num":N}`.
fn placeholder(cursor: &mut Cursor<'_>) -> Option<usize> {
    if !cursor.take("{") {
        return None;
    }
    let number = if cursor.take_name(PLACEHOLDER) {
        let is_one = cursor.take("true") && cursor.take(",") && cursor.take_name("num");
        is_one.then(|| cursor.number())??
    } else if cursor.take_name("num") {
        let number = cursor.number()?;
        let is_one = cursor.take(",") && cursor.take_name(PLACEHOLDER) && cursor.take("true");
        is_one.then_some(number)?
    } else {
        return None;
    };
    cursor.take("}").then_some(number)
}

/// `{"base64":"…"}`.
fn base64<'a>(cursor: &mut Cursor<'a>) -> Option<Cow<'a, str>> {
    if !(cursor.take("{") && cursor.take_name("base64")) {
        return None;
    }
    let literal = cursor.string()?;
    let text = match literal.get(1..literal.len() - 1) {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        _ => Cow::Owned(serde_json::from_str::<String>(literal).ok()?),
    };
    cursor.take("}").then_some(text)
}

/// Whether a string with its quotes is `word`, however it is escaped.
fn spells(literal: &str, word: &str) -> bool {
    let inner = literal
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner == Some(word)
        || literal.len() <= word.len() * ESCAPE_BYTES_MAX + 2
            && literal.contains('\\')
            && serde_json::from_str::<String>(literal).is_ok_and(|name| name == word)
}

/// A place in valid JSON.
struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn at(json: &'a str, at: usize) -> Self {
        Self { json, at }
    }

    /// What is ahead, without white space.
    fn rest(&mut self) -> &'a str {
        let rest = self.json.get(self.at..).unwrap_or_default();
        let rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = self.json.len() - rest.len();
        rest
    }

    fn take(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.at += token.len();
        }
        is_next
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        if bytes.first() != Some(&b'"') {
            return None;
        }
        let mut end = 1;
        loop {
            end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes[end] == b'"' {
                break;
            }
            end += 2;
        }
        let literal = rest.get(..=end)?;
        self.at += literal.len();
        Some(literal)
    }

    /// A member's name with its colon; stays where it is another one.
    fn take_name(&mut self, name: &str) -> bool {
        let start = self.at;
        let is_next = self.string().is_some_and(|literal| spells(literal, name)) && self.take(":");
        if !is_next {
            self.at = start;
        }
        is_next
    }

    /// A whole number in digits.
    fn number(&mut self) -> Option<usize> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        self.at += digits;
        rest[..digits].parse().ok()
    }
}
