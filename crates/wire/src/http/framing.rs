//! Where a body ends: the one question that two programs in a row must answer alike.

use super::{Headers, Version, Violation};

/// How the length of a body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// So many bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the connection ends; responses only.
    ToEnd,
}

impl Framing {
    /// What Content-Length and Transfer-Encoding say together; `None` when neither is there.
    pub(super) fn read(headers: &Headers<'_>, version: Version) -> Result<Option<Self>, Violation> {
        let mut length = None;
        let mut chunked = false;
        for (name, value) in headers.fields() {
            if name.eq_ignore_ascii_case(b"content-length") {
                if length.is_some() {
                    return Err(Violation::bad(
                        "RFC 9112 §6.3",
                        "Content-Length is given more than once",
                    ));
                }
                length = Some(parse_length(value)?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if chunked {
                    return Err(Violation::bad(
                        "RFC 9112 §6.1",
                        "Transfer-Encoding is given more than once",
                    ));
                }
                check_coding(value)?;
                chunked = true;
            }
        }
        match (length, chunked) {
            (_, true) if version == Version::Http10 => Err(Violation::bad(
                "RFC 9112 §6.1",
                "HTTP/1.0 has no Transfer-Encoding",
            )),
            (Some(_), true) => Err(Violation::bad(
                "RFC 9112 §6.1",
                "Content-Length and Transfer-Encoding are both given",
            )),
            (None, true) => Ok(Some(Self::Chunked)),
            (length, false) => Ok(length.map(Self::Length)),
        }
    }
}

/// One number of digits. A sign, a list and nothing at all are refused, a list of equal numbers too (RFC 9110 §8.6 lets us).
fn parse_length(value: &[u8]) -> Result<u64, Violation> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Violation::bad(
            "RFC 9110 §8.6",
            "Content-Length is not one number",
        ));
    }
    value
        .iter()
        .try_fold(0u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or_else(|| {
            Violation::new(
                413,
                "RFC 9110 §8.6",
                "Content-Length is larger than any body",
            )
        })
}

/// Exactly `chunked`; a coding that we do not have is a 501, a list that chunks twice or not at the end a 400 (RFC 9112 §6.1, §6.3).
fn check_coding(value: &[u8]) -> Result<(), Violation> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let last = codings.next_back().unwrap_or_default();
    let before_is_other = codings.all(|coding| {
        super::head::is_token(
            coding
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default(),
        ) && !coding.eq_ignore_ascii_case(b"chunked")
    });
    if last.eq_ignore_ascii_case(b"chunked") && before_is_other {
        return Err(Violation::new(
            501,
            "RFC 9112 §6.1",
            "the only transfer coding here is `chunked`",
        ));
    }
    if super::head::is_token(value) && !value.eq_ignore_ascii_case(b"identity") {
        return Err(Violation::new(
            501,
            "RFC 9112 §6.1",
            "the transfer coding is not `chunked`",
        ));
    }
    Err(Violation::bad(
        "RFC 9112 §6.3",
        "Transfer-Encoding is not `chunked`",
    ))
}
