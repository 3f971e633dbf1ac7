//! From an answer of HTTP/1.1 to the same of HTTP/2.

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use taut_wire::http::{self as wire, problem};

use super::request::Malformed;

/// Fields of a connection, and of the framing that HTTP/2 has in other ways.
const OF_CONNECTIONS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// An answer's head; `None` where it has a status that HTTP/2 has not.
pub(super) fn translate(answer: &wire::Response<'_>) -> Option<Response<()>> {
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(answer.status).ok()?;
    for (name, value) in answer.headers.iter() {
        let is_same = |other: &&str| name.eq_ignore_ascii_case(other);
        if OF_CONNECTIONS.iter().any(is_same) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            head.headers_mut().append(name, value);
        }
    }
    Some(head)
}

/// What a request is told that reached no core: head and body.
pub(super) fn refuse(why: &Malformed) -> (Response<()>, Vec<u8>) {
    let mut body = Vec::new();
    let detail = format!("{}: {}", why.clause, why.text);
    let title = wire::reason_phrase(why.status);
    problem::encode(&mut body, why.status, title, &detail, "bad-request");
    body.push(b'\n');
    let mut head = Response::new(());
    *head.status_mut() = StatusCode::from_u16(why.status).unwrap_or(StatusCode::BAD_REQUEST);
    let fields = head.headers_mut();
    fields.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static(problem::CONTENT_TYPE),
    );
    fields.insert(
        http::header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    fields.insert(http::header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    (head, body)
}
