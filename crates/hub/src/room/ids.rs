//! Idempotent publishes: which ids a room has seen.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::message::{Body, Draft};

/// The ids of the last minutes, oldest forgotten first, at most a given number of them.
#[derive(Debug)]
pub(crate) struct Ids {
    seen: HashMap<Key, Publication, Keyed>,
    order: VecDeque<(u64, Key)>,
}

/// An id counts per sender: two people may choose the same one.
type Key = (Arc<str>, Arc<str>);

#[derive(Debug, Clone, Copy)]
struct Publication {
    offset: u64,
    fingerprint: u64,
}

/// What a room knows of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Never,
    /// The same message, published at this offset.
    Same(u64),
    /// Another message.
    Other,
}

impl Ids {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            seen: HashMap::with_hasher(keyed),
            order: VecDeque::new(),
        }
    }

    pub(crate) fn look_up(&self, id: &Arc<str>, draft: &Draft) -> Seen {
        match self.seen.get(&key(id, draft)) {
            None => Seen::Never,
            Some(publication) if publication.fingerprint == fingerprint(draft) => {
                Seen::Same(publication.offset)
            }
            Some(_) => Seen::Other,
        }
    }

    pub(crate) fn remember(
        &mut self,
        id: &Arc<str>,
        draft: &Draft,
        offset: u64,
        now_ms: u64,
        count_max: u32,
    ) {
        while self.order.len() >= count_max.max(1) as usize {
            self.forget_oldest();
        }
        let publication = Publication {
            offset,
            fingerprint: fingerprint(draft),
        };
        self.seen.insert(key(id, draft), publication);
        self.order.push_back((now_ms, key(id, draft)));
    }

    /// Forgets what is older than the window.
    pub(crate) fn expire(&mut self, now_ms: u64, window_ms: u64) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| at + window_ms <= now_ms)
        {
            self.forget_oldest();
        }
    }

    /// When the oldest entry came.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.order.front().map(|(at, _)| *at)
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.seen.remove(&key);
        }
    }
}

fn key(id: &Arc<str>, draft: &Draft) -> Key {
    (Arc::clone(id), Arc::clone(&draft.from))
}

/// Tells two bodies apart; a forged collision would only harm the sender who made it.
fn fingerprint(draft: &Draft) -> u64 {
    let mut hasher = DefaultHasher::new();
    let kind = match draft.body {
        Body::Text(_) => 0_u8,
        Body::Json(_) => 1,
        Body::Binary(_) => 2,
    };
    (kind, draft.body.bytes(), &draft.event, &draft.key).hash(&mut hasher);
    hasher.finish()
}
