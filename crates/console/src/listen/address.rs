//! Where to listen, as the command line says it.
//!
//! A listening address differs from one to connect to: it may go without a host, which means this machine alone, and its port may be 0.

use std::fmt;
use std::path::PathBuf;

use crate::{Code, Ended};

/// What fits into `sockaddr_un` (unix(7)), with the byte that ends it.
const UNIX_PATH_BYTES_MAX: usize = 107;
/// Where no host is named: nobody from elsewhere.
const HOST_DEFAULT: &str = "127.0.0.1";
/// The port of web and WebSocket servers where none is named.
const PORT_DEFAULT: u16 = 8080;

/// A kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Unix,
    Ws,
    Http,
}

impl Kind {
    /// How its URLs begin.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "tcp://",
            Self::Udp => "udp://",
            Self::Unix => "unix:",
            Self::Ws => "ws://",
            Self::Http => "http://",
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// All addresses of a host: a name, an IP address without brackets, or `localhost` for both of the loopback.
    Port { kind: Kind, host: String, port: u16 },
    /// A file, or with a leading `@` a name of Linux's abstract namespace.
    Unix(PathBuf),
}

impl Address {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Port { kind, .. } => *kind,
            Self::Unix(_) => Kind::Unix,
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, and a right one.
    pub(super) fn parse(url: &str) -> Result<Self, Ended> {
        let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, rest)| {
            rest.starts_with("//") || matches!(*scheme, "unix" | "UNIX" | "file")
        }) else {
            return Err(without_scheme(url));
        };
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "tcp" => Kind::Tcp,
            "udp" => Kind::Udp,
            "ws" => Kind::Ws,
            "http" => Kind::Http,
            "unix" => return unix(url, rest),
            other => return Err(other_scheme(url, other, rest)),
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let authority = match rest.find(['/', '?', '#']) {
            // Any path is accepted, so naming one is no mistake where clients name one.
            Some(at) if matches!(kind, Kind::Ws | Kind::Http) || &rest[at..] == "/" => &rest[..at],
            Some(at) => {
                let text = format!(
                    "{} has no path, and `{}` is one",
                    kind.prefix(),
                    &rest[at..]
                );
                return Err(wrong(
                    url,
                    &text,
                    &format!("{}{}", kind.prefix(), &rest[..at]),
                ));
            }
            None => rest,
        };
        port(url, kind, authority)
    }
}

fn port(url: &str, kind: Kind, authority: &str) -> Result<Address, Ended> {
    let right = |host: &str| format!("{}{host}:9000", kind.prefix());
    if authority.contains('@') {
        return Err(wrong(url, "a server has no user and password", &right("")));
    }
    let (host, port) = split(authority).ok_or_else(|| {
        wrong(
            url,
            "an IPv6 address stands in brackets, with the port behind them",
            &right("[::1]"),
        )
    })?;
    let is_web = matches!(kind, Kind::Ws | Kind::Http);
    let port = match port {
        None | Some("") if is_web => PORT_DEFAULT,
        None | Some("") if !host.is_empty() && host.bytes().all(|b| b.is_ascii_digit()) => {
            let text = format!("a port stands behind a colon, and `{host}` would be a host");
            return Err(wrong(url, &text, &format!("{}:{host}", kind.prefix())));
        }
        None | Some("") => return Err(wrong(url, "the port is missing", &right(host))),
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| {
                wrong(
                    url,
                    &format!(
                        "`{digits}` is no port: a number from 0 (the system chooses) to 65535"
                    ),
                    &right(host),
                )
            })?,
    };
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inner) => inner,
        None if host.is_empty() => HOST_DEFAULT,
        None if host == "*" => {
            return Err(wrong(
                url,
                "every address of this machine is written 0.0.0.0, or [::] with IPv6",
                &right("0.0.0.0"),
            ));
        }
        None => host,
    };
    Ok(Address::Port {
        kind,
        host: host.to_owned(),
        port,
    })
}

/// Host, with its brackets, and port; `None` for an IPv6 address that is not in brackets.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        return match authority[end..].strip_prefix(':') {
            Some(port) => Some((&authority[..end], Some(port))),
            None => authority[end..].is_empty().then_some((authority, None)),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn unix(url: &str, path: &str) -> Result<Address, Ended> {
    // `unix:///run/x.sock` is how others write it.
    let path = path.strip_prefix("//").unwrap_or(path);
    let right = "unix:/tmp/taut.sock";
    if path.is_empty() || path == "@" {
        return Err(wrong(url, "it names no file", right));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        let text = format!(
            "the path of a Unix socket has at most {UNIX_PATH_BYTES_MAX} bytes, and this one has {}",
            path.len()
        );
        return Err(wrong(url, &text, right));
    }
    Ok(Address::Unix(PathBuf::from(path)))
}

fn without_scheme(url: &str) -> Ended {
    let ended = Ended::new(
        Code::Usage,
        format!("cannot listen on `{url}`: it does not say on which kind of socket"),
    );
    let at = match url.strip_prefix(':').unwrap_or(url) {
        port if port.parse::<u16>().is_ok() => format!(":{port}"),
        _ if url.starts_with(['/', '.', '@']) => {
            return ended.hint(format!("for example unix:{url}"));
        }
        _ if url.contains(':') => url.to_owned(),
        _ => ":9000".to_owned(),
    };
    ended.hint(format!(
        "for example tcp://{at}, udp://{at}, ws://{at} or http://{at}"
    ))
}

fn other_scheme(url: &str, scheme: &str, rest: &str) -> Ended {
    let (text, meant) = match scheme {
        "wss" | "https" | "tls" | "ssl" => {
            let plain = match scheme {
                "wss" => "ws",
                "https" => "http",
                _ => "tcp",
            };
            ("`taut listen` speaks without TLS".to_owned(), plain)
        }
        _ => (
            format!("there is no scheme `{scheme}` among tcp, udp, unix, ws and http"),
            nearest(scheme),
        ),
    };
    wrong(url, &text, &format!("{meant}:{rest}"))
}

/// The scheme that was probably meant.
fn nearest(scheme: &str) -> &'static str {
    match scheme.as_bytes().first() {
        Some(b'u') if scheme.contains('n') => "unix",
        Some(b'f') => "unix",
        Some(b'u') => "udp",
        Some(b'w') => "ws",
        Some(b'h') => "http",
        _ => "tcp",
    }
}

fn wrong(url: &str, text: &str, right: &str) -> Ended {
    Ended::new(Code::Usage, format!("cannot listen on `{url}`: {text}"))
        .hint(format!("for example {right}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port { kind, host, port } if host.contains(':') => {
                write!(f, "{}[{host}]:{port}", kind.prefix())
            }
            Self::Port { kind, host, port } => write!(f, "{}{host}:{port}", kind.prefix()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Address;

    #[test]
    fn what_is_understood() {
        for (url, meant) in [
            ("tcp://:9000", "tcp://127.0.0.1:9000"),
            ("udp://0.0.0.0:0", "udp://0.0.0.0:0"),
            ("tcp://[::1]:9000", "tcp://[::1]:9000"),
            ("TCP://localhost:9000/", "tcp://localhost:9000"),
            ("ws://localhost/chat?x", "ws://localhost:8080"),
            ("http://", "http://127.0.0.1:8080"),
            ("unix:x.sock", "unix:x.sock"),
            ("unix:///tmp/x", "unix:/tmp/x"),
            ("unix:@x", "unix:@x"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), meant, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_shows_a_right_one() {
        for (url, right) in [
            (":9000", "tcp://:9000"),
            ("9000", "udp://:9000"),
            ("localhost:9000", "ws://localhost:9000"),
            ("/tmp/x.sock", "unix:/tmp/x.sock"),
            ("tcp://9000", "tcp://:9000"),
            ("tcp://localhost", "tcp://localhost:9000"),
            ("tcp://localhost:99999", "tcp://localhost:9000"),
            ("tcp://::1:9000", "tcp://[::1]:9000"),
            ("tcp://*:9000", "tcp://0.0.0.0:9000"),
            ("tcp://:9000/path", "tcp://:9000"),
            ("tpc://:9000", "tcp://:9000"),
            ("wss://:9000", "ws://:9000"),
            ("htp://:80", "http://:80"),
            ("unix:", "unix:/tmp/taut.sock"),
            ("tcp://a@:9000", "tcp://:9000"),
        ] {
            let ended = Address::parse(url).unwrap_err();
            let hint = ended.hint.unwrap();
            assert!(hint.contains(right), "{url}: {hint}");
        }
    }
}
