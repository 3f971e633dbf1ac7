//! What something costs, and what is said when it cannot be paid.

use taut_hub::{Draft, Input, Refusal};

/// Nanoseconds of a millisecond.
const MS_NS: u64 = 1_000_000;

/// What something uses up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) joins: u64,
}

impl Cost {
    /// What a command uses up; `None` for those that are not limited.
    pub(crate) fn of(input: &Input) -> Option<Self> {
        let said = |draft: &Draft| draft.body.bytes().len() as u64;
        match input {
            Input::Publish { draft, .. } => Some(Self {
                messages: 1,
                bytes: said(draft),
                joins: 0,
            }),
            Input::PublishBatch { batch, .. } => Some(Self {
                messages: batch.drafts.len() as u64,
                bytes: batch.drafts.iter().map(said).sum(),
                joins: 0,
            }),
            Input::Join { .. } => Some(Self::JOIN),
            _ => None,
        }
    }

    /// One join.
    pub(crate) const JOIN: Self = Self {
        messages: 0,
        bytes: 0,
        joins: 1,
    };
    /// The least that a message uses up.
    pub(crate) const MESSAGE: Self = Self {
        messages: 1,
        bytes: 1,
        joins: 0,
    };
}

/// Why something is too fast, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// Who does what, and which setting says how fast it may.
    pub(crate) text: &'static str,
    pub(crate) wait_ns: u64,
}

impl Over {
    /// Milliseconds to wait, rounded up.
    pub(crate) fn retry_ms(&self) -> u64 {
        self.wait_ns.div_ceil(MS_NS).max(1)
    }

    /// As the hub would say it.
    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::RateLimited {
            text: self.text,
            retry_ms: self.retry_ms(),
        }
    }

    pub(super) fn or_later(self, other: Self) -> Self {
        if other.wait_ns > self.wait_ns {
            other
        } else {
            self
        }
    }
}
