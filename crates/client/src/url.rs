//! Where a server is: the URLs that this client takes, and what it says about those that it does not.
//!
//! A URL names a server, never a room: rooms are joined over the connection. So a path is only a prefix that a proxy put
//! before the server (`http://host/chat` → the socket `/chat/ws`). TLS is absent: `https`, `wss` and `tls` are refused with a
//! sentence that says so.

use std::fmt;
use std::str::FromStr;

/// The port that a URL without one means, for every scheme: the port that `taut serve` opens.
pub const PORT_DEFAULT: u16 = 8080;

/// Where a server is and how to talk to it, read from `http://HOST[:PORT]`, `ws://HOST[:PORT]` or `tcp://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// What carries the native protocol.
    pub scheme: Scheme,
    /// A host name or an IP address, an IPv6 one without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The path of the WebSocket, for example `/ws`; empty for [`Scheme::Tcp`].
    pub path: String,
}

/// What carries the native protocol to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A WebSocket with the subprotocol `taut` (`http://` or `ws://`).
    WebSocket,
    /// JSON lines over plain TCP (`tcp://`).
    Tcp,
}

/// Why a URL was not understood. The text shows one that would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the URL `{url}`: {reason}")]
pub struct UrlError {
    /// The URL as it was given.
    pub url: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl FromStr for Url {
    type Err = UrlError;

    /// Reads a server's URL. A missing port is [`PORT_DEFAULT`], save with `http://`, `ws://` and a host other than this machine: 80.
    ///
    /// # Errors
    /// A [`UrlError`] for other schemes, for a URL that names a room, and for what is no URL.
    fn from_str(input: &str) -> Result<Self, UrlError> {
        let refuse = |reason: String| UrlError {
            url: input.to_owned(),
            reason,
        };
        let Some((scheme, rest)) = input.split_once("://") else {
            return Err(refuse(format!(
                "it has no scheme; write http://{}",
                shown_host(input)
            )));
        };
        let scheme = read_scheme(scheme, rest).map_err(refuse)?;
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let (host, port) = read_authority(authority).map_err(refuse)?;
        let path = read_path(scheme, path, authority).map_err(refuse)?;
        let port = match port {
            Some(port) => port,
            None if scheme == Scheme::WebSocket && !is_this_machine(&host) => 80,
            None => PORT_DEFAULT,
        };
        Ok(Self {
            scheme,
            host,
            port,
            path,
        })
    }
}

fn read_scheme(scheme: &str, rest: &str) -> Result<Scheme, String> {
    let lower = scheme.to_ascii_lowercase();
    let host = shown_host(rest);
    match lower.as_str() {
        "http" | "ws" => Ok(Scheme::WebSocket),
        "tcp" => Ok(Scheme::Tcp),
        "https" | "wss" | "tls" => {
            let plain = if lower == "tls" { "tcp" } else { "http" };
            Err(format!(
                "this version has no TLS yet, so `{lower}://` cannot be opened; use {plain}://{host} on a trusted network or through a tunnel (ssh -L)"
            ))
        }
        "mqtt" | "mqtts" | "udp" | "unix" => Err(format!(
            "this client does not speak `{lower}://`; use http://{host} or tcp://{host}"
        )),
        _ => Err(format!(
            "`{scheme}://` is not one of http://, ws:// and tcp://; write for example http://{host}"
        )),
    }
}

/// The first part of a host that can stand in an example, so that a hint repeats what the person wrote.
fn shown_host(rest: &str) -> &str {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match &rest[..end] {
        "" => "localhost:8080",
        host => host,
    }
}

fn read_authority(authority: &str) -> Result<(String, Option<u16>), String> {
    if authority.contains('@') {
        return Err("it holds a user name or password, which nobody would read; leave out everything up to the `@`".into());
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, after)) => (
                host,
                after.strip_prefix(':').or(after.is_empty().then_some("")),
            ),
            None => return Err(
                "the `[` of its IPv6 address is not closed; write for example http://[::1]:8080"
                    .into(),
            ),
        },
        None => match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(
                    "write an IPv6 address in brackets, for example http://[::1]:8080".into(),
                );
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it names no host; write for example http://localhost:8080".into());
    }
    let port = match port {
        Some("") => None,
        Some(port) => match port.parse::<u16>() {
            Ok(number) if number > 0 => Some(number),
            _ => return Err(format!("`{port}` is not a port (1 to 65535)")),
        },
        None => return Err("after the `]` only `:PORT` can come".into()),
    };
    Ok((host.to_owned(), port))
}

fn read_path(scheme: Scheme, path: &str, authority: &str) -> Result<String, String> {
    if path.contains(['?', '#']) {
        return Err(
            "it has a query or a fragment, and a server has none; end it after the path".into(),
        );
    }
    if path.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err("its path holds a character that must be percent-encoded".into());
    }
    let path = path.trim_end_matches('/');
    if path.starts_with("/r/") || path.contains("/r/") {
        return Err(format!(
            "it names a room; give the server's URL, http://{authority}, and the room apart"
        ));
    }
    match scheme {
        Scheme::Tcp if path.is_empty() => Ok(String::new()),
        Scheme::Tcp => Err(format!("tcp:// has no paths; write tcp://{authority}")),
        Scheme::WebSocket if path.ends_with("/ws") => Ok(path.to_owned()),
        Scheme::WebSocket => Ok(format!("{path}/ws")),
    }
}

/// Whether a host is surely this machine, where a Taut server's port is 8080 and nobody expects port 80.
fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

impl Url {
    /// `HOST:PORT`, with brackets around an IPv6 address: the `Host` field of a handshake.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::WebSocket => {
                let prefix = self.path.strip_suffix("/ws").unwrap_or(&self.path);
                write!(f, "http://{}{prefix}", self.authority())
            }
            Scheme::Tcp => write!(f, "tcp://{}", self.authority()),
        }
    }
}
