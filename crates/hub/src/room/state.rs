//! A room's state: the newest message of each key that is set.
//!
//! Two views of it: what is committed ([`State::entries`]), which joiners get, and what is accepted on top of it and not committed yet,
//! against which publishers' expectations and the bounds are checked. In a room without a store the two are one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::message::{Effect, Message};
use crate::policy::StateBounds;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct State {
    committed: HashMap<Arc<str>, Arc<Message>, Keyed>,
    /// When keys end, in milliseconds of Unix time.
    endings: BTreeSet<(u64, Arc<str>)>,
    /// The last accepted change of keys that have one under way.
    accepted: HashMap<Arc<str>, Accepted, Keyed>,
    /// Keys and bytes of the accepted view.
    keys: u64,
    bytes: u64,
}

/// A change that is not committed yet.
#[derive(Debug, Clone, Copy)]
struct Accepted {
    offset: u64,
    /// What it costs; `None` where the key is gone by it.
    cost: Option<u64>,
}

impl State {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            committed: HashMap::with_hasher(keyed),
            endings: BTreeSet::new(),
            accepted: HashMap::with_hasher(keyed),
            keys: 0,
            bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.accepted.is_empty()
    }

    /// The offset of the message that set `key` last, as far as accepted.
    pub(crate) fn version(&self, key: &str) -> Option<u64> {
        match self.accepted.get(key) {
            Some(accepted) => accepted.cost.map(|_| accepted.offset),
            None => self.committed.get(key).map(|message| message.offset),
        }
    }

    /// Whether `key` may take `cost` bytes.
    pub(crate) fn has_space(&self, key: &str, cost: u64, bounds: StateBounds) -> bool {
        let (held, new) = match self.accepted_cost(key) {
            Some(held) => (held, 0),
            None => (0, 1),
        };
        self.keys + new <= u64::from(bounds.keys_max)
            && self.bytes - held + cost <= bounds.bytes_max
    }

    /// A change is on its way.
    pub(crate) fn accept(&mut self, message: &Message) {
        let Some(key) = &message.key else { return };
        let cost = match message.effect {
            Effect::None => return,
            Effect::Set { .. } => Some(message.cost_bytes()),
            Effect::Deleted | Effect::Expired => None,
        };
        let held = self.accepted_cost(key);
        self.keys = self.keys + u64::from(cost.is_some()) - u64::from(held.is_some());
        self.bytes = self.bytes + cost.unwrap_or(0) - held.unwrap_or(0);
        let offset = message.offset;
        self.accepted
            .insert(Arc::clone(key), Accepted { offset, cost });
    }

    /// A change that was accepted is committed.
    pub(crate) fn commit(&mut self, message: &Arc<Message>) {
        let Some(key) = &message.key else { return };
        if message.effect == Effect::None {
            return;
        }
        if let Some(old) = self.committed.remove(key)
            && let Effect::Set {
                expires_ms: Some(at),
            } = old.effect
        {
            self.endings.remove(&(at, Arc::clone(key)));
        }
        if let Effect::Set { expires_ms } = message.effect {
            if let Some(at) = expires_ms {
                self.endings.insert((at, Arc::clone(key)));
            }
            self.committed.insert(Arc::clone(key), Arc::clone(message));
        }
        if self
            .accepted
            .get(key)
            .is_some_and(|accepted| accepted.offset <= message.offset)
        {
            self.accepted.remove(key);
        }
    }

    /// Takes what was kept, in place of what is here.
    pub(crate) fn restore(&mut self, kept: &[Arc<Message>]) {
        *self = Self::new(*self.committed.hasher());
        for message in kept {
            self.accept(message);
            self.commit(message);
        }
    }

    /// Nothing that is under way will be committed.
    pub(crate) fn give_up(&mut self) {
        self.accepted.clear();
        self.keys = self.committed.len() as u64;
        self.bytes = self
            .committed
            .values()
            .map(|message| message.cost_bytes())
            .sum();
    }

    /// What is set under `key`, or under all keys, by offset.
    pub(crate) fn entries(&self, key: Option<&str>) -> Vec<Arc<Message>> {
        let mut entries: Vec<Arc<Message>> = match key {
            Some(key) => self.committed.get(key).into_iter().cloned().collect(),
            None => self.committed.values().cloned().collect(),
        };
        entries.sort_unstable_by_key(|message| message.offset);
        entries
    }

    /// When the next key ends, in milliseconds of Unix time.
    pub(crate) fn ends_ms(&self) -> Option<u64> {
        self.endings.first().map(|(at, _)| *at)
    }

    /// Keys that have come to their end and are not changing already, at most `count_max`.
    pub(crate) fn ended(&self, now_unix_ms: u64, count_max: usize) -> Vec<Arc<str>> {
        self.endings
            .iter()
            .take_while(|(at, _)| *at <= now_unix_ms)
            .filter(|(_, key)| !self.accepted.contains_key(key))
            .take(count_max)
            .map(|(_, key)| Arc::clone(key))
            .collect()
    }

    fn accepted_cost(&self, key: &str) -> Option<u64> {
        match self.accepted.get(key) {
            Some(accepted) => accepted.cost,
            None => self.committed.get(key).map(|message| message.cost_bytes()),
        }
    }
}
