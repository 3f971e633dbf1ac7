//! What requests and responses have in common: lines, and where the head ends.

use memchr::{memchr, memchr2_iter, memmem};

use super::{Headers, Violation};

/// How much of a head is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head with its first and its empty line; more is a 431. Above 65,535 it has no effect.
    pub head_bytes_max: usize,
    /// Header fields; more is a 431. Above [`HEADERS_MAX`](super::HEADERS_MAX) it has no effect.
    pub headers_max: usize,
    /// Bytes of a request's target; more is a 414.
    pub target_bytes_max: usize,
}

/// Bytes of a head at most, whatever [`Limits::head_bytes_max`] says: header fields are kept as 16-bit places.
pub(super) const HEAD_BYTES_MAX: usize = 65_535;

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            headers_max: super::HEADERS_MAX,
            target_bytes_max: 8 << 10,
        }
    }
}

/// The version that a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and every later HTTP/1.x (RFC 9110 §2.5).
    Http11,
}

impl Version {
    /// Reads `HTTP/1.x`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Violation> {
        match text {
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
                Ok(if *minor == b'0' {
                    Self::Http10
                } else {
                    Self::Http11
                })
            }
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Err(Violation::new(
                    505,
                    "RFC 9110 §15.6.6",
                    "the version is not HTTP/1.x",
                ))
            }
            _ => Err(Violation::bad(
                "RFC 9112 §2.3",
                "the line names no version like HTTP/1.1",
            )),
        }
    }
}

/// Bytes of the empty lines before a request (RFC 9112 §2.2 lets a server skip them).
pub(super) fn blank_lines(input: &[u8]) -> usize {
    input
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
        * 2
}

/// Where the head that begins at `begin` ends; `None` while its empty line has not come.
///
/// A CR or an LF alone is refused where it stands: one program ends the line there and the next does not.
pub(super) fn find_end(
    input: &[u8],
    begin: usize,
    limits: &Limits,
) -> Result<Option<usize>, Violation> {
    let head_bytes_max = limits.head_bytes_max.min(HEAD_BYTES_MAX);
    let window = &input[..input.len().min(head_bytes_max)];
    let mut line_begin = begin;
    for at in memchr2_iter(b'\r', b'\n', &window[begin.min(window.len())..]).map(|at| at + begin) {
        if window[at] == b'\r' {
            if window.get(at + 1).is_some_and(|next| *next != b'\n') {
                return Err(Violation::bad(
                    "RFC 9112 §2.2",
                    "a CR stands alone in the head",
                ));
            }
            continue;
        }
        if at == begin || window[at - 1] != b'\r' {
            return Err(Violation::bad(
                "RFC 9112 §2.2",
                "a line of the head ends in LF without CR",
            ));
        }
        if line_begin + 1 == at && line_begin > begin {
            return Ok(Some(at + 1));
        }
        line_begin = at + 1;
    }
    if input.len() >= head_bytes_max {
        return Err(Violation::new(
            431,
            "RFC 6585 §5",
            format!("the head is longer than {head_bytes_max} bytes"),
        ));
    }
    Ok(None)
}

/// The first line of a whole head and the fields below it.
pub(super) fn parse_lines(head: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    // A head has no CR but in its line ends.
    match memchr(b'\r', head) {
        Some(end) if head.len() >= end + 2 => Ok((&head[..end], &head[end + 2..])),
        _ => Err(Violation::bad("RFC 9112 §2.1", "the head has no line")),
    }
}

/// The fields of a whole head.
pub(super) fn parse_fields<'b>(
    fields: &'b [u8],
    limits: &Limits,
) -> Result<Headers<'b>, Violation> {
    Headers::parse(fields, limits.headers_max).map_err(|error| match error {
        httparse::Error::TooManyHeaders => {
            Violation::new(431, "RFC 6585 §5", "the head has too many header fields")
        }
        _ => explain(fields),
    })
}

/// Which rule the first bad field line breaks.
fn explain(fields: &[u8]) -> Violation {
    let mut rest = fields;
    while let Some(end) = memmem::find(rest, b"\r\n") {
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line
            .first()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        {
            return Violation::bad(
                "RFC 9112 §5.2",
                "a header line begins with white space (obsolete line folding)",
            );
        }
        let Some(colon) = memchr(b':', line) else {
            if line.is_empty() {
                break;
            }
            return Violation::bad("RFC 9112 §5", "a header line has no colon");
        };
        let name = &line[..colon];
        if name.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Violation::bad(
                "RFC 9112 §5.1",
                "white space stands between a header name and its colon",
            );
        }
        if !is_token(name) {
            return Violation::bad("RFC 9110 §5.1", "a header name is not a token");
        }
        if line[colon + 1..].iter().any(|byte| !is_field_byte(*byte)) {
            return Violation::bad("RFC 9110 §5.5", "a header value holds a control character");
        }
    }
    Violation::bad("RFC 9112 §5", "the header fields cannot be read")
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a header value may hold `byte`: HTAB, SP, visible ASCII and obs-text (RFC 9110 §5.5).
pub(super) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
