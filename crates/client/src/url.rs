//! Where a server is: the URLs that this client takes, read by [`taut_dial`], and what it says about those that name no server.
//!
//! A URL names a server, never a room: rooms are joined over the connection. So a path is only a prefix that a proxy put
//! before the server (`https://host/chat` → the socket `/chat/ws`).

use std::fmt;
use std::str::FromStr;

pub use taut_dial::{Scheme, UrlError};

/// Where a server is and how to talk to it.
///
/// | URL | what carries the native protocol |
/// |---|---|
/// | `http://`, `ws://`, `https://`, `wss://` | a WebSocket with the subprotocol `taut`, the last two over TLS |
/// | `tcp://HOST:PORT`, `tls://HOST:PORT` | JSON lines, the second over TLS |
/// | `unix:/path`, `unix:@name` | JSON lines over a Unix socket |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    place: taut_dial::Url,
    shown: String,
}

impl FromStr for Url {
    type Err = UrlError;

    /// Reads a server's URL. `http://` and `ws://` without a port mean 8080 on this machine and 80 elsewhere, `https://` and `wss://` 443.
    ///
    /// # Errors
    /// A [`UrlError`] for other schemes, for a URL that names a room, and for what is no URL. It shows one that is right.
    fn from_str(input: &str) -> Result<Self, UrlError> {
        let mut place: taut_dial::Url = match input.parse() {
            Ok(place) => place,
            Err(error) => return Err(without_scheme(input).unwrap_or(error)),
        };
        if place.scheme == Scheme::Udp {
            let reason = format!(
                "this client does not speak in datagrams; use tcp://{0} or http://{0}",
                place.authority()
            );
            return Err(refuse(&place, reason));
        }
        if place.scheme.is_http() {
            place.target = socket_path(&place).map_err(|reason| refuse(&place, reason))?;
        }
        let mut shown = place.clone();
        shown.target.truncate(prefix(&place.target).len());
        Ok(Self {
            shown: shown.to_string(),
            place,
        })
    }
}

/// A host and port alone, for which only one advice is right here.
fn without_scheme(input: &str) -> Option<UrlError> {
    if input.contains("://") || !(input.contains(':') || input == "localhost") {
        return None;
    }
    let meant: taut_dial::Url = format!("http://{input}").parse().ok()?;
    let reason = format!("it has no scheme; write http://{}", meant.authority());
    Some(UrlError {
        url: input.to_owned(),
        reason,
    })
}

fn refuse(place: &taut_dial::Url, reason: String) -> UrlError {
    UrlError {
        url: place.to_string(),
        reason,
    }
}

/// The path of the server's WebSocket.
fn socket_path(place: &taut_dial::Url) -> Result<String, String> {
    let path = place.target.as_str();
    if path.contains('?') {
        return Err("it has a query, and a server has none; end it after the path".into());
    }
    let path = path.trim_end_matches('/');
    if path.contains("/r/") {
        return Err(format!(
            "it names a room; give the server's URL, {}://{}, and the room apart",
            place.scheme.name(),
            place.authority()
        ));
    }
    Ok(format!("{}/ws", prefix(path)))
}

fn prefix(path: &str) -> &str {
    path.strip_suffix("/ws").unwrap_or(path)
}

impl Url {
    /// The URL of the socket itself, as [`taut_dial`] opens it.
    #[must_use]
    pub fn place(&self) -> &taut_dial::Url {
        &self.place
    }

    /// What is spoken there.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.place.scheme
    }

    /// `HOST:PORT`, with brackets around an IPv6 address; the path of a Unix socket.
    #[must_use]
    pub fn authority(&self) -> String {
        self.place.authority()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
