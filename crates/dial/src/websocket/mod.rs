//! The opening handshake of a WebSocket (RFC 6455 §4.1), the client's side, and what else may answer on that port.

mod refusal;

use std::io;

use taut_wire::http::{self, Limits, Method, Response};
use taut_wire::ws::handshake::{self, Agreed, accept_key, check_response, encode_key};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::error::DialError;
use crate::settings::Settings;
use crate::story::{Scene, Story};
use crate::telling::Telling;
use crate::url::Url;

/// Bytes of the answer's head at most.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is hashed behind the key (RFC 6455 §1.3).
const NUMBER: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a WebSocket's client asks for.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Subprotocols, the preferred one first.
    pub protocols: Vec<String>,
    /// The `Origin` field, which browsers send.
    pub origin: Option<String>,
    /// Further fields. An `Authorization` here goes before the URL's `user:password@`; a `Host` replaces the URL's.
    pub headers: Vec<(String, String)>,
    /// Whether to offer permessage-deflate (RFC 7692).
    pub deflate: bool,
    /// Milliseconds for the whole handshake. Default 10,000.
    pub answer_ms_max: u64,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            protocols: Vec::new(),
            origin: None,
            headers: Vec::new(),
            deflate: false,
            answer_ms_max: Settings::default().connect_ms_max,
        }
    }
}

/// Opens a WebSocket on a stream that [`open`](fn@crate::open) made. Gives what was agreed, and the bytes that came behind the head.
///
/// Whether the peer chose a subprotocol is the caller's to look at. After an error the stream is of no use.
///
/// # Errors
/// [`DialError::Handshake`] for any other answer than a WebSocket, [`DialError::WrongProtocol`] for what is no HTTP,
/// [`DialError::TimedOut`], [`DialError::Lost`], or [`DialError::Tls`] where the peer judges our certificate only now.
pub async fn open_websocket<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: &mut S,
    url: &Url,
    opening: &Opening,
    story: &dyn Story,
) -> Result<(Agreed, Vec<u8>), DialError> {
    let telling = Telling::new(story, url.authority());
    let way = async {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| DialError::System {
            doing: "draw random bytes",
            text: error.to_string(),
        })?;
        let asked = Asked::new(url, opening, key);
        asked.exchange(stream, &telling).await
    };
    telling.within(opening.answer_ms_max, way).await
}

/// The opening with all that the URL adds to it.
struct Asked<'o> {
    opening: &'o Opening,
    host: String,
    target: &'o str,
    headers: Vec<(&'o str, String)>,
    key: [u8; 16],
}

impl<'o> Asked<'o> {
    fn new(url: &'o Url, opening: &'o Opening, key: [u8; 16]) -> Self {
        let has = |wanted: &str| {
            opening
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let mut host = url.host_field();
        let mut headers = Vec::new();
        if let Some(authorization) = url.authorization().filter(|_| !has("authorization")) {
            headers.push(("Authorization", authorization));
        }
        for (name, value) in &opening.headers {
            if name.eq_ignore_ascii_case("host") {
                host.clone_from(value);
            } else {
                headers.push((name, value.clone()));
            }
        }
        Self {
            opening,
            host,
            target: if url.target.is_empty() {
                "/"
            } else {
                &url.target
            },
            headers,
            key,
        }
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        telling: &Telling<'_>,
    ) -> Result<(Agreed, Vec<u8>), DialError> {
        let protocols: Vec<&str> = self.opening.protocols.iter().map(String::as_str).collect();
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let opening = handshake::Opening {
            host: &self.host,
            path_and_query: self.target,
            key: &self.key,
            protocols: &protocols,
            origin: self.opening.origin.as_deref(),
            headers: &headers,
            deflate: self.opening.deflate,
        };
        let mut request = Vec::new();
        handshake::encode_request(&mut request, &opening).map_err(|error| {
            DialError::Unsendable {
                text: error.to_string(),
            }
        })?;
        telling.begin("sending the WebSocket's opening request");
        send(stream, &request)
            .await
            .map_err(|error| telling.broken(&error))?;
        telling.tell(&Scene::UpgradeAsked {
            head: &without_secrets(&request),
            key: &encode_key(&self.key),
        });
        telling.begin("waiting for the answer to the WebSocket's opening request");
        let mut bytes = Vec::new();
        let head_bytes = read_head(stream, &mut bytes, telling).await?;
        let response = match http::parse_response(&bytes, &limits(), &Method::Get) {
            Ok(Some((response, _))) => response,
            Ok(None) => return Err(telling.wrong_protocol("HTTP", &bytes)),
            Err(violation) => return Err(refusal::broken(&violation, &bytes, telling)),
        };
        self.tell_answer(&response, &bytes[..head_bytes], telling);
        if response.status != 101 {
            let rest = &bytes[head_bytes..];
            let body = refusal::read_body(stream, &response, rest).await;
            return Err(refusal::told(&response, body, telling));
        }
        let agreed =
            check_response(&response, &opening).map_err(|violation| DialError::Handshake {
                place: telling.place.clone(),
                status: 101,
                text: violation.to_string(),
                body: Vec::new(),
            })?;
        let rest = bytes.split_off(head_bytes);
        Ok((agreed, rest))
    }

    fn tell_answer(&self, response: &Response<'_>, head: &[u8], telling: &Telling<'_>) {
        let key = encode_key(&self.key);
        telling.tell(&Scene::UpgradeAnswered {
            head: &String::from_utf8_lossy(head),
            accept_expected: &accept_key(&key),
            accept_got: response.headers.first("sec-websocket-accept"),
            joined: &format!("{key}{NUMBER}"),
        });
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    // Over TLS what was written may still wait.
    stream.flush().await
}

fn limits() -> Limits {
    Limits {
        head_bytes_max: HEAD_BYTES_MAX,
        ..Limits::default()
    }
}

/// Reads until the head is whole, and gives its length. What cannot become one is refused at its first bytes.
async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes: &mut Vec<u8>,
    telling: &Telling<'_>,
) -> Result<usize, DialError> {
    const BEGIN: &[u8] = b"HTTP/1.";
    loop {
        let searched = bytes.len().saturating_sub(3);
        let read = stream
            .read_buf(bytes)
            .await
            .map_err(|error| telling.broken(&error))?;
        if read == 0 && bytes.is_empty() {
            return Err(telling.hung_up("it hung up without an answer"));
        }
        let begin = &bytes[..bytes.len().min(BEGIN.len())];
        if !BEGIN.starts_with(begin) || read == 0 {
            // A line or two say more than the first packet that happened to come.
            return Err(telling.wrong_protocol("HTTP", bytes));
        }
        if let Some(at) = bytes[searched..]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            return Ok(searched + at + 4);
        }
        if bytes.len() >= HEAD_BYTES_MAX {
            return Err(DialError::Handshake {
                place: telling.place.clone(),
                status: 0,
                text: format!("the head of its answer is longer than {HEAD_BYTES_MAX} bytes"),
                body: Vec::new(),
            });
        }
    }
}

/// A request's head for the story: values that let somebody in are left out.
pub(crate) fn without_secrets(head: &[u8]) -> String {
    const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    let head = String::from_utf8_lossy(head);
    let line = |line: &str| match line.split_once(':') {
        Some((name, _))
            if SECRET
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret)) =>
        {
            format!("{name}: (not shown)")
        }
        _ => line.to_owned(),
    };
    let lines: Vec<String> = head.split("\r\n").map(line).collect();
    lines.join("\r\n")
}
