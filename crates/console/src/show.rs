//! How payloads look on stdout, and how a person types them.
//!
//! Invariants that a reader could break:
//!
//! - `Escaped` never lets a peer's control character reach the terminal, but for line feed and tab, however the bytes were cut.
//! - `Raw` adds and loses no byte, so that what comes out of a pipe is what the peer sent.
//! - Memory is bounded: a [`Renderer`] keeps at most the 3 bytes of an unfinished UTF-8 sequence.
//!
//! Absent on purpose: escapes that a person types (`\n` means a backslash and an `n`); bytes are typed in hex or base64.

use std::io::IsTerminal as _;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use taut_wire::text::escape;

/// Takes base64 with and without its `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How payloads are written for stdout, and what a typed line means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// The bytes themselves.
    Raw,
    /// Text with control characters as `\x1b` and `\u{202e}`, and bytes that are not UTF-8 as `\xff`; line feeds and tabs stay.
    Escaped,
    /// Two lower-case digits a byte; each message, and each piece of a stream as it came, is a line.
    Hex,
    /// RFC 4648 §4 with padding; each message, and each piece of a stream as it came, is a line that can be decoded alone.
    Base64,
}

impl Rendering {
    /// What suits stdout: a terminal must not obey a peer, a pipe wants the bytes.
    #[must_use]
    pub fn of_stdout() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Escaped
        } else {
            Self::Raw
        }
    }

    /// Appends one whole payload (a message, a datagram), without a line end.
    pub fn message(self, out: &mut Vec<u8>, payload: &[u8]) {
        match self {
            Self::Raw => out.extend_from_slice(payload),
            Self::Escaped => {
                escape_text(out, payload, Tail::Final);
            }
            Self::Hex => encode_hex(out, payload),
            Self::Base64 => out.extend_from_slice(BASE64.encode(payload).as_bytes()),
        }
    }

    /// The bytes that a typed line means: the line itself, or what its hex or base64 stands for.
    ///
    /// Hex may be spaced or joined by `:`, `-` or `,`, and each byte may have a `0x` or `\x` before it. Base64 may be of the URL-safe alphabet and
    /// go without padding.
    ///
    /// # Errors
    /// What is wrong with it and where, for the person who typed it.
    pub fn parse(self, typed: &str) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Raw | Self::Escaped => Ok(typed.as_bytes().to_vec()),
            Self::Hex => decode_hex(typed),
            Self::Base64 => decode_base64(typed),
        }
    }
}

/// A typed line that is not what the mode asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unreadable {
    /// What is wrong and where, with an example of what would do.
    pub text: String,
}

/// Writes one stream for stdout, piece by piece as it comes.
#[derive(Debug)]
pub struct Renderer {
    rendering: Rendering,
    /// The beginning of a UTF-8 sequence whose rest has not come; `Escaped` only.
    unfinished: Vec<u8>,
}

impl Renderer {
    /// A renderer at the beginning of a stream.
    #[must_use]
    pub fn new(rendering: Rendering) -> Self {
        Self {
            rendering,
            unfinished: Vec::new(),
        }
    }

    /// Appends the next piece. In hex and base64 it is a line of its own, so that nothing has to wait for the next.
    pub fn piece(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.rendering {
            Rendering::Raw => out.extend_from_slice(bytes),
            Rendering::Escaped => self.escaped(out, bytes),
            Rendering::Hex | Rendering::Base64 => {
                self.rendering.message(out, bytes);
                out.push(b'\n');
            }
        }
    }

    /// Appends what was kept, at the end of the stream.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        escape_text(out, &std::mem::take(&mut self.unfinished), Tail::Final);
    }

    fn escaped(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        let kept = if self.unfinished.is_empty() {
            escape_text(out, bytes, Tail::More)
        } else {
            let mut joined = std::mem::take(&mut self.unfinished);
            joined.extend_from_slice(bytes);
            let kept = escape_text(out, &joined, Tail::More);
            joined.drain(..joined.len() - kept);
            self.unfinished = joined;
            return;
        };
        self.unfinished
            .extend_from_slice(&bytes[bytes.len() - kept..]);
    }
}

/// Whether more bytes may follow those that are given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    More,
    Final,
}

/// Appends `bytes` escaped; gives how many at the end were left out because more bytes may complete them.
fn escape_text(out: &mut Vec<u8>, bytes: &[u8], tail: Tail) -> usize {
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for (number, line) in chunk.valid().split('\n').enumerate() {
            if number > 0 {
                out.push(b'\n');
            }
            escape(out, line.as_bytes());
        }
        at += chunk.valid().len() + chunk.invalid().len();
        if tail == Tail::More && at == bytes.len() && is_unfinished(chunk.invalid()) {
            return chunk.invalid().len();
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\x");
            encode_hex(out, &[*byte]);
        }
    }
    0
}

/// Whether more bytes could make a character of it.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

fn encode_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| {
        [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]
    }));
}

fn decode_hex(typed: &str) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::with_capacity(typed.len() / 2);
    let mut first = None;
    let mut characters = typed.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if let Some(digit) = character.to_digit(16) {
            let is_prefix = character == '0'
                && characters
                    .peek()
                    .is_some_and(|(_, next)| matches!(next, 'x' | 'X'));
            if is_prefix && first.is_none() {
                characters.next();
                continue;
            }
            let digit = u8::try_from(digit).unwrap_or_default();
            match first.take() {
                None => first = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
            continue;
        }
        let is_escape = character == '\\' && characters.next_if(|(_, next)| *next == 'x').is_some();
        let is_between = character.is_whitespace() || matches!(character, ':' | '-' | ',');
        if !(is_escape || is_between) {
            return Err(Unreadable {
                text: format!(
                    "{character:?} (character {}) is no hexadecimal digit; type for example 68656c6c6f or 68 65 6c 6c 6f",
                    typed[..at].chars().count() + 1
                ),
            });
        }
        if first.is_some() {
            return Err(odd());
        }
    }
    if first.is_some() {
        Err(odd())
    } else {
        Ok(bytes)
    }
}

fn odd() -> Unreadable {
    Unreadable {
        text: "a byte has two hexadecimal digits, and one stands alone; type for example 0a for a line feed".to_owned(),
    }
}

fn decode_base64(typed: &str) -> Result<Vec<u8>, Unreadable> {
    let mut digits = String::with_capacity(typed.len());
    for (number, character) in typed.chars().enumerate() {
        match character {
            '-' => digits.push('+'),
            '_' => digits.push('/'),
            '+' | '/' | '=' => digits.push(character),
            _ if character.is_ascii_alphanumeric() => digits.push(character),
            _ if character.is_whitespace() => {}
            _ => {
                return Err(not_base64(&format!(
                    "{character:?} (character {}) is no base64 digit",
                    number + 1
                )));
            }
        }
    }
    BASE64.decode(&digits).map_err(|error| {
        not_base64(match error {
            base64::DecodeError::InvalidByte(..) => "a `=` stands before the end",
            base64::DecodeError::InvalidLength(_) => {
                "the last digit stands alone: something is cut off"
            }
            base64::DecodeError::InvalidLastSymbol(..) => {
                "the last digit has bits that belong to no byte"
            }
            base64::DecodeError::InvalidPadding => "the `=` at the end are too many or too few",
        })
    })
}

fn not_base64(what: &str) -> Unreadable {
    Unreadable {
        text: format!("{what}; type for example aGVsbG8="),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Renderer, Rendering};

    fn stream(rendering: Rendering, pieces: &[&[u8]]) -> String {
        let mut renderer = Renderer::new(rendering);
        let mut out = Vec::new();
        for piece in pieces {
            renderer.piece(&mut out, piece);
        }
        renderer.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_do_not_depend_on_how_a_stream_is_cut() {
        let text = "a\x1b[31m\u{2028}é\t漢🦀\r\n".as_bytes();
        let mut bytes = text.to_vec();
        bytes.extend_from_slice(b"\xff\xf0\x9f\xe2\x82");
        let whole = stream(Rendering::Escaped, &[&bytes]);
        assert_eq!(
            whole,
            "a\\x1b[31m\\u{2028}é\t漢🦀\\x0d\n\\xff\\xf0\\x9f\\xe2\\x82"
        );
        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(
                stream(Rendering::Escaped, &[front, back]),
                whole,
                "cut at {cut}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(stream(Rendering::Escaped, &single), whole);
    }

    #[test]
    fn hex_and_base64_are_a_line_for_each_piece() {
        assert_eq!(stream(Rendering::Hex, &[b"hi", b"", b"\n"]), "6869\n0a\n");
        assert_eq!(stream(Rendering::Base64, &[b"hi", b"\xff"]), "aGk=\n/w==\n");
    }

    #[test]
    fn typed_hex_may_be_spaced_and_prefixed() {
        for typed in [
            "68690a",
            "68 69 0A",
            "0x68,0x69,0x0a",
            "\\x68\\x69\\x0a",
            "68:69:0a",
            " 68-69-0a ",
        ] {
            assert_eq!(Rendering::Hex.parse(typed).unwrap(), b"hi\n", "{typed}");
        }
        for (typed, told) in [
            ("6", "stands alone"),
            ("6 8", "stands alone"),
            ("68zz", "'z' (character 3)"),
            ("0x", ""),
        ] {
            let parsed = Rendering::Hex.parse(typed);
            match told {
                "" => assert_eq!(parsed.unwrap(), b""),
                told => assert!(parsed.unwrap_err().text.contains(told), "{typed}"),
            }
        }
    }

    #[test]
    fn typed_base64_may_be_url_safe_and_without_padding() {
        assert_eq!(Rendering::Base64.parse("aGk=").unwrap(), b"hi");
        assert_eq!(Rendering::Base64.parse("aGk").unwrap(), b"hi");
        assert_eq!(
            Rendering::Base64.parse("-_ 8=").unwrap(),
            Rendering::Base64.parse("+/8=").unwrap()
        );
        for typed in ["é", "a", "a=Gk", "aGl", "aGk==="] {
            assert!(
                Rendering::Base64
                    .parse(typed)
                    .unwrap_err()
                    .text
                    .contains("aGVsbG8="),
                "{typed}"
            );
        }
    }
}
