//! HTTP's CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use taut_wire::http::{self, Limits, Method, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Talk;
use crate::error::DialError;
use crate::story::Scene;
use crate::telling::escaped;
use crate::websocket::without_secrets;

/// Bytes of the answer's head at most.
const HEAD_BYTES_MAX: usize = 16 << 10;

pub(super) async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    talk: &Talk<'_>,
) -> Result<(), DialError> {
    let request = encode(talk);
    talk.telling.begin("sending CONNECT to the proxy");
    stream
        .write_all(&request)
        .await
        .map_err(|error| talk.broken(&error))?;
    talk.telling.tell(&Scene::ProxyAsked {
        request: &without_secrets(&request),
    });
    talk.telling
        .begin("waiting for the proxy's answer to CONNECT");
    let head = read_head(stream, talk).await?;
    talk.telling.tell(&Scene::ProxyAnswered {
        answer: &String::from_utf8_lossy(&head),
    });
    let limits = Limits {
        head_bytes_max: HEAD_BYTES_MAX,
        ..Limits::default()
    };
    match http::parse_response(&head, &limits, &Method::Connect) {
        Ok(Some((response, _))) if (200..300).contains(&response.status) => Ok(()),
        Ok(Some((response, _))) => Err(refused(&response, talk)),
        Ok(None) => Err(talk.fail("sent an answer without an end", None, false)),
        Err(violation) => {
            let text = format!("sent an answer that is no proper HTTP: {violation}");
            Err(talk.fail(text, None, false))
        }
    }
}

fn encode(talk: &Talk<'_>) -> Vec<u8> {
    let target = talk.url.authority();
    let mut request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Connection: Keep-Alive\r\n");
    if let Some((user, password)) = &talk.proxy.credentials {
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {credentials}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// Reads the head byte by byte: what follows it is the target's, and a head has a few hundred bytes.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    talk: &Talk<'_>,
) -> Result<Vec<u8>, DialError> {
    const BEGIN: &[u8] = b"HTTP/1.";
    let mut head = Vec::new();
    loop {
        let byte = stream.read_u8().await.map_err(|error| {
            if head.is_empty() && error.kind() == std::io::ErrorKind::UnexpectedEof {
                return talk.fail("hung up without an answer to CONNECT", None, true);
            }
            talk.broken(&error)
        })?;
        head.push(byte);
        let begin = &head[..head.len().min(BEGIN.len())];
        if !BEGIN.starts_with(begin) {
            return Err(talk.wrong_protocol(stream, "HTTP", head).await);
        }
        if head.ends_with(b"\r\n\r\n") {
            return Ok(head);
        }
        if head.len() >= HEAD_BYTES_MAX {
            let text = format!("sent an answer whose head is longer than {HEAD_BYTES_MAX} bytes");
            return Err(talk.fail(text, None, false));
        }
    }
}

fn refused(response: &Response<'_>, talk: &Talk<'_>) -> DialError {
    let status = response.status;
    let target = talk.url.authority();
    let answered = format!("answered {status} {}", escaped(response.reason, 60));
    let answered = answered.trim_end();
    let text = match status {
        407 if talk.proxy.credentials.is_some() => {
            format!("does not accept this user name and password ({answered})")
        }
        407 => format!("wants a user name and password ({answered})"),
        403 => format!("does not let anybody through to {target} ({answered})"),
        405 | 501 => format!("is none, or does not know CONNECT ({answered})"),
        502..=504 => format!("could not reach {target} ({answered})"),
        _ => format!("did not open a way to {target} ({answered})"),
    };
    talk.fail(text, Some(status), matches!(status, 429 | 500 | 502..=504))
}
