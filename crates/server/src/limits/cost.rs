//! What something costs, and what is said when it cannot be paid.

use taut_hub::{Draft, Input, Refusal};

/// Nanoseconds of a millisecond.
const MS_NS: u64 = 1_000_000;

/// What something uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Messages, and the bytes of their bodies.
    Said { messages: u64, bytes: u64 },
    /// One room that is joined.
    Join,
    /// One look at history, at a room's state, or at who is there.
    Read,
}

impl Cost {
    /// What a command uses up; `None` for those that are not limited.
    pub(crate) fn of(input: &Input) -> Option<Self> {
        let said = |draft: &Draft| draft.body.bytes().len() as u64;
        match input {
            Input::Publish { draft, .. } => Some(Self::Said {
                messages: 1,
                bytes: said(draft),
            }),
            Input::PublishBatch { batch, .. } => Some(Self::Said {
                messages: batch.drafts.len() as u64,
                bytes: batch.drafts.iter().map(said).sum(),
            }),
            Input::Join { .. } => Some(Self::Join),
            Input::Read { .. } | Input::ReadState { .. } | Input::Who { .. } => Some(Self::Read),
            _ => None,
        }
    }

    /// The least that a message uses up.
    pub(crate) const MESSAGE: Self = Self::Said {
        messages: 1,
        bytes: 1,
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
