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

    /// Begins to try out some changes together.
    pub(crate) fn plan(&self) -> Plan<'_> {
        Plan {
            state: self,
            changed: Vec::new(),
            keys: self.keys,
            bytes: self.bytes,
        }
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

/// Changes that are tried out together: each is judged by what those before it leave.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    state: &'a State,
    /// By key, the last one counts: what it costs by then, where it is set. As many as a batch has messages.
    changed: Vec<(&'a str, Option<u64>)>,
    keys: u64,
    bytes: u64,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// It is not set.
    Absent,
    /// It was set by the message at this offset.
    At(u64),
    /// An earlier message of the same batch sets it.
    InBatch,
}

impl<'a> Plan<'a> {
    /// How `key` stands behind what was planned.
    pub(crate) fn version(&self, key: &str) -> Version {
        match self.planned(key) {
            Some(Some(_)) => Version::InBatch,
            Some(None) => Version::Absent,
            None => self.state.version(key).map_or(Version::Absent, Version::At),
        }
    }

    /// Sets `key` at `cost` bytes. Whether there is space for it.
    pub(crate) fn set(&mut self, key: &'a str, cost: u64, bounds: StateBounds) -> bool {
        let held = self.cost(key);
        self.keys += u64::from(held.is_none());
        self.bytes = self.bytes - held.unwrap_or(0) + cost;
        self.changed.push((key, Some(cost)));
        self.keys <= u64::from(bounds.keys_max) && self.bytes <= bounds.bytes_max
    }

    /// Deletes `key`.
    pub(crate) fn delete(&mut self, key: &'a str) {
        let held = self.cost(key);
        self.keys -= u64::from(held.is_some());
        self.bytes -= held.unwrap_or(0);
        self.changed.push((key, None));
    }

    fn cost(&self, key: &str) -> Option<u64> {
        self.planned(key)
            .unwrap_or_else(|| self.state.accepted_cost(key))
    }

    fn planned(&self, key: &str) -> Option<Option<u64>> {
        let mut changed = self.changed.iter().rev();
        changed
            .find(|(planned, _)| *planned == key)
            .map(|(_, cost)| *cost)
    }
}
