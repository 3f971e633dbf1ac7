use std::borrow::Cow;
use std::fmt;

/// The peer broke HTTP; the answer has `status` and `Connection: close`, and the connection ends.
///
/// A client that meets one in a response has nobody to tell it to: for it the status means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// 400, 413, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// The broken clause and what the peer did.
    pub violation: crate::Violation,
}

impl Violation {
    pub(super) fn new(
        status: u16,
        clause: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            violation: crate::Violation::new(clause, text),
        }
    }

    /// A 400.
    pub(super) fn bad(clause: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, clause, text)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violation.fmt(f)
    }
}

impl std::error::Error for Violation {}
