//! A publish whose answer is awaited.

use std::time::Duration;

use tokio::time::Instant;

use crate::options::Options;
use crate::request::Publish;

/// A publish under way.
pub(crate) struct UnderWay {
    pub(crate) room: String,
    /// The publish itself, where the server would recognise it when it comes again.
    pub(crate) again: Option<Publish>,
    /// The bytes that are kept for that.
    pub(crate) bytes: usize,
    pub(crate) first_sent: Instant,
    /// When its answer is late.
    pub(crate) until: Instant,
    pub(crate) patience_ms: u64,
}

impl UnderWay {
    /// A publish that is sent now. `bytes`: what it is counted with; `first_sent`: when it was first sent, where this is a repeat.
    pub(crate) fn new(
        publish: Publish,
        bytes: usize,
        first_sent: Option<Instant>,
        options: &Options,
    ) -> Self {
        let now = Instant::now();
        let is_kept = options.offline_messages_max > 0 && publish.is_repeatable();
        Self {
            room: publish.room.clone(),
            again: is_kept.then_some(publish),
            bytes: if is_kept { bytes } else { 0 },
            first_sent: first_sent.unwrap_or(now),
            until: now + Duration::from_millis(options.answer_ms_max),
            patience_ms: options.answer_ms_max,
        }
    }

    /// The id by which the server recognises it.
    pub(crate) fn id(&self) -> Option<&String> {
        self.again.as_ref()?.id.as_ref()
    }
}
