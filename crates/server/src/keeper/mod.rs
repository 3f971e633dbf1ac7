//! The keeper: where cores have their rooms kept. A core must never wait for a disk, so three threads do: one writes, one reads, one syncs.
//!
//! A core hands in [`StoreRequest`]s once a turn and gets [`StoreAnswer`]s back over its own channel. The writer takes all that waits and commits it
//! together: while one commit is under way the next group gathers, so the more is said, the more shares one commit, and nothing is delayed to
//! wait for company.
//!
//! Bounds: a commit takes at most 4,096 appends and about 8 MiB. What waits is bounded by the cores, which read no further requests
//! while `hub.pending_bytes_max` is under way.

mod queue;
mod writer;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taut_hub::{Store, StoreAnswer, StoreError, StoreReader, StoreRequest};

use crate::core::Alert;
use crate::health::Health;
use crate::metrics::Histogram;
use queue::{Queue, Taken};
use writer::Writer;

/// How often what is committed is brought to the disk itself.
const SYNC_EVERY: Duration = Duration::from_secs(1);

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
    /// How long appends took. The writer takes the lock once a commit, a scrape now and then.
    append_times: Mutex<Histogram>,
}

#[derive(Debug, Default)]
struct Unsynced {
    dirty: bool,
    closed: bool,
    /// The last sync failed: nothing counts as kept until one has worked.
    failed: Option<StoreError>,
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

    /// Hands the turn's requests to the threads; whether there were any.
    pub(crate) fn flush(&mut self) -> bool {
        if self.requests.is_empty() {
            return false;
        }
        let core = self.core;
        let (reads, writes): (Vec<_>, Vec<_>) = self.requests.drain(..).partition(|request| {
            matches!(
                request,
                StoreRequest::Read { .. } | StoreRequest::Seek { .. } | StoreRequest::List { .. }
            )
        });
        self.keeper.reads.put(core, reads);
        self.keeper.writes.put(core, writes);
        true
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
            append_times: Mutex::default(),
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
        let mut writer = Writer::new(self, store);
        loop {
            let wait = writer.rest();
            match self.writes.take(wait) {
                Taken::Requests(requests) => writer.carry_out(requests),
                Taken::Nothing => writer.meanwhile(),
                Taken::Closed => break,
            }
        }
        writer.finish();
    }

    /// Reads until the keeper is closed. What the thread that reads does.
    pub(crate) fn read(&self, mut reader: Box<dyn StoreReader>) {
        loop {
            match self.reads.take(None) {
                Taken::Requests(requests) => {
                    for (core, _, request) in requests {
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

    /// How long it took from a core's handing messages in to their commit.
    pub(crate) fn append_times(&self) -> Histogram {
        let times = self.append_times.lock();
        times.unwrap_or_else(PoisonError::into_inner).clone()
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
                    tell_often!(ERROR, %room, offset, "a kept message is damaged and left out; readers are told of the gap");
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
        StoreRequest::List {
            id,
            after,
            pattern,
            rooms_max,
        } => {
            let result = reader.rooms(after.as_ref(), &pattern, rooms_max);
            Some(StoreAnswer::Listed { id, result })
        }
        StoreRequest::Open { .. } | StoreRequest::Append { .. } => None,
    }
}
