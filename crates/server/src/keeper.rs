//! The keeper: where cores have their rooms kept. A core must never wait for a disk, so three threads do: one writes, one reads, one syncs.
//!
//! A core hands in [`StoreRequest`]s once a turn and gets [`StoreAnswer`]s back over its own channel. The writer takes all that waits and commits it
//! together: while one commit is under way the next group gathers, so the more is said, the more shares one commit, and nothing is delayed to
//! wait for company.
//!
//! Bounds: a group is at most [`GROUP_APPENDS`] appends and about [`GROUP_BYTES`]. What waits is bounded by the cores, which read no further requests
//! while `hub.pending_bytes_max` is under way.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use taut_hub::{Append, RoomId, Store, StoreAnswer, StoreError, StoreReader, StoreRequest};

use crate::core::Alert;
use crate::health::Health;

/// Appends that one commit takes in at most: beyond it the first ones would wait too long.
const GROUP_APPENDS: usize = 4_096;
/// Bytes of messages that one commit takes in, about.
const GROUP_BYTES: u64 = 8 << 20;
/// How often what is committed is brought to the disk itself.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How often retention takes a step while commits are under way.
const EXPIRE_EVERY: Duration = Duration::from_millis(500);
/// How long retention rests between two steps when there is more to do.
const EXPIRE_STEP: Duration = Duration::from_millis(5);
/// Committed bytes after which the log is worked off, when nobody waits.
const LOG_BYTES_LONG: u64 = 8 << 20;
/// How often a store that failed is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Keeper {
    writes: Queue,
    reads: Queue,
    /// Whether something was committed since the last sync; and whether the keeper is closed.
    unsynced: Mutex<Unsynced>,
    sync_bell: Condvar,
    outlets: Vec<Outlet>,
    health: Arc<Health>,
}

#[derive(Debug, Default)]
struct Unsynced {
    dirty: bool,
    closed: bool,
    /// The last sync failed: nothing counts as kept until one has worked.
    failed: Option<StoreError>,
}

/// Requests that wait for a thread.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<(u16, StoreRequest)>,
    closed: bool,
}

/// The way back to a core.
#[derive(Debug)]
struct Outlet {
    sender: Sender<StoreAnswer>,
    alert: Arc<Alert>,
}

/// A core's side of the keeper.
#[derive(Debug)]
pub(crate) struct Safe {
    core: u16,
    keeper: Arc<Keeper>,
    /// Said in this turn.
    requests: Vec<StoreRequest>,
    pub(crate) answers: Receiver<StoreAnswer>,
}

impl Safe {
    /// Takes a request in; it goes out with the others of this turn.
    pub(crate) fn ask(&mut self, request: StoreRequest) {
        self.requests.push(request);
    }

    /// Hands the turn's requests to the threads.
    pub(crate) fn flush(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let core = self.core;
        let (reads, writes): (Vec<_>, Vec<_>) = self.requests.drain(..).partition(|request| {
            matches!(
                request,
                StoreRequest::Read { .. } | StoreRequest::Seek { .. }
            )
        });
        self.keeper.reads.put(core, reads);
        self.keeper.writes.put(core, writes);
    }
}

impl Keeper {
    /// Opens the keeper; `alerts[i]` wakes core i, which gets `safes[i]`.
    pub(crate) fn open(alerts: &[Arc<Alert>], health: Arc<Health>) -> (Arc<Self>, Vec<Safe>) {
        let (outlets, receivers): (Vec<_>, Vec<_>) = alerts
            .iter()
            .map(|alert| {
                let (sender, answers) = channel();
                let alert = Arc::clone(alert);
                (Outlet { sender, alert }, answers)
            })
            .unzip();
        let keeper = Arc::new(Self {
            writes: Queue::default(),
            reads: Queue::default(),
            unsynced: Mutex::default(),
            sync_bell: Condvar::new(),
            outlets,
            health,
        });
        let safes = (0..)
            .zip(receivers)
            .map(|(core, answers)| Safe {
                core,
                keeper: Arc::clone(&keeper),
                requests: Vec::new(),
                answers,
            })
            .collect();
        (keeper, safes)
    }

    /// Commits until the keeper is closed and nothing waits any more. What the thread that writes does.
    pub(crate) fn write(&self, store: Box<dyn Store>) {
        let mut writer = Writer {
            keeper: self,
            store,
            group: Group::default(),
            expired: Instant::now(),
            more_to_expire: true,
            probed: Instant::now(),
            log_bytes: 0,
        };
        loop {
            let wait = writer.rest();
            match self.writes.take(wait) {
                Taken::Requests(requests) => writer.carry_out(requests),
                Taken::Nothing => writer.meanwhile(),
                Taken::Closed => break,
            }
        }
        if let Err(error) = writer.store.sync() {
            tracing::error!("the last messages could not be brought to the disk: {error}");
        }
    }

    /// Reads until the keeper is closed. What the thread that reads does.
    pub(crate) fn read(&self, mut reader: Box<dyn StoreReader>) {
        loop {
            match self.reads.take(None) {
                Taken::Requests(requests) => {
                    for (core, request) in requests {
                        if let Some(answer) = read_one(reader.as_mut(), request) {
                            self.answer(core, answer);
                        }
                    }
                }
                Taken::Nothing => {}
                Taken::Closed => return,
            }
        }
    }

    /// Brings what is committed to the disk itself, again and again. What the thread that syncs does.
    pub(crate) fn sync(&self, mut reader: Box<dyn StoreReader>) {
        loop {
            let mut unsynced = self.unsynced();
            if unsynced.closed {
                return;
            }
            // After a failure the writer finds out when it works again: a second sync may say yes to what is lost.
            let due = unsynced.failed.is_none() && std::mem::take(&mut unsynced.dirty);
            drop(unsynced);
            if due && let Err(error) = reader.sync() {
                self.health.store_failed(&error);
                self.unsynced().failed = Some(error);
            }
            let unsynced = self.unsynced();
            if unsynced.closed {
                return;
            }
            drop(
                self.sync_bell
                    .wait_timeout(unsynced, SYNC_EVERY)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    /// Ends the threads: the writer when it has written what waits.
    pub(crate) fn close(&self) {
        self.writes.close();
        self.reads.close();
        self.unsynced().closed = true;
        self.sync_bell.notify_all();
    }

    fn answer(&self, core: u16, answer: StoreAnswer) {
        // A core that has ended wants nothing any more.
        if let Some(outlet) = self.outlets.get(usize::from(core))
            && outlet.sender.send(answer).is_ok()
        {
            outlet.alert.raise();
        }
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread finds in its queue.
enum Taken {
    Requests(VecDeque<(u16, StoreRequest)>),
    Nothing,
    Closed,
}

impl Queue {
    fn put(&self, core: u16, requests: Vec<StoreRequest>) {
        if requests.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        waiting
            .requests
            .extend(requests.into_iter().map(|request| (core, request)));
        drop(waiting);
        self.bell.notify_one();
    }

    /// Takes all that waits; waits for it, for `rest` at most where given.
    fn take(&self, rest: Option<Duration>) -> Taken {
        let mut waiting = self.lock();
        loop {
            if !waiting.requests.is_empty() {
                return Taken::Requests(std::mem::take(&mut waiting.requests));
            }
            if waiting.closed {
                return Taken::Closed;
            }
            let Some(rest) = rest else {
                waiting = self
                    .bell
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (again, timed_out) = self
                .bell
                .wait_timeout(waiting, rest)
                .unwrap_or_else(PoisonError::into_inner);
            if timed_out.timed_out() && again.requests.is_empty() && !again.closed {
                return Taken::Nothing;
            }
            waiting = again;
        }
    }

    fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that writes.
struct Writer<'a> {
    keeper: &'a Keeper,
    store: Box<dyn Store>,
    group: Group,
    expired: Instant,
    more_to_expire: bool,
    probed: Instant,
    /// Committed since the log was last worked off.
    log_bytes: u64,
}

/// Appends that share one commit, and where their answers go.
#[derive(Default)]
struct Group {
    appends: Vec<Append>,
    places: Vec<(u16, RoomId, u32, u64)>,
    bytes: u64,
}

impl Writer<'_> {
    /// How long the writer may sleep when nothing waits.
    fn rest(&self) -> Option<Duration> {
        Some(if !self.keeper.health.is_store_well() {
            PROBE_EVERY
        } else if self.more_to_expire {
            EXPIRE_STEP
        } else {
            EXPIRE_EVERY
        })
    }

    fn carry_out(&mut self, requests: VecDeque<(u16, StoreRequest)>) {
        for (core, request) in requests {
            match request {
                StoreRequest::Append {
                    id,
                    attempt,
                    append,
                } => {
                    self.group.add(core, id, attempt, append);
                    if self.group.is_full() {
                        self.commit();
                    }
                }
                StoreRequest::Open { id, room, tail } => {
                    // What was said before it belongs to what it finds.
                    self.commit();
                    let result = self.store.open(&room, tail);
                    if let Err(error) = &result {
                        self.keeper.health.store_failed(error);
                    }
                    let answer = StoreAnswer::Opened { id, room, result };
                    self.keeper.answer(core, answer);
                }
                // These go to the reader.
                StoreRequest::Read { .. } | StoreRequest::Seek { .. } => {}
            }
        }
        self.commit();
        if self.expired.elapsed() >= EXPIRE_EVERY {
            self.expire();
        }
    }

    fn commit(&mut self) {
        let group = std::mem::take(&mut self.group);
        if group.appends.is_empty() {
            return;
        }
        if self.probed.elapsed() >= PROBE_EVERY {
            self.probe();
        }
        let failed_sync = self.keeper.unsynced().failed.clone();
        let results = match failed_sync {
            // What cannot be brought to the disk is not taken in.
            Some(error) => vec![Err(error); group.appends.len()],
            None => self.store.commit(&group.appends),
        };
        self.log_bytes += group.bytes;
        for ((core, id, attempt, up_to), result) in group.places.into_iter().zip(results) {
            match &result {
                Ok(()) => self.keeper.health.store_well(),
                // It follows from a failure that was told.
                Err(StoreError::OutOfOrder { .. }) => {}
                Err(error) => self.keeper.health.store_failed(error),
            }
            let answer = StoreAnswer::Appended {
                id,
                attempt,
                up_to,
                result,
            };
            self.keeper.answer(core, answer);
        }
        self.keeper.unsynced().dirty = true;
    }

    /// What is done when nobody waits.
    fn meanwhile(&mut self) {
        if !self.keeper.health.is_store_well() {
            return self.probe();
        }
        self.expire();
        if self.log_bytes > LOG_BYTES_LONG {
            self.log_bytes = 0;
            if let Err(error) = self.store.sync() {
                self.keeper.health.store_failed(&error);
            }
        }
    }

    /// Tries a store that failed.
    fn probe(&mut self) {
        self.probed = Instant::now();
        if self.keeper.health.is_store_well() {
            return;
        }
        match self.store.probe() {
            Ok(()) => {
                self.keeper.unsynced().failed = None;
                self.keeper.health.store_well();
            }
            Err(error) => self.keeper.health.store_failed(&error),
        }
    }

    fn expire(&mut self) {
        self.expired = Instant::now();
        match self.store.expire(crate::core::unix_ms()) {
            Ok(expired) => {
                self.more_to_expire = expired.more;
                for (room, first) in expired.rooms {
                    for core in 0..self.keeper.outlets.len() {
                        // Only its home knows the room.
                        let room = room.clone();
                        let core = u16::try_from(core).unwrap_or(u16::MAX);
                        self.keeper
                            .answer(core, StoreAnswer::Forgotten { room, first });
                    }
                }
            }
            Err(error) => {
                self.more_to_expire = false;
                self.keeper.health.store_failed(&error);
            }
        }
    }
}

impl Group {
    fn add(&mut self, core: u16, id: RoomId, attempt: u32, append: Append) {
        let up_to = append.after + append.messages.len() as u64;
        self.bytes += append
            .messages
            .iter()
            .map(|message| message.cost_bytes())
            .sum::<u64>();
        self.places.push((core, id, attempt, up_to));
        self.appends.push(append);
    }

    fn is_full(&self) -> bool {
        self.appends.len() >= GROUP_APPENDS || self.bytes >= GROUP_BYTES
    }
}

fn read_one(reader: &mut dyn StoreReader, request: StoreRequest) -> Option<StoreAnswer> {
    match request {
        StoreRequest::Read {
            id,
            room,
            after,
            messages_max,
            bytes_max,
        } => {
            let result = reader.read(&room, after, messages_max, bytes_max);
            if let Ok(stretch) = &result {
                for offset in &stretch.damaged {
                    tracing::error!(%room, offset, "a kept message is damaged and left out; readers are told of the gap");
                }
            }
            Some(StoreAnswer::Read {
                id,
                room,
                after,
                result,
            })
        }
        StoreRequest::Seek { id, room, time_ms } => {
            let result = reader.seek(&room, time_ms);
            Some(StoreAnswer::Sought {
                id,
                room,
                time_ms,
                result,
            })
        }
        StoreRequest::Open { .. } | StoreRequest::Append { .. } => None,
    }
}
