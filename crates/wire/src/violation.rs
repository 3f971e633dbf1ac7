use std::borrow::Cow;
use std::fmt;

/// A peer broke its protocol: the connection ends with that protocol's own farewell.
///
/// The clause goes to the log, the text to the log and, where the protocol can carry one, to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where the rule stands, such as `RFC 6455 §5.1`.
    pub clause: &'static str,
    /// What the peer did, in one sentence.
    pub text: Cow<'static, str>,
}

impl Violation {
    /// A violation of `clause`, told as `text`.
    pub fn new(clause: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            clause,
            text: text.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.clause)
    }
}

impl std::error::Error for Violation {}
