//! Requests on their way from the cores to one thread of the keeper.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use taut_hub::StoreRequest;

/// Requests that wait for a thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

/// A request, whose it is, and since when it waits.
pub(super) type Waits = (u16, Instant, StoreRequest);

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Waits>,
    closed: bool,
}

/// What a thread finds in its queue.
pub(super) enum Taken {
    Requests(VecDeque<Waits>),
    Nothing,
    Closed,
}

impl Queue {
    pub(super) fn put(&self, core: u16, requests: Vec<StoreRequest>) {
        if requests.is_empty() {
            return;
        }
        let since = Instant::now();
        let mut waiting = self.lock();
        waiting
            .requests
            .extend(requests.into_iter().map(|request| (core, since, request)));
        drop(waiting);
        self.bell.notify_one();
    }

    /// Takes all that waits; waits for it, for `rest` at most where given.
    pub(super) fn take(&self, rest: Option<Duration>) -> Taken {
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

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
