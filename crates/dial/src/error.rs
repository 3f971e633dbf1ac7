//! Why there is no socket, in plain words, told so that a program knows whether to try again and a person knows what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::url::UrlError;

/// Why there is no socket. [`DialError::may_pass`] says whether the same may succeed later, [`DialError::hint`] what to do.
///
/// What a peer said is escaped in every text here, so that all of it can be shown on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The URL was not understood, or is of no use here.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The host has no address.
    #[error("the name `{host}` has no address: {text}")]
    Resolve {
        /// The host.
        host: String,
        /// What the resolver said.
        text: String,
    },
    /// No address could be connected to.
    #[error("cannot connect to {place}: {}", attempts_text(.attempts))]
    Unreachable {
        /// The host and port, or the socket's path.
        place: String,
        /// What each address said, in the order in which they failed. Empty for a Unix socket.
        attempts: Vec<(SocketAddr, String)>,
        /// Whether somebody was there to say that nobody listens: on this machine it means that no server runs.
        nobody_listens: bool,
    },
    /// A Unix socket could not be connected to.
    #[error("cannot connect to unix:{path}: {text}", path = .path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        text: String,
        /// Whether there is a socket and nobody listens on it, or no socket at all.
        nobody_listens: bool,
    },
    /// It took too long.
    #[error("no answer from {place} within {waited_ms} ms, while {during}")]
    TimedOut {
        /// The host and port, or the socket's path.
        place: String,
        /// What was under way.
        during: String,
        /// Milliseconds waited.
        waited_ms: u64,
    },
    /// The proxy did not let us through.
    #[error("the proxy {proxy} {text}")]
    Proxy {
        /// The proxy, without its password.
        proxy: String,
        /// What it said or did.
        text: String,
        /// Its status: HTTP's, or SOCKS's reply (RFC 1928 §6).
        status: Option<u16>,
        /// Whether trying again may help.
        may_pass: bool,
    },
    /// There is no TLS, or not with a peer that can be trusted.
    #[error("no TLS with {place}: {text}")]
    Tls {
        /// The host and port.
        place: String,
        /// What kind of failure it is.
        fault: TlsFault,
        /// What is wrong, in plain words.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The peer answered the WebSocket's opening request, and not with a WebSocket.
    #[error("{place} opened no WebSocket: {text}")]
    Handshake {
        /// The host and port.
        place: String,
        /// Its HTTP status; 101 where it agreed in a way that does not hold.
        status: u16,
        /// What it said.
        text: String,
        /// The beginning of the body that came with it, at most 4 KiB, as it came.
        body: Vec<u8>,
    },
    /// The peer speaks something else.
    #[error("{place} does not speak {expected}: it sent `{got}`{}", looks_text(.looks_like))]
    WrongProtocol {
        /// The host and port.
        place: String,
        /// What was expected: `HTTP`, `SOCKS 5`.
        expected: &'static str,
        /// Its first bytes, escaped.
        got: String,
        /// What that looks like, where it is known.
        looks_like: Option<&'static str>,
    },
    /// The WebSocket's opening request cannot be put on the wire.
    #[error("cannot ask for a WebSocket: {text}")]
    Unsendable {
        /// Which part of it.
        text: String,
    },
    /// A file of ours cannot be used.
    #[error("cannot use {}: {text}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// The connection broke before the socket was open.
    #[error("the connection to {place} was lost while {during}: {text}")]
    Lost {
        /// The host and port.
        place: String,
        /// What was under way.
        during: String,
        /// What the system said.
        text: String,
    },
    /// This machine refused: it is out of sockets or of random bytes, or the source address is not its own.
    #[error("cannot {doing}: {text}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        text: String,
    },
}

/// What kind of failure kept TLS from coming about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate is for other names.
    WrongName,
    /// The certificate vouches for itself.
    SelfSigned,
    /// Nobody whom we trust vouches for it.
    UnknownAuthority,
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// It is broken, revoked or meant for something else.
    BadCertificate,
    /// The peer wants to know who we are.
    IdentityWanted,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer broke the handshake off.
    Alert,
    /// No version, cipher or protocol in common, or a broken handshake.
    Disagreement,
    /// Our own names or files cannot be used.
    Ours,
}

impl DialError {
    /// Whether the same attempt may succeed later without anybody changing anything here.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Url(_)
            | Self::WrongProtocol { .. }
            | Self::Tls { .. }
            | Self::Unsendable { .. }
            | Self::File { .. } => false,
            Self::Handshake { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Self::Proxy { may_pass, .. } => *may_pass,
            Self::Resolve { .. }
            | Self::Unreachable { .. }
            | Self::Socket { .. }
            | Self::TimedOut { .. }
            | Self::Lost { .. }
            | Self::System { .. } => true,
        }
    }

    /// What a person can do about it, where there is something to say. Flags are those of the `taut` command.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Tls { hint, .. } => hint.clone(),
            Self::Unreachable {
                place,
                nobody_listens: true,
                ..
            } => Some(format!("nobody listens on {place}; is the server running there?")),
            Self::Socket {
                nobody_listens: true,
                ..
            } => Some("no server runs on that socket".into()),
            Self::Handshake { status: 401, .. } => Some(
                "it wants to know who you are: write ws://USER:PASSWORD@… or give an Authorization header".into(),
            ),
            Self::Proxy {
                status: Some(407), ..
            } => Some("write the proxy as http://USER:PASSWORD@HOST:PORT".into()),
            Self::WrongProtocol { looks_like, .. } => {
                (*looks_like == Some("TLS")).then(|| "write wss://, https:// or tls:// instead".into())
            }
            _ => None,
        }
    }
}

fn attempts_text(attempts: &[(SocketAddr, String)]) -> String {
    if attempts.is_empty() {
        return "no address could be tried".into();
    }
    let texts: Vec<String> = attempts
        .iter()
        .map(|(address, text)| format!("{address}: {text}"))
        .collect();
    texts.join(", ")
}

fn looks_text(looks_like: &Option<&'static str>) -> String {
    match looks_like {
        Some(name) => format!(", which looks like {name}"),
        None => String::new(),
    }
}

/// The system's words without Rust's `(os error 111)`.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
