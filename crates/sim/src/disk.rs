//! The disk as the simulation plays it: requests take their time, fail, and are cut off by a crash.

use std::collections::VecDeque;

use taut_hub::{RoomName, Store, StoreAnswer, StoreError, StoreReader, StoreRequest};
use taut_store::memory::MemoryStore;

use crate::check::Broken;
use crate::random::Random;

/// A store, and what is on its way to and from it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    store: MemoryStore,
    writes: VecDeque<(u64, u16, StoreRequest)>,
    reads: VecDeque<(u64, u16, StoreRequest)>,
    answers: VecDeque<(u64, u16, StoreAnswer)>,
}

impl Disk {
    /// A core asks for something.
    pub(crate) fn ask(&mut self, core: u16, request: StoreRequest, at_ms: u64) {
        let queue = match request {
            StoreRequest::Open { .. } | StoreRequest::Append { .. } => &mut self.writes,
            StoreRequest::Read { .. } | StoreRequest::Seek { .. } | StoreRequest::List { .. } => {
                &mut self.reads
            }
        };
        // In order: nothing overtakes what was asked before.
        let at_ms = queue.back().map_or(at_ms, |(last, ..)| at_ms.max(*last));
        queue.push_back((at_ms, core, request));
    }

    /// Does what is due by `now_ms`; the answers are on their way then.
    pub(crate) fn work(
        &mut self,
        now_ms: u64,
        random: &mut Random,
        delay_ms_max: u64,
    ) -> Result<(), Broken> {
        for queue in [&mut self.writes, &mut self.reads] {
            while let Some((at_ms, ..)) = queue.front()
                && *at_ms <= now_ms
                && let Some((_, core, request)) = queue.pop_front()
            {
                let answer = carry_out(&mut self.store, request)?;
                let at_ms = now_ms + random.below(delay_ms_max);
                let at_ms = self
                    .answers
                    .back()
                    .map_or(at_ms, |(last, ..)| at_ms.max(*last));
                self.answers.push_back((at_ms, core, answer));
            }
        }
        Ok(())
    }

    /// The next answer that has arrived.
    pub(crate) fn answer(&mut self, now_ms: u64) -> Option<(u16, StoreAnswer)> {
        let (at_ms, ..) = self.answers.front()?;
        if *at_ms > now_ms {
            return None;
        }
        self.answers
            .pop_front()
            .map(|(_, core, answer)| (core, answer))
    }

    /// Retention takes a step; every core hears of it.
    pub(crate) fn expire(
        &mut self,
        now_ms: u64,
        unix_ms: u64,
        cores: u16,
    ) -> Result<Vec<(RoomName, u64)>, Broken> {
        let expired = self
            .store
            .expire(unix_ms)
            .map_err(|error| Broken(error.to_string()))?;
        for (room, first) in &expired.rooms {
            for core in 0..cores {
                let at_ms = self.answers.back().map_or(now_ms, |(last, ..)| *last);
                let answer = StoreAnswer::Forgotten {
                    room: room.clone(),
                    first: *first,
                };
                self.answers.push_back((at_ms, core, answer));
            }
        }
        Ok(expired.rooms)
    }

    /// Something goes wrong with the next few requests.
    pub(crate) fn break_something(&self, random: &mut Random) {
        let faults = self.store.faults();
        let count = 1 + usize::try_from(random.below(4)).unwrap_or(0);
        let error = random
            .pick(&[
                StoreError::Full,
                StoreError::ReadOnly,
                StoreError::Failed {
                    text: "sim".to_owned(),
                },
            ])
            .cloned()
            .unwrap_or(StoreError::Full);
        match random.below(5) {
            0 | 1 => faults.fail_commits(count, &error),
            2 => faults.deny_commits(count, &error),
            3 => faults.fail_reads(count, &error),
            _ => faults.fail_opens(count, &error),
        }
    }

    /// The disk is well again.
    pub(crate) fn heal(&self) {
        self.store.faults().heal();
    }

    /// The server is killed: a part of what was asked is done, and nobody hears of it.
    pub(crate) fn crash(&mut self, random: &mut Random) -> Result<(), Broken> {
        let done = random.below(self.writes.len() as u64 + 1);
        for _ in 0..done {
            if let Some((_, _, request)) = self.writes.pop_front() {
                carry_out(&mut self.store, request)?;
            }
        }
        self.heal();
        *self = Self {
            store: self.store.restart(),
            ..Self::default()
        };
        Ok(())
    }

    /// What is kept, for the checker.
    pub(crate) fn store(&self) -> MemoryStore {
        self.store.clone()
    }
}

fn carry_out(store: &mut MemoryStore, request: StoreRequest) -> Result<StoreAnswer, Broken> {
    let reader = |store: &MemoryStore| -> Result<Box<dyn StoreReader>, Broken> {
        store.reader().map_err(|error| Broken(error.to_string()))
    };
    Ok(match request {
        StoreRequest::Open { id, room, tail } => StoreAnswer::Opened {
            id,
            result: store.open(&room, tail),
            room,
        },
        StoreRequest::Append {
            id,
            attempt,
            append,
        } => StoreAnswer::Appended {
            id,
            attempt,
            up_to: append.after + append.messages.len() as u64,
            result: store
                .commit(std::slice::from_ref(&append))
                .pop()
                .unwrap_or(Err(StoreError::Closed)),
        },
        StoreRequest::Read {
            id,
            room,
            after,
            messages_max,
            bytes_max,
        } => StoreAnswer::Read {
            id,
            result: reader(store)?.read(&room, after, messages_max, bytes_max),
            room,
            after,
        },
        StoreRequest::List {
            id,
            after,
            pattern,
            rooms_max,
        } => StoreAnswer::Listed {
            id,
            result: reader(store)?.rooms(after.as_ref(), &pattern, rooms_max),
        },
        StoreRequest::Seek { id, room, time_ms } => StoreAnswer::Sought {
            id,
            result: reader(store)?.seek(&room, time_ms),
            room,
            time_ms,
        },
    })
}
