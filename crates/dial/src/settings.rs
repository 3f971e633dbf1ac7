//! How to connect: what a person or program can choose, with defaults that suit most.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::url::{UrlError, read_authority};

/// How to connect.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which addresses of a name are tried.
    pub family: Family,
    /// The address of this machine to connect from; the system chooses where none is given.
    pub source: Option<IpAddr>,
    /// Milliseconds for everything together: resolving, connecting, the proxy and TLS. Default 10,000.
    pub connect_ms_max: u64,
    /// Milliseconds of silence after which the system probes whether the peer is still there (`SO_KEEPALIVE`); default: never.
    pub keep_alive_ms: Option<u64>,
    /// Whom to trust and who we are.
    pub tls: Tls,
    /// Through whom to go; default: nobody. The environment is not asked.
    pub proxy: Option<Proxy>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            family: Family::Any,
            source: None,
            connect_ms_max: 10_000,
            keep_alive_ms: None,
            tls: Tls::default(),
            proxy: None,
        }
    }
}

/// Which addresses of a name are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Both families, interleaved (RFC 8305 §4).
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    /// Whether an address belongs to it.
    #[must_use]
    pub fn holds(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Whom to trust and who we are.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// PEM files of further authorities, beside the system's. A peer's own certificate may stand there too: then exactly that one is trusted.
    pub authorities: Vec<PathBuf>,
    /// PEM files of our certificate chain and its key, for peers that ask who we are.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Let a certificate pass that is not to be trusted. The story still tells why it is not.
    pub insecure: bool,
    /// The name that is asked for and that the certificate must bear, instead of the URL's host.
    pub server_name: Option<String>,
    /// Protocols to offer (RFC 7301), the preferred one first. Empty: `http/1.1` for `https://` and `wss://`, none for `tls://`.
    pub alpn: Vec<Vec<u8>>,
}

/// A proxy, read from `http://[USER:PASSWORD@]HOST:PORT`, `socks5://…` or `socks5h://…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Its host name or address.
    pub host: String,
    /// Its port; SOCKS proxies have 1080 where none is written.
    pub port: u16,
    /// User name and password.
    pub credentials: Option<(String, String)>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP's CONNECT (RFC 9110 §9.3.6), for every scheme: the proxy sees bytes only.
    HttpConnect,
    /// SOCKS 5 (RFC 1928); names are resolved here.
    Socks5,
    /// SOCKS 5; names are resolved by the proxy.
    Socks5h,
}

impl ProxyKind {
    /// The scheme of its URLs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HttpConnect => "http",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

impl FromStr for Proxy {
    type Err = UrlError;

    /// # Errors
    /// A [`UrlError`] that says what is wrong and shows a right one.
    fn from_str(input: &str) -> Result<Self, UrlError> {
        read_proxy(input).map_err(|reason| UrlError::new(input, reason))
    }
}

fn read_proxy(input: &str) -> Result<Proxy, String> {
    let Some((name, rest)) = input.split_once("://") else {
        return Err(
            "a proxy has a scheme; write for example http://proxy:3128 or socks5h://localhost:1080"
                .into(),
        );
    };
    let kind = match name.to_ascii_lowercase().as_str() {
        "http" => ProxyKind::HttpConnect,
        "socks5" => ProxyKind::Socks5,
        "socks5h" | "socks" => ProxyKind::Socks5h,
        "https" => {
            return Err(
                "a proxy that is itself reached by TLS is not spoken to; write http://".into(),
            );
        }
        "socks4" | "socks4a" => {
            return Err("SOCKS 4 is not spoken; most such proxies take socks5:// too".into());
        }
        _ => {
            return Err(format!(
                "`{name}://` is no proxy; write http://, socks5:// or socks5h://"
            ));
        }
    };
    let place = rest.strip_suffix('/').unwrap_or(rest);
    if place.contains(['/', '?', '#']) {
        return Err("a proxy has no path; end it after the port".into());
    }
    let authority = read_authority(place, kind.name())?;
    let port = match (authority.port, kind) {
        (Some(port), _) => port,
        (None, ProxyKind::Socks5 | ProxyKind::Socks5h) => 1080,
        (None, ProxyKind::HttpConnect) => {
            return Err(format!(
                "a proxy needs a port; write for example http://{}:3128",
                authority.host
            ));
        }
    };
    let credentials = authority
        .userinfo
        .map(|userinfo| match userinfo.split_once(':') {
            Some((user, password)) => (user.to_owned(), password.to_owned()),
            None => (userinfo, String::new()),
        });
    if let Some((user, password)) = &credentials
        && kind != ProxyKind::HttpConnect
        && (user.is_empty() || user.len() > 255 || password.len() > 255)
    {
        return Err("a SOCKS user name has 1 to 255 bytes, a password 255 at most".into());
    }
    Ok(Proxy {
        kind,
        host: authority.host,
        port,
        credentials,
    })
}

impl Proxy {
    /// `HOST:PORT`, with brackets around an IPv6 address.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind.name())?;
        if let Some((user, _)) = &self.credentials {
            write!(f, "{user}:***@")?;
        }
        f.write_str(&self.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}
