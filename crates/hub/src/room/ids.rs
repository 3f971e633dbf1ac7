//! Idempotent publishes: which ids a room has seen.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::message::{Body, Draft, Wish};
use crate::store::KeptId;

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
    at_ms: u64,
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

    pub(crate) fn look_up(&self, from: &Arc<str>, id: &Arc<str>, fingerprint: u64) -> Seen {
        match self.seen.get(&(Arc::clone(from), Arc::clone(id))) {
            None => Seen::Never,
            Some(publication) if publication.fingerprint == fingerprint => {
                Seen::Same(publication.offset)
            }
            Some(_) => Seen::Other,
        }
    }

    /// Remembers an id. `now_ms` counts as the room's clock does.
    pub(crate) fn remember(&mut self, kept: &KeptId, now_ms: u64, count_max: u32) {
        while self.order.len() >= count_max.max(1) as usize {
            self.forget_oldest();
        }
        let key = (Arc::clone(&kept.from), Arc::clone(&kept.id));
        let publication = Publication {
            offset: kept.offset,
            fingerprint: kept.fingerprint,
            at_ms: now_ms,
        };
        self.seen.insert(key.clone(), publication);
        self.order.push_back((now_ms, key));
    }

    /// What was said under this id is not kept after all.
    pub(crate) fn forget(&mut self, from: &Arc<str>, id: &Arc<str>) {
        // Its place in `order` stays, and meets nothing.
        self.seen.remove(&(Arc::clone(from), Arc::clone(id)));
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
        if let Some((at, key)) = self.order.pop_front()
            && self.seen.get(&key).is_some_and(|seen| seen.at_ms == at)
        {
            self.seen.remove(&key);
        }
    }
}

/// Tells what was said under an id from anything else: 64 bits of FNV-1a, since it is kept, and must mean the same to the next version. A forged
/// collision would only harm the sender who made it.
pub(crate) fn fingerprint(drafts: &[Draft]) -> u64 {
    let mut hash = Fnv::new();
    for draft in drafts {
        let kind = match draft.body {
            Body::Text(_) => 0_u8,
            Body::Json(_) => 1,
            Body::Binary(_) => 2,
            Body::Args(_) => 3,
        };
        let wish = match draft.wish {
            Wish::Set { .. } => 0_u8,
            Wish::Delete => 1,
        };
        hash.add(&[kind, wish]);
        hash.add_part(draft.body.bytes());
        hash.add_part(draft.event.as_deref().unwrap_or("message").as_bytes());
        hash.add_part(draft.key.as_deref().unwrap_or("").as_bytes());
    }
    hash.0
}

struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add_part(&mut self, bytes: &[u8]) {
        self.add(&(bytes.len() as u64).to_le_bytes());
        self.add(bytes);
    }
}
