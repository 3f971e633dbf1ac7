//! What a home knows of its room in the store: how far it is kept, what is on its way there, and who waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::conn::{Origin, Ticket};
use crate::message::Message;
use crate::shard::Ask;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) stage: Stage,
    /// Goes up with every failure, so that late answers to what was given up are told apart.
    pub(crate) attempt: u32,
    /// The offset of the oldest message that is kept.
    pub(crate) first: u64,
    /// Accepted, given to the store, and not committed yet; in order.
    pub(crate) pending: VecDeque<Pending>,
    /// What they cost, in bytes.
    pub(crate) pending_bytes: u64,
    /// Questions that wait for the room to be opened.
    pub(crate) parked: Vec<Parked>,
}

/// How a room stands to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The store has been asked for the first time; nothing is known.
    Opening,
    /// It is open.
    Open,
    /// An append failed; the store has been asked how far the room came.
    Reopening,
    /// The store cannot be reached. The next publish asks again.
    Broken(Arc<str>),
}

/// Some messages on their way to the store: one append.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) messages: Vec<Arc<Message>>,
    /// Who is told when it is kept. The first said it; the others repeated its id meanwhile.
    pub(crate) askers: Vec<Asker>,
    /// The sender and id under which it was said.
    pub(crate) id: Option<(Arc<str>, Arc<str>)>,
}

/// Who asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) origin: Origin,
    pub(crate) ticket: Ticket,
}

/// A question that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) asker: Asker,
    pub(crate) ask: Ask,
}

impl Durable {
    /// A room that is being opened.
    pub(crate) fn opening() -> Self {
        Self {
            stage: Stage::Opening,
            attempt: 0,
            first: 1,
            pending: VecDeque::new(),
            pending_bytes: 0,
            parked: Vec::new(),
        }
    }

    /// Whether nothing of it is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
            && self.parked.is_empty()
            && !matches!(self.stage, Stage::Opening | Stage::Reopening)
    }

    /// The last message accepted, if it is not committed yet.
    pub(crate) fn last(&self) -> Option<&Arc<Message>> {
        self.pending
            .back()
            .and_then(|pending| pending.messages.last())
    }

    /// The append under way that holds `offset`.
    pub(crate) fn holding(&mut self, offset: u64) -> Option<&mut Pending> {
        let index = self.pending.partition_point(|pending| {
            pending
                .messages
                .last()
                .is_some_and(|last| last.offset < offset)
        });
        self.pending.get_mut(index)
    }
}
