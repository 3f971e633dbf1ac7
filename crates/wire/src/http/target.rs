//! Paths and queries: percent-encoding both ways (RFC 3986 §2.1, the URL Standard's `application/x-www-form-urlencoded`).

use std::borrow::Cow;

use thiserror::Error;

/// Why a path or a query could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A `%` without two hexadecimal digits.
    #[error("a `%` is not followed by two hexadecimal digits")]
    BadPercent,
    /// `%2F` in a path: a slash that some programs take for a separator and others do not.
    #[error("a path holds `%2F`; write the slash itself")]
    Slash,
    /// The bytes are not UTF-8.
    #[error("the percent-encoded bytes are not UTF-8")]
    NotUtf8,
}

/// Decodes a path; its slashes stay separators, because an encoded one is refused.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode_path(encoded: &str) -> Result<Cow<'_, str>, DecodeError> {
    decode(encoded, |byte| match byte {
        b'/' => Err(DecodeError::Slash),
        byte => Ok(byte),
    })
}

/// The pairs of a query, decoded, in their order: `+` is a space, a name without `=` has an empty value, and nothing between two `&` is no pair.
pub fn query_pairs(
    query: &str,
) -> impl Iterator<Item = Result<(Cow<'_, str>, Cow<'_, str>), DecodeError>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode_form(name)?, decode_form(value)?))
        })
}

/// Encodes text for one segment of a path or one part of a query: everything but unreserved characters.
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    encode(text, is_unreserved)
}

/// Encodes a path whose slashes are separators, such as a room name.
pub fn percent_encode_path(path: &str) -> Cow<'_, str> {
    encode(path, |byte| byte == b'/' || is_unreserved(byte))
}

fn decode_form(encoded: &str) -> Result<Cow<'_, str>, DecodeError> {
    if !encoded.contains('+') {
        return decode(encoded, Ok);
    }
    // An encoded plus is `%2B`, so every plus here is a space.
    let spaced = encoded.replace('+', " ");
    Ok(Cow::Owned(decode(&spaced, Ok)?.into_owned()))
}

/// Decodes `%XX`; `check` sees every decoded byte.
fn decode(
    encoded: &str,
    check: impl Fn(u8) -> Result<u8, DecodeError>,
) -> Result<Cow<'_, str>, DecodeError> {
    if !encoded.contains('%') {
        return Ok(Cow::Borrowed(encoded));
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => check(hexadecimal(rest.next())? << 4 | hexadecimal(rest.next())?)?,
            byte => byte,
        });
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| DecodeError::NotUtf8)
}

fn hexadecimal(digit: Option<u8>) -> Result<u8, DecodeError> {
    match digit {
        Some(digit @ b'0'..=b'9') => Ok(digit - b'0'),
        Some(digit @ b'a'..=b'f') => Ok(digit - b'a' + 10),
        Some(digit @ b'A'..=b'F') => Ok(digit - b'A' + 10),
        _ => Err(DecodeError::BadPercent),
    }
}

fn encode(text: &str, is_kept: impl Fn(u8) -> bool) -> Cow<'_, str> {
    if text.bytes().all(&is_kept) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if is_kept(byte) {
            encoded.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(encoded)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
