//! The opening handshake of a WebSocket (RFC 6455 §4.1), and what else may answer on that port.

use std::io;

use taut_wire::http::{self, Limits, Method};
use taut_wire::ws::handshake::{Agreed, Opening, check_response, encode_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::dial::plain;
use crate::error::Error;
use crate::options::Options;
use crate::random::Random;
use crate::url::Url;

/// The subprotocol of the native protocol.
const PROTOCOL: &str = "taut";

/// Bytes of the answer's head at most.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Opens a WebSocket on a connected stream. Gives what was agreed and the bytes that came behind the head.
pub(crate) async fn open(
    stream: &mut TcpStream,
    url: &Url,
    options: &Options,
    random: &mut Random,
) -> Result<(Agreed, Vec<u8>), Error> {
    let key = random.bytes()?;
    let authority = url.authority();
    let opening = Opening {
        host: &authority,
        path_and_query: &url.path,
        key: &key,
        protocols: &[PROTOCOL],
        origin: None,
        headers: &[],
        deflate: options.compression,
    };
    let mut request = Vec::new();
    encode_request(&mut request, &opening).map_err(|error| refuse(url, error.to_string(), None))?;
    // Servers that restart and proxies without one hang up: unlike a wrong answer, that may pass.
    let hung_up = |how: &str| Error::Unreachable {
        url: url.to_string(),
        text: format!("it hung up during the handshake{how}"),
        nobody_listens: false,
    };
    let broke = |error: io::Error| hung_up(&format!(" ({})", plain(&error)));
    stream.write_all(&request).await.map_err(broke)?;
    let mut head = Vec::new();
    loop {
        if let Some(agreed) = read_head(&mut head, &opening, url)? {
            return Ok((agreed, head));
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(refuse(url, "its answer has no end".into(), None));
        }
        let read = stream.read_buf(&mut head).await.map_err(broke)?;
        if read == 0 && head.is_empty() {
            return Err(hung_up(""));
        }
        if read == 0 {
            return Err(refuse(url, said(&head), None));
        }
    }
}

/// Judges the answer once its head is whole, and takes the head off its bytes.
fn read_head(
    bytes: &mut Vec<u8>,
    opening: &Opening<'_>,
    url: &Url,
) -> Result<Option<Agreed>, Error> {
    let limits = Limits {
        head_bytes_max: HEAD_BYTES_MAX,
        ..Limits::default()
    };
    let (response, head_bytes) = match http::parse_response(bytes, &limits, &Method::Get) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return Ok(None),
        Err(_) => return Err(refuse(url, said(bytes), None)),
    };
    if response.status != 101 {
        let text = match response.status {
            404 => "it answered 404: there is no socket at this path".into(),
            301 | 302 | 307 | 308 => format!(
                "it answered {}: it is elsewhere, at {}",
                response.status,
                shown(
                    response
                        .headers
                        .first("location")
                        .unwrap_or("a place it does not name")
                )
            ),
            status => format!("it answered {status}"),
        };
        return Err(refuse(url, text, Some(response.status)));
    }
    let agreed = check_response(&response, opening)
        .map_err(|violation| refuse(url, violation.to_string(), Some(101)))?;
    if agreed.protocol.as_deref() != Some(PROTOCOL) {
        let text = format!("it opened a WebSocket that does not speak `{PROTOCOL}`");
        return Err(refuse(url, text, Some(101)));
    }
    bytes.drain(..head_bytes);
    Ok(Some(agreed))
}

fn refuse(url: &Url, text: String, status: Option<u16>) -> Error {
    Error::Handshake {
        url: url.to_string(),
        text,
        status,
    }
}

/// The first line of what is no HTTP.
fn said(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    format!("it answered `{}`", shown(&String::from_utf8_lossy(line)))
}

/// At most 100 characters, none of which moves a terminal's cursor.
fn shown(text: &str) -> String {
    text.trim_end()
        .chars()
        .take(100)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
