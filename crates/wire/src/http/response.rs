use super::framing::Framing;
use super::head::{self, Limits, Version};
use super::request::keeps_alive;
use super::{Headers, Method, Violation};

/// A response's head, read and checked; the client's side.
#[derive(Debug, Clone, Copy)]
pub struct Response<'b> {
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The status code, 100 to 999.
    pub status: u16,
    /// The words behind it, which mean nothing (RFC 9112 §4).
    pub reason: &'b [u8],
    /// Every header field.
    pub headers: Headers<'b>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether another request may be sent on this connection once the body is read.
    pub keep_alive: bool,
}

/// Reads the response head at the front of `input`; `method` is that of the request, on which depends whether a body follows.
///
/// `None`: more bytes are needed. The number is how many bytes the head has. A 1xx other than 101 is followed by the real response.
///
/// # Errors
/// A [`Violation`] when it is no HTTP/1.x response or when its length is in doubt.
pub fn parse_response<'b>(
    input: &'b [u8],
    limits: &Limits,
    method: &Method<'_>,
) -> Result<Option<(Response<'b>, usize)>, Violation> {
    let Some(end) = head::find_end(input, 0, limits)? else {
        return Ok(None);
    };
    let (line, fields) = head::parse_lines(&input[..end])?;
    let (version, status, reason) = parse_status_line(line)?;
    let headers = head::parse_fields(fields, limits)?;
    let announced = Framing::read(&headers, version)?;
    let framing = if is_bodyless(status, method) {
        Framing::None
    } else {
        announced.unwrap_or(Framing::ToEnd)
    };
    let response = Response {
        version,
        status,
        reason,
        headers,
        framing,
        keep_alive: framing != Framing::ToEnd && keeps_alive(&headers, version),
    };
    Ok(Some((response, end)))
}

/// `VERSION SP STATUS [SP REASON]` (RFC 9112 §4).
fn parse_status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), Violation> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let version = Version::parse(words.next().unwrap_or_default())?;
    let status = match words.next() {
        Some(&[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']) => [a, b, c]
            .iter()
            .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
        _ => {
            return Err(Violation::bad(
                "RFC 9112 §4",
                "the status is not three digits",
            ));
        }
    };
    let reason = words.next().unwrap_or_default();
    if !reason.iter().all(|byte| head::is_field_byte(*byte)) {
        return Err(Violation::bad(
            "RFC 9112 §4",
            "the reason phrase holds a control character",
        ));
    }
    Ok((version, status, reason))
}

/// Responses that have no body whatever their fields say (RFC 9112 §6.3).
fn is_bodyless(status: u16, method: &Method<'_>) -> bool {
    matches!(status, 100..=199 | 204 | 304)
        || *method == Method::Head
        || (*method == Method::Connect && (200..300).contains(&status))
}
