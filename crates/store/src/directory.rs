//! What the writer knows of every room without asking the file.
//!
//! - An entry is what the file says, or its room is doubtful and will be read again before it is used.
//! - `over` and `due` hold exactly the rooms whose entry says so: [`Directory::change`] is the only way to change one.
//! - Bounded by the number of rooms that a store may keep.

use std::collections::{BTreeSet, HashMap};

use slab::Slab;
use taut_hub::{Epoch, History, RoomName};

/// A room.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its key in the file.
    pub(crate) id: i64,
    pub(crate) name: RoomName,
    pub(crate) epoch: Epoch,
    /// The oldest message kept; one more than `head` when there is none.
    pub(crate) first: u64,
    /// When that one was numbered, in milliseconds of Unix time.
    pub(crate) first_ms: u64,
    /// The cost of all messages before it.
    pub(crate) start_bytes: u64,
    /// The newest message, kept or not.
    pub(crate) head: u64,
    /// When the newest message that is kept was numbered: rooms silent for longest lose theirs first.
    pub(crate) head_ms: u64,
    /// The cost of all messages up to `head`.
    pub(crate) end_bytes: u64,
    /// What retention keeps, as the file says it.
    pub(crate) history: History,
    due: Option<u64>,
}

/// What a room's row says.
#[derive(Clone, Debug)]
pub(crate) struct RoomRow {
    pub(crate) id: i64,
    pub(crate) name: RoomName,
    pub(crate) epoch: Epoch,
    /// The last message that was forgotten.
    pub(crate) forgotten: u64,
    /// The cost of all messages up to that one.
    pub(crate) forgotten_bytes: u64,
    pub(crate) history: History,
}

impl Entry {
    /// A room without messages.
    pub(crate) fn new(row: RoomRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            epoch: row.epoch,
            first: row.forgotten.saturating_add(1),
            first_ms: 0,
            start_bytes: row.forgotten_bytes,
            head: row.forgotten,
            head_ms: 0,
            end_bytes: row.forgotten_bytes,
            history: row.history,
            due: None,
        }
    }

    /// How many messages are kept.
    pub(crate) fn count(&self) -> u64 {
        (self.head + 1).saturating_sub(self.first)
    }

    /// Whether the message, the oldest that is left, is one too many.
    pub(crate) fn forgets(&self, offset: u64, time_ms: u64, start_bytes: u64, now_ms: u64) -> bool {
        self.head.saturating_sub(offset) >= u64::from(self.history.messages_max)
            || self.end_bytes.saturating_sub(start_bytes) > self.history.bytes_max
            || time_ms.saturating_add(self.history.age_ms_max) <= now_ms
    }

    fn is_over(&self) -> bool {
        self.count() > 0
            && (self.count() > u64::from(self.history.messages_max)
                || self.end_bytes.saturating_sub(self.start_bytes) > self.history.bytes_max)
    }

    fn due_ms(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.first_ms.saturating_add(self.history.age_ms_max))
    }
}

/// All rooms.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    rooms: Slab<Entry>,
    names: HashMap<RoomName, usize>,
    over: BTreeSet<usize>,
    due: BTreeSet<(u64, usize)>,
}

impl Directory {
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn find(&self, name: &RoomName) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(crate) fn entry(&self, slot: usize) -> Option<&Entry> {
        self.rooms.get(slot)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.rooms.iter()
    }

    /// Puts the entry in, in place of the one with its name.
    pub(crate) fn put(&mut self, entry: Entry) -> usize {
        self.remove(&entry.name.clone());
        let name = entry.name.clone();
        let slot = self.rooms.insert(entry);
        self.names.insert(name, slot);
        self.change(slot, |_| ());
        slot
    }

    pub(crate) fn remove(&mut self, name: &RoomName) {
        let Some(slot) = self.names.remove(name) else {
            return;
        };
        let entry = self.rooms.remove(slot);
        self.over.remove(&slot);
        if let Some(due_ms) = entry.due {
            self.due.remove(&(due_ms, slot));
        }
    }

    /// Changes the entry, and what follows from it.
    pub(crate) fn change(&mut self, slot: usize, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.rooms.get_mut(slot) else {
            return;
        };
        change(entry);
        if entry.is_over() {
            self.over.insert(slot);
        } else if !self.over.is_empty() {
            self.over.remove(&slot);
        }
        let due = entry.due_ms();
        if entry.due == due {
            return;
        }
        if let Some(due_ms) = std::mem::replace(&mut entry.due, due) {
            self.due.remove(&(due_ms, slot));
        }
        if let Some(due_ms) = due {
            self.due.insert((due_ms, slot));
        }
    }

    /// A room that has something to forget by its own history.
    pub(crate) fn overdue(&self, now_ms: u64) -> Option<usize> {
        let aged = self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms);
        self.over
            .first()
            .copied()
            .or_else(|| aged.map(|(_, slot)| *slot))
    }
}
