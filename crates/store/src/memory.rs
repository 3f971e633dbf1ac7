//! A store in memory: the same promises, except that it ends with the process, and faults on demand.
//!
//! Clones share what is kept, so a simulated server that is started again finds what the one before had; see [`MemoryStore::restart`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taut_hub::{
    Append, Effect, Epoch, Expired, History, Kept, KeptId, Message, Pattern, Position, RoomFacts,
    RoomList, RoomName, Store, StoreError, StoreReader, Stretch, Tail,
};

use crate::commit::follows;
use crate::settings::ID_WINDOW_MS;

/// How many messages and ids one step of [`Store::expire`] forgets at most.
const EXPIRED_MAX: usize = 500;

/// A store in memory. Cloning it gives another handle to the same content.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

/// Makes the store fail. Each fault is used up by the calls that it fails.
#[derive(Clone, Debug)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    rooms: HashMap<RoomName, Room>,
    faults: Planned,
}

#[derive(Debug, Default)]
struct Planned {
    commits: VecDeque<Commits>,
    syncs: VecDeque<StoreError>,
    opens: VecDeque<StoreError>,
    reads: VecDeque<StoreError>,
    commits_seen: u64,
    syncs_seen: u64,
}

#[derive(Debug)]
struct Commits {
    error: StoreError,
    applied: bool,
}

#[derive(Debug)]
struct Room {
    epoch: Epoch,
    head: u64,
    end_bytes: u64,
    start_bytes: u64,
    messages: BTreeMap<u64, Arc<Message>>,
    damaged: Vec<u64>,
    state: BTreeMap<Arc<str>, Arc<Message>>,
    ids: VecDeque<KeptId>,
    history: History,
}

impl Room {
    fn first(&self) -> u64 {
        self.messages
            .first_key_value()
            .map_or(self.head + 1, |(offset, _)| *offset)
    }

    fn append(&mut self, append: &Append) {
        for message in &append.messages {
            let message = Arc::new(Message {
                origin: None,
                born_ms: message.time_ms,
                ..Message::clone(message)
            });
            self.head = message.offset;
            self.end_bytes = message.end_bytes;
            if let Some(key) = &message.key {
                match message.effect {
                    Effect::None => {}
                    Effect::Set { .. } => {
                        self.state.insert(Arc::clone(key), Arc::clone(&message));
                    }
                    Effect::Deleted | Effect::Expired => {
                        self.state.remove(key);
                    }
                }
            }
            self.messages.insert(message.offset, message);
        }
        self.ids.extend(append.id.clone());
        self.history = append.history;
    }

    fn facts(&self, name: &RoomName) -> RoomFacts {
        RoomFacts {
            name: name.clone(),
            users: 0,
            conns: 0,
            at: Position {
                epoch: self.epoch,
                offset: self.head,
            },
            messages: self.messages.len() as u64,
            bytes: self.end_bytes.saturating_sub(self.start_bytes),
            durable: true,
            in_memory: false,
        }
    }

    /// Whether its oldest message is one too many.
    fn is_over(&self, now_ms: u64) -> bool {
        self.messages.first_key_value().is_some_and(|(_, oldest)| {
            self.messages.len() as u64 > u64::from(self.history.messages_max)
                || self.end_bytes.saturating_sub(self.start_bytes) > self.history.bytes_max
                || oldest.time_ms.saturating_add(self.history.age_ms_max) <= now_ms
        })
    }
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it fail.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults {
            inner: Arc::clone(&self.inner),
        }
    }

    /// What the next run of a server gets: everything that is kept, without the rooms that hold nothing.
    #[must_use]
    pub fn restart(&self) -> Self {
        lock(&self.inner).rooms.retain(|_, room| {
            !(room.messages.is_empty() && room.state.is_empty() && room.ids.is_empty())
        });
        self.clone()
    }
}

impl Faults {
    /// The next `count` commits fail, and nothing of them is kept.
    pub fn fail_commits(&self, count: usize, error: &StoreError) {
        self.plan(count, error, false);
    }

    /// The next `count` commits are kept, and reported as failed all the same: a disk that does what it denies.
    pub fn deny_commits(&self, count: usize, error: &StoreError) {
        self.plan(count, error, true);
    }

    /// The next `count` syncs fail.
    pub fn fail_syncs(&self, count: usize, error: &StoreError) {
        repeat(&mut lock(&self.inner).faults.syncs, count, error);
    }

    /// The next `count` opens of rooms fail.
    pub fn fail_opens(&self, count: usize, error: &StoreError) {
        repeat(&mut lock(&self.inner).faults.opens, count, error);
    }

    /// The next `count` reads and seeks fail.
    pub fn fail_reads(&self, count: usize, error: &StoreError) {
        repeat(&mut lock(&self.inner).faults.reads, count, error);
    }

    /// The disk is well again: what has been planned and not happened yet will not.
    pub fn heal(&self) {
        let mut inner = lock(&self.inner);
        let (commits_seen, syncs_seen) = (inner.faults.commits_seen, inner.faults.syncs_seen);
        inner.faults = Planned {
            commits_seen,
            syncs_seen,
            ..Planned::default()
        };
    }

    /// One message can no longer be trusted. Whether it was there.
    pub fn damage(&self, room: &RoomName, offset: u64) -> bool {
        let mut inner = lock(&self.inner);
        let Some(room) = inner.rooms.get_mut(room) else {
            return false;
        };
        let there = room.messages.contains_key(&offset);
        if there && !room.damaged.contains(&offset) {
            room.damaged.push(offset);
        }
        there
    }

    /// How many commits were asked for, failed ones too.
    #[must_use]
    pub fn commits(&self) -> u64 {
        lock(&self.inner).faults.commits_seen
    }

    /// How many syncs were asked for, failed ones too, beside those of commits.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.inner).faults.syncs_seen
    }

    fn plan(&self, count: usize, error: &StoreError, applied: bool) {
        let commits = (0..count).map(|_| Commits {
            error: error.clone(),
            applied,
        });
        lock(&self.inner).faults.commits.extend(commits);
    }
}

fn repeat(faults: &mut VecDeque<StoreError>, count: usize, error: &StoreError) {
    faults.extend(std::iter::repeat_n(error.clone(), count));
}

/// A thread that panicked with the lock held has changed nothing by halves: each change is one assignment or insertion.
fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn planned(faults: &mut VecDeque<StoreError>) -> Result<(), StoreError> {
    faults.pop_front().map_or(Ok(()), Err)
}

impl Inner {
    fn append(&mut self, append: &Append) -> Result<(), StoreError> {
        let head = self.rooms.get(&append.room).map_or(0, |room| room.head);
        if !follows(append, head) {
            return Err(StoreError::OutOfOrder { head });
        }
        let start_bytes = append.messages.first().map_or(0, |m| m.start_bytes());
        self.rooms
            .entry(append.room.clone())
            .or_insert_with(|| Room {
                epoch: append.epoch,
                head,
                end_bytes: 0,
                start_bytes,
                messages: BTreeMap::new(),
                damaged: Vec::new(),
                state: BTreeMap::new(),
                ids: VecDeque::new(),
                history: append.history,
            })
            .append(append);
        Ok(())
    }
}

impl Store for MemoryStore {
    fn open(&mut self, room: &RoomName, tail: Tail) -> Result<Option<Kept>, StoreError> {
        let mut inner = lock(&self.inner);
        planned(&mut inner.faults.opens)?;
        let Some(room) = inner.rooms.get(room) else {
            return Ok(None);
        };
        let mut cost_bytes = 0;
        let mut messages: Vec<Arc<Message>> = room
            .messages
            .values()
            .rev()
            .take(usize::try_from(tail.messages_max).unwrap_or(usize::MAX))
            .take_while(|message| {
                let alone = cost_bytes == 0;
                cost_bytes += message.cost_bytes();
                !room.damaged.contains(&message.offset) && (alone || cost_bytes <= tail.bytes_max)
            })
            .cloned()
            .collect();
        messages.reverse();
        let mut state: Vec<_> = room.state.values().cloned().collect();
        state.sort_unstable_by_key(|message| message.offset);
        let ids = room.ids.iter().rev();
        let mut ids: Vec<KeptId> = ids
            .filter(|id| id.time_ms >= tail.ids_since_ms)
            .take(usize::try_from(tail.ids_max).unwrap_or(usize::MAX))
            .cloned()
            .collect();
        ids.reverse();
        Ok(Some(Kept {
            epoch: room.epoch,
            first: room.first(),
            head: room.head,
            end_bytes: room.end_bytes,
            tail: messages,
            state,
            ids,
        }))
    }

    fn commit(&mut self, appends: &[Append]) -> Vec<Result<(), StoreError>> {
        if appends.is_empty() {
            return Vec::new();
        }
        let mut inner = lock(&self.inner);
        inner.faults.commits_seen += 1;
        let fault = inner.faults.commits.pop_front();
        if let Some(Commits { error, applied }) = fault {
            if applied {
                for append in appends {
                    let _ = inner.append(append);
                }
            }
            return vec![Err(error); appends.len()];
        }
        appends.iter().map(|append| inner.append(append)).collect()
    }

    fn expire(&mut self, now_unix_ms: u64) -> Result<Expired, StoreError> {
        let mut inner = lock(&self.inner);
        let until_ms = now_unix_ms.saturating_sub(ID_WINDOW_MS);
        let mut expired = Expired::default();
        let mut left = EXPIRED_MAX;
        for (name, room) in &mut inner.rooms {
            while left > 0 && room.ids.front().is_some_and(|id| id.time_ms <= until_ms) {
                room.ids.pop_front();
                left -= 1;
            }
            let first = room.first();
            while left > 0
                && room.is_over(now_unix_ms)
                && let Some((offset, message)) = room.messages.pop_first()
            {
                room.start_bytes = message.end_bytes;
                room.damaged.retain(|damaged| *damaged != offset);
                left -= 1;
            }
            if room.first() != first {
                expired.rooms.push((name.clone(), room.first()));
            }
        }
        expired.more = left == 0;
        Ok(expired)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let mut inner = lock(&self.inner);
        inner.faults.syncs_seen += 1;
        planned(&mut inner.faults.syncs)
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        let mut inner = lock(&self.inner);
        match inner.faults.commits.pop_front() {
            Some(commits) => Err(commits.error),
            None => planned(&mut inner.faults.syncs),
        }
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl StoreReader for MemoryStore {
    fn sync(&mut self) -> Result<(), StoreError> {
        Store::sync(self)
    }

    fn read(
        &mut self,
        room: &RoomName,
        after: u64,
        messages_max: u32,
        bytes_max: u64,
    ) -> Result<Stretch, StoreError> {
        let mut inner = lock(&self.inner);
        planned(&mut inner.faults.reads)?;
        let mut stretch = Stretch::default();
        let Some(room) = inner.rooms.get(room) else {
            return Ok(stretch);
        };
        let mut cost_bytes = 0;
        let behind = room.messages.range(after.saturating_add(1)..);
        for (offset, message) in behind.take(usize::try_from(messages_max).unwrap_or(usize::MAX)) {
            if room.damaged.contains(offset) {
                stretch.damaged.push(*offset);
                continue;
            }
            cost_bytes += message.cost_bytes();
            if cost_bytes > bytes_max && !stretch.messages.is_empty() {
                break;
            }
            stretch.messages.push(Arc::clone(message));
        }
        Ok(stretch)
    }

    fn rooms(
        &mut self,
        after: Option<&RoomName>,
        pattern: &Pattern,
        rooms_max: u32,
    ) -> Result<RoomList, StoreError> {
        let mut inner = lock(&self.inner);
        planned(&mut inner.faults.reads)?;
        let behind = |name: &RoomName| after.is_none_or(|after| name > after);
        let wanted = inner.rooms.iter();
        let mut wanted: Vec<_> = wanted
            .filter(|(name, _)| behind(name) && pattern.matches(name.as_str()))
            .collect();
        wanted.sort_unstable_by_key(|(name, _)| *name);
        let rooms_max = usize::try_from(rooms_max).unwrap_or(usize::MAX);
        let is_whole = wanted.len() <= rooms_max;
        wanted.truncate(rooms_max);
        let rooms: Vec<RoomFacts> = wanted.iter().map(|(name, room)| room.facts(name)).collect();
        let last = rooms.last().map(|room| room.name.clone());
        Ok(RoomList {
            rooms,
            next: last.filter(|_| !is_whole),
        })
    }

    fn seek(&mut self, room: &RoomName, time_ms: u64) -> Result<u64, StoreError> {
        let mut inner = lock(&self.inner);
        planned(&mut inner.faults.reads)?;
        let Some(room) = inner.rooms.get(room) else {
            return Ok(0);
        };
        let from = room.messages.values().find(|m| m.time_ms >= time_ms);
        Ok(from.map_or(room.head, |message| message.offset - 1))
    }
}
