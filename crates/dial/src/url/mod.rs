//! What can be opened: `tcp://`, `tls://`, `udp://`, `unix:`, `ws://`, `wss://`, `http://` and `https://`.
//!
//! Invariants that a reader could break:
//! - A [`Url`] that was read holds nothing that could not be sent as it stands: `host` and `target` are visible ASCII.
//! - A password is in [`Url::userinfo`] only; `Display`, `Debug` and [`UrlError`] never show it.
//!
//! Absent on purpose: international host names (they are written as `xn--…`), URLs relative to another, and HTTP or WebSocket over
//! a Unix socket, for which no scheme is agreed upon.

mod advice;
mod authority;
mod target;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) use authority::read_authority;

/// What is spoken at the other end, and over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Bytes over TCP.
    Tcp,
    /// Bytes over TLS over TCP.
    Tls,
    /// Datagrams over UDP.
    Udp,
    /// Bytes over a Unix socket.
    Unix,
    /// A WebSocket over TCP.
    Ws,
    /// A WebSocket over TLS.
    Wss,
    /// HTTP/1.1 over TCP.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Tls,
        Self::Udp,
        Self::Unix,
        Self::Ws,
        Self::Wss,
        Self::Http,
        Self::Https,
    ];

    /// The name as it stands before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Whether TLS lies below.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::Wss | Self::Https)
    }

    /// Whether it begins with an HTTP request, so that there is a target and there may be credentials.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Ws | Self::Wss | Self::Http | Self::Https)
    }

    /// Whether it is a WebSocket.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// The port that a URL of this scheme means when it names none (RFC 9110 §4.2, RFC 6455 §3).
    fn port(self) -> Option<u16> {
        match self {
            Self::Ws | Self::Http => Some(80),
            Self::Wss | Self::Https => Some(443),
            Self::Tcp | Self::Tls | Self::Udp | Self::Unix => None,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }
}

/// The port that `http://` and `ws://` mean on this machine when they name none: the one that `taut serve` opens.
pub const PORT_HERE: u16 = 8080;

/// Where to connect and what is spoken there.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// What is spoken.
    pub scheme: Scheme,
    /// A host name or an IP address, an IPv6 one without its brackets; empty for [`Scheme::Unix`].
    pub host: String,
    /// The port; 0 for [`Scheme::Unix`].
    pub port: u16,
    /// The socket's path; `@name` in Linux's abstract namespace. Empty but for [`Scheme::Unix`].
    pub path: PathBuf,
    /// The request target, `/path?query`, percent-encoded. Empty where no HTTP is spoken.
    pub target: String,
    /// `user:password`, decoded, where HTTP is spoken.
    pub userinfo: Option<String>,
}

/// Why a URL was not understood. The reason shows one that would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the URL `{url}`: {reason}")]
pub struct UrlError {
    /// The URL as it was given, save its password, and with control characters escaped.
    pub url: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl FromStr for Url {
    type Err = UrlError;

    /// Reads a URL. A missing port is the scheme's own: 80 or 443, or [`PORT_HERE`] for `http://` and `ws://` on this machine.
    ///
    /// # Errors
    /// A [`UrlError`] that says what is wrong and shows a right one.
    fn from_str(input: &str) -> Result<Self, UrlError> {
        read(input).map_err(|reason| UrlError::new(input, reason))
    }
}

impl UrlError {
    pub(crate) fn new(input: &str, reason: String) -> Self {
        Self {
            url: advice::shown(input),
            reason,
        }
    }
}

fn read(input: &str) -> Result<Url, String> {
    if input.is_empty() {
        return Err("it is empty; write for example tcp://localhost:9000".into());
    }
    if input.chars().any(char::is_control) {
        return Err("it holds a control character".into());
    }
    if let Some(path) = strip_scheme(input, "unix:") {
        return read_unix(path);
    }
    let Some((name, rest)) = input.split_once("://") else {
        return Err(advice::without_scheme(input));
    };
    let scheme = Scheme::from_name(name).ok_or_else(|| advice::unknown_scheme(name, rest))?;
    let (authority, target) = match rest.find(['/', '?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let authority = read_authority(authority, scheme.name())?;
    if authority.userinfo.is_some() && !scheme.is_http() {
        return Err(format!(
            "{}:// has no user names; leave out everything up to the `@`",
            scheme.name()
        ));
    }
    let port = match (authority.port, scheme.port()) {
        (Some(port), _) => port,
        (None, Some(80)) if is_this_machine(&authority.host) => PORT_HERE,
        (None, Some(port)) => port,
        (None, None) => return Err(advice::no_port(scheme, &authority.host)),
    };
    Ok(Url {
        scheme,
        target: target::read(scheme, target, &authority.host, port)?,
        host: authority.host,
        port,
        path: PathBuf::new(),
        userinfo: authority.userinfo,
    })
}

fn strip_scheme<'i>(input: &'i str, prefix: &str) -> Option<&'i str> {
    let (head, rest) = input.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `unix:/path`, `unix:relative`, `unix:@name`, and `unix:///path` as other programs write it.
fn read_unix(rest: &str) -> Result<Url, String> {
    /// Bytes of a socket's path at most, on Linux (`sun_path` with its end).
    const PATH_BYTES_MAX: usize = 107;
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some("") => "",
        Some(path) => {
            return Err(format!(
                "after `unix://` comes a path from the root; write unix:{path} or unix:///{path}"
            ));
        }
        None => rest,
    };
    if path.is_empty() || path == "@" {
        return Err("it names no socket; write for example unix:/run/taut.sock".into());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(format!(
            "its path is {} bytes long, and the system takes {PATH_BYTES_MAX}; use a path relative to the current folder, or a shorter one",
            path.len()
        ));
    }
    Ok(Url {
        scheme: Scheme::Unix,
        host: String::new(),
        port: 0,
        path: PathBuf::from(path),
        target: String::new(),
        userinfo: None,
    })
}

/// Whether a host is surely this machine (RFC 6761 §6.3).
pub(crate) fn is_this_machine(host: &str) -> bool {
    is_localhost(host) || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a host is `localhost` or a name below it.
pub(crate) fn is_localhost(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

impl Url {
    /// `HOST:PORT`, with brackets around an IPv6 address; the path of a Unix socket.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.scheme {
            Scheme::Unix => self.path.display().to_string(),
            _ => format!("{}:{}", self.bracketed(), self.port),
        }
    }

    /// The value of HTTP's `Host` field: without the port where it is the scheme's own (RFC 9110 §7.2), without an IPv6 zone.
    #[must_use]
    pub fn host_field(&self) -> String {
        let host = self.bracketed();
        let host = match host.split_once('%') {
            Some((address, _)) => format!("{address}]"),
            None => host,
        };
        if self.scheme.port() == Some(self.port) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// The value of HTTP's `Authorization` field that the URL's `user:password@` means (RFC 7617).
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let userinfo = self.userinfo.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode(userinfo)))
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == Scheme::Unix {
            return write!(f, "unix:{}", self.path.display());
        }
        write!(f, "{}://", self.scheme.name())?;
        if let Some(userinfo) = &self.userinfo {
            let user = userinfo.split(':').next().unwrap_or_default();
            write!(f, "{user}:***@")?;
        }
        write!(f, "{}{}", self.authority(), self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}
