//! From a URL to a carrier, once, by [`taut_dial`].

use std::net::SocketAddr;
use std::time::Instant;

use taut_dial::{Agreed, DialError, Opened, Opening, Settings, Untold, open, open_websocket};

use crate::carrier::{Carrier, Framing};
use crate::error::Error;
use crate::lines::Lines;
use crate::options::Options;
use crate::url::Url;
use crate::websocket::WebSocket;

/// The subprotocol of the native protocol.
const PROTOCOL: &str = "taut";

/// Connects once, within [`Options::connect_ms_max`].
pub(crate) async fn connect(url: &Url, options: &Options) -> Result<Carrier, Error> {
    let began = Instant::now();
    let settings = Settings {
        connect_ms_max: options.connect_ms_max,
        tls: options.tls.clone(),
        proxy: options.proxy.clone(),
        ..Settings::default()
    };
    let failed = |error| translate(error, url, options);
    let mut opened = open(url.place(), &settings, &Untold)
        .await
        .map_err(failed)?;
    let unit_bytes_max = options.unit_bytes_max;
    if !url.scheme().is_http() {
        let framing = Framing::Lines(Lines::new(unit_bytes_max));
        return Ok(Carrier::new(
            opened.stream,
            url.authority(),
            framing,
            Vec::new(),
        ));
    }
    let spent_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let opening = Opening {
        protocols: vec![PROTOCOL.to_owned()],
        deflate: options.compression,
        answer_ms_max: options.connect_ms_max.saturating_sub(spent_ms),
        ..Opening::default()
    };
    let (agreed, rest) = shake_hands(&mut opened, url, &opening)
        .await
        .map_err(failed)?;
    if agreed.protocol.as_deref() != Some(PROTOCOL) {
        return Err(Error::Handshake {
            url: url.to_string(),
            text: format!("it opened a WebSocket that does not speak `{PROTOCOL}`"),
            status: Some(101),
        });
    }
    let socket = WebSocket::new(unit_bytes_max, agreed.deflate);
    let framing = Framing::WebSocket(Box::new(socket));
    Ok(Carrier::new(opened.stream, url.authority(), framing, rest))
}

async fn shake_hands(
    opened: &mut Opened,
    url: &Url,
    opening: &Opening,
) -> Result<(Agreed, Vec<u8>), DialError> {
    open_websocket(&mut opened.stream, url.place(), opening, &Untold).await
}

/// What a failure means to whoever wants a connection to a server.
fn translate(error: DialError, url: &Url, options: &Options) -> Error {
    let may_pass = error.may_pass();
    let url = url.to_string();
    let (text, nobody_listens, status) = match error {
        DialError::Url(error) => return Error::Url(error),
        DialError::Tls { text, hint, .. } => return Error::Untrusted { url, text, hint },
        DialError::File { .. } => return Error::File(error.to_string()),
        DialError::Unreachable {
            place,
            attempts,
            nobody_listens,
        } => {
            let text = attempts_text(&attempts);
            if options.proxy.is_some() {
                (format!("{place}: {text}"), false, None)
            } else {
                (text, nobody_listens, None)
            }
        }
        DialError::Socket {
            text,
            nobody_listens,
            ..
        } => (text, nobody_listens, None),
        DialError::TimedOut { during, .. } => {
            let ms = options.connect_ms_max;
            (
                format!("no answer within {ms} ms, while {during}"),
                false,
                None,
            )
        }
        DialError::Lost { during, text, .. } => (format!("{text}, while {during}"), false, None),
        DialError::Handshake { status, text, .. } => (text, false, Some(status)),
        DialError::Proxy { status, .. } => (error.to_string(), false, status),
        other => (other.to_string(), false, None),
    };
    let is_answer = matches!(status, Some(status) if status > 0);
    if may_pass && !is_answer {
        Error::Unreachable {
            url,
            text,
            nobody_listens,
        }
    } else {
        Error::Handshake { url, text, status }
    }
}

fn attempts_text(attempts: &[(SocketAddr, String)]) -> String {
    let texts: Vec<String> = attempts
        .iter()
        .map(|(address, text)| format!("{address}: {text}"))
        .collect();
    texts.join(", ")
}

/// What a connection that was open has ended with: over TLS it may be the server's judgement of our certificate.
pub(crate) fn lost(error: &std::io::Error, place: &str) -> Error {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return Error::Lost {
            text: "the server closed the connection".into(),
        };
    }
    match taut_dial::broken(error, place, "talking") {
        DialError::Tls { text, hint, .. } => Error::Untrusted {
            url: place.to_owned(),
            text,
            hint,
        },
        DialError::Lost { text, .. } => Error::Lost { text },
        other => Error::Lost {
            text: other.to_string(),
        },
    }
}
