//! How a benchmark ends when it does not end well.

use std::{fmt, io};

/// What kind of failure it is, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It went wrong on this side, or deliveries were not what they must be.
    Failure,
    /// The command line is not understood, or asks for more than this machine gives.
    Usage,
    /// The server could not be reached, or ended a connection.
    Unreachable,
    /// The server said no.
    Refused,
    /// The server speaks another protocol, or broke its own.
    Violation,
    /// The server did not answer in time.
    Silent,
    /// Ctrl-C.
    Interrupted,
}

/// Why a benchmark failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// For scripts.
    pub kind: Kind,
    /// What happened.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, text: impl fmt::Display) -> Self {
        Self {
            kind,
            text: text.to_string(),
            hint: None,
        }
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, text)
    }

    pub(crate) fn violation(text: impl fmt::Display) -> Self {
        Self::new(Kind::Violation, text)
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same, with what it was about in front.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Kind::Failure, error)
    }
}
