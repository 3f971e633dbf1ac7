//! The thread that writes: what waits shares a commit; retention, and trying a store that failed, when nobody waits.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use taut_hub::{Append, RoomId, Store, StoreAnswer, StoreError, StoreRequest};

use super::Keeper;
use super::queue::Waits;

/// Appends that one commit takes in at most: beyond it the first ones would wait too long.
const GROUP_APPENDS: usize = 4_096;
/// Bytes of messages that one commit takes in, about.
const GROUP_BYTES: u64 = 8 << 20;
/// How often retention takes a step while commits are under way.
const EXPIRE_EVERY: Duration = Duration::from_millis(500);
/// How long retention rests between two steps when there is more to do.
const EXPIRE_STEP: Duration = Duration::from_millis(5);
/// Committed bytes after which the log is worked off, when nobody waits.
const LOG_BYTES_LONG: u64 = 8 << 20;
/// How often a store that failed is tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// The thread that writes.
pub(super) struct Writer<'a> {
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
    places: Vec<Place>,
    bytes: u64,
}

/// Where an append's answer goes, and since when it waits for it.
struct Place {
    core: u16,
    since: Instant,
    id: RoomId,
    attempt: u32,
    up_to: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(keeper: &'a Keeper, store: Box<dyn Store>) -> Self {
        Self {
            keeper,
            store,
            group: Group::default(),
            expired: Instant::now(),
            more_to_expire: true,
            probed: Instant::now(),
            log_bytes: 0,
        }
    }

    /// How long the writer may sleep when nothing waits.
    pub(super) fn rest(&self) -> Option<Duration> {
        Some(if !self.keeper.health.is_store_well() {
            PROBE_EVERY
        } else if self.more_to_expire {
            EXPIRE_STEP
        } else {
            EXPIRE_EVERY
        })
    }

    pub(super) fn carry_out(&mut self, requests: VecDeque<Waits>) {
        for (core, since, request) in requests {
            match request {
                StoreRequest::Append {
                    id,
                    attempt,
                    append,
                } => {
                    self.group.add((core, since), id, attempt, append);
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
                StoreRequest::Read { .. }
                | StoreRequest::Seek { .. }
                | StoreRequest::List { .. } => {}
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
        self.note_times(&group.places, &results);
        for (place, result) in group.places.into_iter().zip(results) {
            let Place {
                core,
                id,
                attempt,
                up_to,
                ..
            } = place;
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

    /// How long the appends took that are kept now.
    fn note_times(&self, places: &[Place], results: &[Result<(), StoreError>]) {
        let now = Instant::now();
        let times = self.keeper.append_times.lock();
        let mut times = times.unwrap_or_else(PoisonError::into_inner);
        let kept = places.iter().zip(results).filter(|(_, r)| r.is_ok());
        for (place, _) in kept {
            let took = now.saturating_duration_since(place.since);
            times.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// What is done when nobody waits.
    pub(super) fn meanwhile(&mut self) {
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

    /// Nothing comes any more: brings what is committed to the disk.
    pub(super) fn finish(&mut self) {
        if let Err(error) = self.store.sync() {
            tracing::error!(%error, "the last messages could not be brought to the disk");
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
    fn add(&mut self, (core, since): (u16, Instant), id: RoomId, attempt: u32, append: Append) {
        let up_to = append.after + append.messages.len() as u64;
        self.bytes += append
            .messages
            .iter()
            .map(|message| message.cost_bytes())
            .sum::<u64>();
        self.places.push(Place {
            core,
            since,
            id,
            attempt,
            up_to,
        });
        self.appends.push(append);
    }

    fn is_full(&self) -> bool {
        self.appends.len() >= GROUP_APPENDS || self.bytes >= GROUP_BYTES
    }
}
