//! Where a server is told to listen, and where it then does.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// One place to listen on, and how connections to it begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub endpoint: Endpoint,
    /// What is spoken there.
    pub speaks: Speaks,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port.
    Tcp(HostPort),
    /// A UDP port: native JSON, a datagram each.
    Udp(HostPort),
    /// A Unix socket.
    Unix {
        /// The socket's file; with a leading `@` a name in Linux's abstract namespace, which has no file.
        path: PathBuf,
        /// The file's permission bits. Default 0600: its owner only.
        mode: u32,
    },
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// An IP address or a host name; a name is resolved when the server binds, and every address of it is bound.
    pub host: String,
    /// The port; 0 lets the system choose, and the start lines tell which.
    pub port: u16,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speaks {
    /// The first bytes decide: HTTP, JSON lines or text. The server never speaks first.
    #[default]
    Anything,
    /// Text only (`text://`): the server greets at once.
    Text,
    /// TLS only (`tls://`), and anything within; clear text is refused.
    Tls,
    /// The PROXY protocol, of a proxy that `proxies` lists, and anything behind it (`proxy://`).
    Proxied,
    /// The same where clear text is not taken: TLS behind it.
    ProxiedTls,
}

/// The permission bits of a Unix socket whose address names none.
pub const UNIX_MODE_DEFAULT: u32 = 0o600;

/// Why a listen address was not understood. The text says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot listen on `{input}`: {reason}")]
pub struct ListenError {
    input: String,
    reason: String,
}

impl FromStr for Listen {
    type Err = ListenError;

    /// Reads `[SCHEME://]HOST:PORT`, `[SCHEME://]PORT` or `:PORT` with the scheme `tcp` (anything, the default), `text`, `tls`, `proxy` or `udp`;
    /// or `unix:PATH[?mode=MODE]`.
    ///
    /// # Errors
    /// A [`ListenError`] that says what is wrong and shows a right address.
    fn from_str(input: &str) -> Result<Self, Self::Err> {
        let listen = match input.strip_prefix("unix:") {
            Some(path) => unix(path).map(|endpoint| (endpoint, Speaks::Anything)),
            None => match input.split_once("://") {
                None => host_port(input).map(|at| (Endpoint::Tcp(at), Speaks::Anything)),
                Some(("tcp", at)) => host_port(at).map(|at| (Endpoint::Tcp(at), Speaks::Anything)),
                Some(("text", at)) => host_port(at).map(|at| (Endpoint::Tcp(at), Speaks::Text)),
                Some(("tls", at)) => host_port(at).map(|at| (Endpoint::Tcp(at), Speaks::Tls)),
                Some(("proxy", at)) => host_port(at).map(|at| (Endpoint::Tcp(at), Speaks::Proxied)),
                Some(("udp", at)) => host_port(at).map(|at| (Endpoint::Udp(at), Speaks::Anything)),
                Some((scheme, _)) => Err(format!(
                    "no door for `{scheme}://` here; use HOST:PORT, for example 127.0.0.1:8080, or text://127.0.0.1:7000, tls://127.0.0.1:8443, udp://127.0.0.1:8080, unix:/run/taut.sock"
                )),
            },
        };
        match listen {
            Ok((endpoint, speaks)) => Ok(Self { endpoint, speaks }),
            Err(reason) => Err(ListenError {
                input: input.to_owned(),
                reason,
            }),
        }
    }
}

fn host_port(address: &str) -> Result<HostPort, String> {
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => ("", address),
    };
    let port = port.parse().map_err(|_| {
        format!(
            "`{port}` is not a port (0 to 65535); use HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080"
        )
    })?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inner) => inner,
        None if host.contains(':') => {
            return Err("write an IPv6 address in brackets, for example [::1]:8080".to_owned());
        }
        None if host.is_empty() => "127.0.0.1",
        None => host,
    };
    Ok(HostPort {
        host: host.to_owned(),
        port,
    })
}

fn unix(address: &str) -> Result<Endpoint, String> {
    let (path, mode) = match address.split_once("?mode=") {
        None => (address, UNIX_MODE_DEFAULT),
        Some((path, digits)) => match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o777 => (path, mode),
            _ => {
                return Err(format!(
                    "`{digits}` is no file mode; write octal permission bits, for example unix:/run/taut.sock?mode=660"
                ));
            }
        },
    };
    // `unix:///run/taut.sock` is how others write it.
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path == "@" {
        return Err("it names no file; write for example unix:/run/taut.sock".to_owned());
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(format!(
            "the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, this one {}; use a shorter one, for example unix:/run/taut.sock",
            path.len()
        ));
    }
    Ok(Endpoint::Unix {
        path: path.into(),
        mode,
    })
}

/// What fits into `sockaddr_un` (unix(7)), with the byte that ends it.
const UNIX_PATH_BYTES_MAX: usize = 107;

impl Listen {
    /// The addresses a server opens when it is told none: 127.0.0.1 and ::1, port 8080, TCP and UDP.
    ///
    /// Both families, because Node and browsers try ::1 first for `localhost`.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let hosts = ["127.0.0.1", "::1"];
        let at = |host: &str| HostPort {
            host: host.to_owned(),
            port: 8080,
        };
        let tcp = hosts.map(|host| Endpoint::Tcp(at(host)));
        let udp = hosts.map(|host| Endpoint::Udp(at(host)));
        let endpoints = tcp.into_iter().chain(udp);
        endpoints
            .map(|endpoint| Self {
                endpoint,
                speaks: Speaks::Anything,
            })
            .collect()
    }
}

impl fmt::Display for Listen {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.endpoint, self.speaks) {
            (Endpoint::Tcp(at), Speaks::Anything) => at.fmt(f),
            (Endpoint::Tcp(at), Speaks::Text) => write!(f, "text://{at}"),
            (Endpoint::Tcp(at), Speaks::Tls) => write!(f, "tls://{at}"),
            (Endpoint::Tcp(at), Speaks::Proxied | Speaks::ProxiedTls) => write!(f, "proxy://{at}"),
            (Endpoint::Udp(at), _) => write!(f, "udp://{at}"),
            (Endpoint::Unix { path, mode }, _) if *mode == UNIX_MODE_DEFAULT => {
                write!(f, "unix:{}", path.display())
            }
            (Endpoint::Unix { path, mode }, _) => {
                write!(f, "unix:{}?mode={mode:o}", path.display())
            }
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A place that a server listens on, as bound: port 0 has become a real one, a name an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Where.
    pub address: Address,
    /// What is spoken there.
    pub speaks: Speaks,
}

/// The address of a bound socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A UDP port.
    Udp(SocketAddr),
    /// A Unix socket's file, or its abstract name behind an `@`.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) | Self::Udp(address) => is_loopback(address),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Address {
    /// As [`Listen`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether only this machine can reach `address`.
#[must_use]
pub fn is_loopback(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}
