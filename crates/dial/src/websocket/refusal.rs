//! What a server says that opens no WebSocket.

use std::time::Duration;

use taut_wire::http::{self, BodyDecoder, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use crate::error::DialError;
use crate::telling::{Telling, escaped};

/// Bytes of a refusal's body that are read at most; the rest is left out.
const BODY_BYTES_MAX: usize = 4 << 10;

/// How long its body is waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// The refusal of an answer that breaks HTTP.
pub(super) fn broken(
    violation: &http::Violation,
    bytes: &[u8],
    telling: &Telling<'_>,
) -> DialError {
    DialError::Handshake {
        place: telling.place.clone(),
        status: 0,
        text: format!(
            "its answer `{}` is no proper HTTP: {violation}",
            first_line(bytes)
        ),
        body: Vec::new(),
    }
}

/// The beginning of the body, as far as it comes soon: the refusal is understood without it too.
pub(super) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    response: &Response<'_>,
    rest: &[u8],
) -> Vec<u8> {
    let mut body = Vec::new();
    // Over time, what has come is used.
    let _ = timeout(BODY_WAIT, take_body(stream, response, rest, &mut body)).await;
    body.truncate(BODY_BYTES_MAX);
    body
}

async fn take_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    response: &Response<'_>,
    rest: &[u8],
    body: &mut Vec<u8>,
) {
    let Ok(mut decoder) = BodyDecoder::new(response.framing, u64::MAX) else {
        return;
    };
    let mut input = rest.to_vec();
    loop {
        while let Ok(step) = decoder.decode(&input) {
            body.extend_from_slice(step.data);
            let (consumed, done) = (step.consumed, step.done);
            input.drain(..consumed);
            if done || body.len() >= BODY_BYTES_MAX {
                return;
            }
            if consumed == 0 {
                break;
            }
        }
        match stream.read_buf(&mut input).await {
            Ok(read) if read > 0 && input.len() <= 2 * BODY_BYTES_MAX => {}
            _ => return,
        }
    }
}

/// The refusal of whoever opened no WebSocket.
pub(super) fn told(response: &Response<'_>, body: Vec<u8>, telling: &Telling<'_>) -> DialError {
    let status = response.status;
    let answered = format!("it answered {status} {}", escaped(response.reason, 60));
    let answered = answered.trim_end();
    let text = match status {
        301 | 302 | 303 | 307 | 308 => {
            let place = response
                .headers
                .first("location")
                .unwrap_or("a place that it does not name");
            format!(
                "{answered}: it is elsewhere, at {}",
                escaped(place.as_bytes(), 200)
            )
        }
        _ => match detail(&body) {
            Some(detail) => format!("{answered}: {detail}"),
            None if status == 404 => format!("{answered}: there is no WebSocket at this path"),
            None if status == 200 => {
                format!("{answered}: a page, where a WebSocket would answer 101")
            }
            None => answered.to_owned(),
        },
    };
    DialError::Handshake {
        place: telling.place.clone(),
        status,
        text,
        body,
    }
}

/// What a refusal says for people: the detail of problem JSON (RFC 9457), or a short plain text.
fn detail(body: &[u8]) -> Option<String> {
    const LINE_BYTES_MAX: usize = 200;
    let text = std::str::from_utf8(body).ok()?.trim();
    if let Some((_, rest)) = text.split_once("\"detail\":\"")
        && let Some(end) = rest.find('"')
        && text.starts_with('{')
    {
        return Some(escaped(&rest.as_bytes()[..end], LINE_BYTES_MAX));
    }
    let is_line = !text.is_empty() && text.len() <= LINE_BYTES_MAX && !text.contains('\n');
    (is_line && !text.starts_with(['<', '{'])).then(|| escaped(text.as_bytes(), LINE_BYTES_MAX))
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or(bytes);
    escaped(line, 100)
}
