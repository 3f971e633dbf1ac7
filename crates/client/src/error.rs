//! What can go wrong, told so that a program knows whether to try again and a person knows what to do.

use std::time::Duration;

use crate::url::UrlError;

/// Why a call or a connection failed. [`Error::retry`] says whether the same call may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL was not understood.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// No server answered: the name has no address, nobody listens there, or nothing came in time.
    #[error("cannot connect to {url}: {text}")]
    Unreachable {
        /// The server's URL.
        url: String,
        /// What each address said.
        text: String,
        /// Whether somebody was asked and refused: on this machine it means that no server runs on that port.
        nobody_listens: bool,
    },
    /// Something answered the handshake, and not with a socket to a Taut server.
    #[error("{url} did not open a Taut socket: {text}")]
    Handshake {
        /// The server's URL.
        url: String,
        /// What it answered.
        text: String,
        /// The HTTP status, where it answered with one.
        status: Option<u16>,
    },
    /// There is no TLS with the server: its certificate is not to be trusted, it does not speak TLS, or it does not trust us.
    #[error("no TLS with {url}: {text}")]
    Untrusted {
        /// The server's URL, or its host and port.
        url: String,
        /// What is wrong, in plain words.
        text: String,
        /// What to do about it; flags are those of the `taut` command.
        hint: Option<String>,
    },
    /// A file that [`Options::tls`](crate::Options::tls) names cannot be used.
    #[error("{0}")]
    File(String),
    /// The server said no, and the connection lives.
    #[error("{text} ({code})")]
    Refused {
        /// The reason's short name, for programs, for example `forbidden`.
        code: String,
        /// The reason, for people.
        text: String,
        /// Milliseconds after which to try again; `None` when trying again cannot help.
        retry_ms: Option<u64>,
    },
    /// The server ended the connection and said why.
    #[error("the server said goodbye: {text} ({code})")]
    Bye {
        /// The reason's short name, for programs, for example `restart`.
        code: String,
        /// The reason, for people.
        text: String,
        /// Milliseconds after which to come back; `None` when the server asks not to come back.
        retry_ms: Option<u64>,
    },
    /// The connection broke. Whether the server did what was asked before, nobody knows.
    #[error("the connection was lost: {text}")]
    Lost {
        /// What the socket said.
        text: String,
    },
    /// The server broke its protocol, so the connection was ended.
    #[error("the server broke the protocol: {0}")]
    Violation(String),
    /// No answer came in time. Whether the server did what was asked, nobody knows.
    #[error("no answer within {} s", .waited_ms / 1_000)]
    NoAnswer {
        /// Milliseconds waited.
        waited_ms: u64,
    },
    /// There is no connection, and as much waits for one as [`Options`](crate::Options) allow. The request was not taken.
    #[error("there is no connection, and {messages} requests ({bytes} bytes) wait for one already")]
    Full {
        /// Requests that wait.
        messages: usize,
        /// Bytes of the publishes among them.
        bytes: usize,
    },
    /// The request cannot be put on the wire, for example because its JSON is none.
    #[error("{0}")]
    Unsendable(String),
    /// This client was closed.
    #[error("the client is closed")]
    Closed,
    /// The system gave no random bytes, without which nothing may be masked (RFC 6455 §5.3).
    #[error("the system gave no random bytes: {0}")]
    NoRandomness(String),
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails again.
    Never,
    /// The same call may succeed after this pause.
    After(Duration),
}

/// The pause that [`Error::retry`] proposes where the server named none: a second.
const PAUSE_DEFAULT: Duration = Duration::from_secs(1);

impl Error {
    /// Whether the same call may succeed later, and after which pause.
    ///
    /// After [`Error::Lost`] and [`Error::NoAnswer`] a publish may already have happened: give it a name and an `id`, and the server keeps it
    /// from happening twice.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Url(_)
            | Self::Untrusted { .. }
            | Self::File(_)
            | Self::Violation(_)
            | Self::Unsendable(_)
            | Self::Closed => Retry::Never,
            Self::Handshake { status, .. } => match status {
                Some(429 | 500..=599) => Retry::After(PAUSE_DEFAULT),
                _ => Retry::Never,
            },
            Self::Refused { retry_ms, .. } | Self::Bye { retry_ms, .. } => match retry_ms {
                Some(ms) => Retry::After(Duration::from_millis(*ms)),
                None => Retry::Never,
            },
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::NoAnswer { .. }
            | Self::Full { .. }
            | Self::NoRandomness(_) => Retry::After(PAUSE_DEFAULT),
        }
    }
}
