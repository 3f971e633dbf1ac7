//! From a request of HTTP/2 to the same of HTTP/1.1, where a field could end a line or a body.
//!
//! The `h2` crate refuses most of what is malformed already. Everything is judged here again, so that what a lane carries does not depend on it: whatever is not plainly one
//! request is refused (RFC 9113 §8.2, §8.3, §10.3). What is left is judged by the core as any request: its Host, its target, its size.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderName, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use taut_wire::http::Host;

/// Fields that speak of one connection of HTTP/1.1 (RFC 9113 §8.2.2).
const OF_CONNECTIONS: [&str; 6] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A request as it goes down a lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The request line and the fields, with the empty line.
    pub(super) head: Vec<u8>,
    /// Whether the answer has no body, whatever it says.
    pub(super) is_head: bool,
    /// Whether the body goes in chunks, since its length is not known.
    pub(super) is_chunked: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The status of the answer.
    pub(super) status: u16,
    /// The broken clause.
    pub(super) clause: &'static str,
    /// What is wrong.
    pub(super) text: &'static str,
}

const fn bad(clause: &'static str, text: &'static str) -> Malformed {
    Malformed {
        status: 400,
        clause,
        text,
    }
}

/// Translates the head of a request; `has_body`: it does not end the stream.
pub(super) fn translate(request: &Parts, has_body: bool) -> Result<Translated, Malformed> {
    if request.method == Method::CONNECT {
        return Err(Malformed {
            status: 501,
            clause: "RFC 9110 §9.3.6",
            text: "this server is no proxy: there is no CONNECT",
        });
    }
    if !is_token(request.method.as_str().as_bytes()) {
        return Err(bad("RFC 9110 §9.1", "the method is not a token"));
    }
    if request.uri.scheme_str() != Some("https") {
        return Err(bad("RFC 9113 §8.3.1", "the :scheme is not https"));
    }
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(request.method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(target(request)?.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = host(request)? {
        put(&mut head, b"host", host.as_bytes());
    }
    for (name, value) in &request.headers {
        check(name, value)?;
        if name == TE && !value.as_bytes().eq_ignore_ascii_case(b"trailers") {
            return Err(bad("RFC 9113 §8.2.2", "TE is anything but `trailers`"));
        }
        // Nothing here has trailers.
        if ![HOST, COOKIE, CONTENT_LENGTH, TE].contains(name) {
            put(&mut head, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    put_cookie(&mut head, &request.headers);
    let length = length(&request.headers, has_body)?;
    let is_chunked = has_body && length.is_none();
    if is_chunked {
        put(&mut head, b"transfer-encoding", b"chunked");
    }
    if let Some(length) = length {
        put(&mut head, b"content-length", length.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    Ok(Translated {
        head,
        is_head: request.method == Method::HEAD,
        is_chunked,
    })
}

/// The target: what `:path` holds.
fn target(request: &Parts) -> Result<&str, Malformed> {
    let target = request
        .uri
        .path_and_query()
        .map_or("", |path| path.as_str());
    let is_whole = target.starts_with('/') || target == "*";
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if is_whole && target.bytes().all(is_plain) {
        return Ok(target);
    }
    Err(bad(
        "RFC 9113 §8.3.1",
        "the :path holds a character that must be percent-encoded, or does not begin with `/`",
    ))
}

/// To whom it is addressed, said once or twice alike.
fn host(request: &Parts) -> Result<Option<&str>, Malformed> {
    let mut named = request.headers.get_all(HOST).iter();
    let host = match (named.next(), named.next()) {
        (_, Some(_)) => return Err(bad("RFC 9112 §3.2", "Host is given more than once")),
        (Some(host), None) => match host.to_str() {
            Ok(host) => Some(host),
            Err(_) => return Err(bad("RFC 9110 §7.2", "the Host is not ASCII")),
        },
        (None, None) => None,
    };
    let authority = request.uri.authority().map(|authority| authority.as_str());
    let (Some(authority), Some(host)) = (authority, host) else {
        return Ok(authority.or(host));
    };
    let agrees = Host::parse(host.as_bytes()).is_ok_and(|host| host.is(authority, "https://"));
    if !agrees {
        return Err(bad(
            "RFC 9113 §8.3.1",
            "the Host field names another host than :authority",
        ));
    }
    Ok(Some(authority))
}

/// Whether a field is one, and means a request and not a connection.
fn check(name: &HeaderName, value: &HeaderValue) -> Result<(), Malformed> {
    let (name, value) = (name.as_str(), value.as_bytes());
    if !is_token(name.as_bytes()) || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's name is not a token in lower case",
        ));
    }
    let is_field_byte = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    if !value.iter().all(is_field_byte) {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's value holds a control character",
        ));
    }
    if value.trim_ascii().len() != value.len() {
        return Err(bad(
            "RFC 9113 §8.2.1",
            "a field's value begins or ends with white space",
        ));
    }
    if OF_CONNECTIONS.contains(&name) {
        return Err(bad(
            "RFC 9113 §8.2.2",
            "a field speaks of a connection of HTTP/1.1",
        ));
    }
    Ok(())
}

/// Several Cookie fields are one (RFC 9113 §8.2.3).
fn put_cookie(head: &mut Vec<u8>, fields: &HeaderMap) {
    let cookies: Vec<&[u8]> = fields
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !cookies.is_empty() {
        put(head, b"cookie", &cookies.join(&b"; "[..]));
    }
}

/// The announced length of the body, said once or several times alike.
fn length(fields: &HeaderMap, has_body: bool) -> Result<Option<&str>, Malformed> {
    let mut said = fields.get_all(CONTENT_LENGTH).iter();
    let Some(first) = said.next() else {
        return Ok(None);
    };
    let number = first.to_str().ok().filter(|text| {
        (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let Some(number) = number.filter(|_| said.all(|other| other == first)) else {
        return Err(bad("RFC 9110 §8.6", "the Content-Length is not one number"));
    };
    if !has_body && number.bytes().any(|digit| digit != b'0') {
        return Err(bad(
            "RFC 9113 §8.1.1",
            "a body is announced and there is none",
        ));
    }
    Ok(Some(number))
}

fn put(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

fn is_token(text: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token_byte)
}
