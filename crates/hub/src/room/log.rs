//! A room's messages in order, without holes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Message;

/// The newest messages of a room. Offsets are consecutive: message `n` lies at `n - first()`.
#[derive(Debug)]
pub struct Log {
    messages: VecDeque<Arc<Message>>,
    /// When the oldest message kept was said. Here, since it is asked at every publish, and the message itself has long left the processor's
    /// caches.
    front_born_ms: u64,
    head: u64,
    /// The cost of all messages the room ever had, up to `head`.
    end_bytes: u64,
    cost_bytes: u64,
}

impl Log {
    pub(crate) fn new(head: u64) -> Self {
        Self {
            messages: VecDeque::new(),
            front_born_ms: 0,
            head,
            end_bytes: 0,
            cost_bytes: 0,
        }
    }

    /// The offset of the oldest message kept; one more than [`Log::head`] when there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.head + 1 - self.messages.len() as u64
    }

    /// The offset of the newest message, kept or not; 0 before the first.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// How many messages are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// What the kept messages cost, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        self.cost_bytes
    }

    /// The kept messages behind `cursor`, oldest first.
    pub fn after(&self, cursor: u64) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        let skip = (cursor + 1).saturating_sub(self.first());
        let skip = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .min(self.messages.len());
        self.messages.range(skip..)
    }

    /// How many bytes of messages lie behind `cursor`; those that are no longer kept count only from the oldest kept.
    #[must_use]
    pub fn distance_bytes(&self, cursor: u64) -> u64 {
        match self.after(cursor).next() {
            Some(next) => self.end_bytes - next.start_bytes(),
            None => 0,
        }
    }

    /// When the oldest message kept was said, on the shard's monotonic clock; `None` when none is kept.
    pub(crate) fn front_born_ms(&self) -> Option<u64> {
        (!self.messages.is_empty()).then_some(self.front_born_ms)
    }

    /// The cost of everything up to the head: a new message ends that much later.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// Appends the message behind the head. The caller has numbered it so.
    pub(crate) fn append(&mut self, message: Arc<Message>) {
        debug_assert_eq!(message.offset, self.head + 1);
        self.head = message.offset;
        self.end_bytes = message.end_bytes;
        self.cost_bytes += message.cost_bytes();
        if self.messages.is_empty() {
            self.front_born_ms = message.born_ms;
        }
        self.messages.push_back(message);
    }

    /// Forgets the oldest message; gives what it cost.
    pub(crate) fn forget_front(&mut self) -> u64 {
        let Some(message) = self.messages.pop_front() else {
            return 0;
        };
        match self.messages.front() {
            Some(front) => self.front_born_ms = front.born_ms,
            None => self.messages = VecDeque::new(),
        }
        let cost = message.cost_bytes();
        self.cost_bytes -= cost;
        cost
    }

    /// Takes what was kept, in place of what is here: `messages` end at `head`. Gives the bytes freed.
    pub(crate) fn restore(&mut self, head: u64, end_bytes: u64, messages: &[Arc<Message>]) -> u64 {
        let freed = std::mem::take(&mut self.cost_bytes);
        self.messages = messages.iter().cloned().collect();
        self.cost_bytes = messages.iter().map(|message| message.cost_bytes()).sum();
        self.front_born_ms = messages.first().map_or(0, |front| front.born_ms);
        self.head = head;
        self.end_bytes = end_bytes;
        freed
    }

    /// The offset of the last message that was numbered before `time_ms` of Unix time; one less than the oldest kept where all are younger.
    pub(crate) fn last_before(&self, time_ms: u64) -> u64 {
        let older = self
            .messages
            .partition_point(|message| message.time_ms < time_ms);
        self.first() - 1 + older as u64
    }

    /// Forgets everything and goes on behind `head`: what lies between is known to be elsewhere. Gives the bytes freed.
    pub(crate) fn reset(&mut self, head: u64) -> u64 {
        self.messages = VecDeque::new();
        self.head = head;
        std::mem::take(&mut self.cost_bytes)
    }
}
