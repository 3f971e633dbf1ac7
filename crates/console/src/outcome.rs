//! How a command of the console ends when it does not end well: a text for people, a code for scripts.

/// The exit codes of `connect` and `listen`; part of the interface, shown by `taut --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It went wrong on this side: a file, a pipe, the system.
    Failure = 1,
    /// The command line is not understood.
    Usage = 2,
    /// Nobody could be reached, the connection broke, or the peer asked to come back later: close codes 1012 and 1013.
    Unreachable = 3,
    /// The peer, or a proxy, said no: an HTTP error status, a close code other than 1000, 1001, 1012 and 1013.
    Refused = 4,
    /// The peer speaks another protocol, or broke its own.
    Violation = 5,
    /// The peer did not answer in time.
    Silent = 6,
    /// The peer's certificate is not to be trusted, or no TLS came about.
    Untrusted = 7,
    /// The peer ended in the middle of a frame or of a response.
    CutShort = 8,
    /// The peer sent more than the limit allows.
    Flood = 9,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Ended {
    /// For scripts.
    pub code: Code,
    /// What happened; empty when there is nothing to say.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Ended {
    /// An end with a text for people.
    pub fn new(code: Code, text: impl std::fmt::Display) -> Self {
        Self {
            code,
            text: text.to_string(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl std::fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}
