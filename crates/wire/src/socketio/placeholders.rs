//! Which attachments an argument list speaks of.
//!
//! A loop over known JSON and not a parser: it does not recurse, and it lets pass what a parser into Rust's types cannot hold
//! (half of a surrogate pair, `1e999`) but JavaScript can.

use memchr::memchr2;

use crate::Violation;

/// Judges each object with `"_placeholder":true` in `json`, which is valid JSON or several with commas between them: its `num` is a
/// whole number below `attachments`.
///
/// # Errors
/// A violation where it is not.
pub(super) fn check(json: &str, attachments: u32) -> Result<(), Violation> {
    let mut around = Vec::new();
    let mut level = Level::default();
    let mut rest = json;
    while let Some(token) = next(&mut rest) {
        match token.as_bytes() {
            b"{" | b"[" => {
                around.push(std::mem::take(&mut level));
                level.awaits_key = token == "{";
                level.is_object = token == "{";
            }
            b"}" | b"]" => {
                if level.is_placeholder && level.num.is_none_or(|num| num >= attachments) {
                    return Err(Violation::new(
                        "Socket.IO v5, binary attachments",
                        "a placeholder names no attachment of its packet",
                    ));
                }
                level = around.pop().unwrap_or_default();
                level.value("");
            }
            b"," => level.awaits_key = level.is_object,
            b":" => {}
            _ if level.awaits_key => level.key(token),
            _ => level.value(token),
        }
    }
    Ok(())
}

/// What is known of the array or object that the loop is in.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    is_object: bool,
    awaits_key: bool,
    key: Key,
    /// The last `_placeholder` is true.
    is_placeholder: bool,
    /// The last `num`, if it is a whole number.
    num: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Key {
    Placeholder,
    Num,
    #[default]
    Other,
}

impl Level {
    /// Takes a key with its quotes. One with escapes is the same key, if somebody should write it so.
    fn key(&mut self, quoted: &str) {
        self.awaits_key = false;
        self.key = match quoted {
            "\"_placeholder\"" => Key::Placeholder,
            "\"num\"" => Key::Num,
            _ if quoted.contains('\\') => match serde_json::from_str::<String>(quoted).as_deref() {
                Ok("_placeholder") => Key::Placeholder,
                Ok("num") => Key::Num,
                _ => Key::Other,
            },
            _ => Key::Other,
        };
    }

    /// Takes the value of the last key; an array or object comes as nothing.
    fn value(&mut self, value: &str) {
        match self.key {
            Key::Placeholder => self.is_placeholder = value == "true",
            Key::Num => self.num = value.parse().ok(),
            Key::Other => {}
        }
        self.key = Key::Other;
    }
}

/// The next bracket, comma, colon, string with its quotes, number or word.
fn next<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start();
    let bytes = match text.as_bytes() {
        [] => return None,
        [b'{' | b'}' | b'[' | b']' | b',' | b':', ..] => 1,
        [b'"', string @ ..] => 1 + string_bytes(string),
        other => other
            .iter()
            .position(|byte| {
                matches!(
                    byte,
                    b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
                )
            })
            .unwrap_or(other.len()),
    };
    let (token, behind) = text.split_at_checked(bytes)?;
    *rest = behind;
    Some(token)
}

/// How many bytes a string has behind its opening quote, the closing one included.
fn string_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}
