//! The desk where cores have the application asked for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use taut_hub::{ConnId, RoomName};

use super::breaker::Breaker;
use super::call::{self, Line};
use super::config::{HookEvent, OnFailure, Webhook};
use super::entry::{self, Entry};
use super::words::{self, Verdict};
use crate::core::Alert;

/// A question for the application.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) core: u16,
    pub(crate) conn: ConnId,
    /// What is asked, written already: the message itself stays with its core.
    pub(crate) body: Vec<u8>,
    pub(crate) topic: Topic,
    pub(crate) asked: Instant,
}

/// What a [`Job`] is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topic {
    /// So many messages.
    Messages(usize),
    /// Whether a Conn may come in; with the number of the question, since one that is late must not pass for another.
    Entry(u32),
}

/// What came of a [`Job`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// Of messages; `None`: the application could not be asked, and so nothing passes.
    Messages(Option<Verdict>),
    /// Of who wants in, and to which question.
    Entry(u32, Entry),
}

/// All webhooks. Those in force may be others later: cores go on with the list that they have until they are told to look.
pub(crate) struct Hooks {
    in_force: Mutex<List>,
    outlets: Vec<Outlet>,
    started: Instant,
}

type List = Arc<[Arc<Hook>]>;

/// A webhook, and who waits for it.
pub(crate) struct Hook {
    config: Webhook,
    tls: Arc<ClientConfig>,
    queue: Mutex<Queue>,
    /// Rings when there is something to ask.
    bell: Condvar,
    breaker: Mutex<Breaker>,
    tally: Tally,
}

/// What came of a webhook's questions so far.
#[derive(Debug, Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    /// Not asked at all: too many waited, or it had failed again and again.
    unasked: AtomicU64,
}

impl Tally {
    fn counts(&self) -> [u64; 3] {
        [&self.answered, &self.failed, &self.unasked].map(|count| count.load(Ordering::Relaxed))
    }
}

/// What is to be in force, what is new of it, and what is over.
pub(crate) struct Prepared {
    list: List,
    pub(crate) came: Vec<Arc<Hook>>,
    pub(crate) went: Vec<Arc<Hook>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Outlet {
    sender: Sender<(ConnId, Answer)>,
    alert: Arc<Alert>,
}

/// A core's side of the desk.
pub(crate) struct Counter {
    hooks: Arc<Hooks>,
    /// Those that this core goes by.
    list: List,
    pub(crate) done: Receiver<(ConnId, Answer)>,
}

impl Hooks {
    /// Opens the desk; `alerts[i]` wakes core i, which gets `counters[i]`.
    pub(crate) fn open(
        webhooks: Vec<Webhook>,
        alerts: &[Arc<Alert>],
    ) -> Result<(Arc<Self>, Vec<Counter>), rustls::Error> {
        let (outlets, receivers): (Vec<_>, Vec<_>) = alerts
            .iter()
            .map(|alert| {
                let (sender, done) = channel();
                let alert = Arc::clone(alert);
                (Outlet { sender, alert }, done)
            })
            .unzip();
        let list = webhooks.into_iter().map(Hook::open);
        let list: List = list.collect::<Result<_, _>>()?;
        let hooks = Arc::new(Self {
            in_force: Mutex::new(Arc::clone(&list)),
            outlets,
            started: Instant::now(),
        });
        let of_core = |done| Counter {
            hooks: Arc::clone(&hooks),
            list: Arc::clone(&list),
            done,
        };
        let counters = receivers.into_iter().map(of_core).collect();
        Ok((hooks, counters))
    }

    /// For each thread that is wanted, which webhook it serves.
    pub(crate) fn threads(&self) -> Vec<Arc<Hook>> {
        self.list().iter().flat_map(Hook::threads).collect()
    }

    fn list(&self) -> List {
        Arc::clone(&lock(&self.in_force))
    }

    /// What is to be in force next: a webhook that stays the same goes on as it is, with its threads and what it has counted. Changes nothing.
    pub(crate) fn prepare(&self, webhooks: &[Webhook]) -> Result<Prepared, rustls::Error> {
        let old = self.list();
        // Newcomers are asked about from the start, or not at all: who is here already was let in by that.
        let asks = old.iter().any(|hook| hook.config.is_about_newcomers());
        let (mut list, mut came, mut kept) = (Vec::new(), Vec::new(), vec![false; old.len()]);
        for webhook in webhooks {
            if webhook.is_about_newcomers() && !asks {
                continue;
            }
            let mut known = old.iter().zip(&mut kept);
            let same = known.find(|(hook, is_kept)| !**is_kept && hook.config.is(webhook));
            list.push(match same {
                Some((hook, is_kept)) => {
                    *is_kept = true;
                    Arc::clone(hook)
                }
                None => {
                    let hook = Hook::open(webhook.clone())?;
                    came.push(Arc::clone(&hook));
                    hook
                }
            });
        }
        let mut went = Vec::new();
        for (hook, is_kept) in old.iter().zip(kept) {
            let is_last = hook.config.is_about_newcomers()
                && !list
                    .iter()
                    .any(|hook: &Arc<Hook>| hook.config.is_about_newcomers());
            match (is_kept, is_last) {
                (false, true) => list.push(Arc::clone(hook)),
                (false, false) => went.push(Arc::clone(hook)),
                (true, _) => {}
            }
        }
        let list = list.into();
        Ok(Prepared { list, came, went })
    }

    /// Puts a list into force, for cores that look from now on.
    pub(crate) fn apply(&self, prepared: &Prepared) {
        *lock(&self.in_force) = Arc::clone(&prepared.list);
    }

    /// Of each webhook the word for its event, its tally, and how many questions wait.
    pub(crate) fn tallies(&self) -> Vec<(&'static str, [u64; 3], usize)> {
        let of_hook = |hook: &Arc<Hook>| {
            let event = match hook.config.event {
                HookEvent::Publish(_) => "publish",
                HookEvent::Connect => "connect",
            };
            (event, hook.tally.counts(), lock(&hook.queue).jobs.len())
        };
        self.list().iter().map(of_hook).collect()
    }

    /// Asks until the desk is closed, or the webhook has gone. What one thread does.
    pub(crate) fn work(&self, hook: &Hook) {
        let mut line = None;
        while let Some(job) = hook.next() {
            let answer = self.answer(hook, &job, &mut line);
            if let Some(outlet) = self.outlets.get(usize::from(job.core))
                && outlet.sender.send((job.conn, answer)).is_ok()
            {
                outlet.alert.raise();
            }
        }
    }

    /// Ends the threads, each after the call that it is at.
    pub(crate) fn close(&self) {
        for hook in self.list().iter() {
            lock(&hook.queue).jobs.clear();
            hook.retire();
        }
    }

    fn answer(&self, hook: &Hook, job: &Job, line: &mut Option<Line>) -> Answer {
        if !lock(&hook.breaker).admits(self.now_ms()) {
            hook.tally.unasked.fetch_add(1, Ordering::Relaxed);
            return hook.otherwise(job.topic);
        }
        match ask(hook, job, line) {
            Ok(answer) => {
                lock(&hook.breaker).succeeded();
                hook.tally.answered.fetch_add(1, Ordering::Relaxed);
                answer
            }
            Err(text) => {
                hook.tally.failed.fetch_add(1, Ordering::Relaxed);
                let url = &hook.config.url;
                tracing::warn!(%url, "a webhook failed: {text}");
                if lock(&hook.breaker).failed(self.now_ms()) {
                    tracing::error!(%url, on_failure = ?hook.config.on_failure, "a webhook failed again and again and is left alone for a while");
                }
                hook.otherwise(job.topic)
            }
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hook {
    fn open(config: Webhook) -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self {
            tls: call::tls_config(config.authorities.as_ref())?,
            config,
            queue: Mutex::default(),
            bell: Condvar::new(),
            breaker: Mutex::default(),
            tally: Tally::default(),
        }))
    }

    /// Itself, for each thread that it is to have.
    pub(crate) fn threads(hook: &Arc<Self>) -> impl Iterator<Item = Arc<Self>> + use<> {
        std::iter::repeat_n(Arc::clone(hook), hook.config.concurrency)
    }

    /// Takes no more questions. Those that it has are asked to the end.
    pub(crate) fn retire(&self) {
        lock(&self.queue).closed = true;
        self.bell.notify_all();
    }

    fn next(&self) -> Option<Job> {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self
                .bell
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What holds where the application cannot be asked.
    fn otherwise(&self, topic: Topic) -> Answer {
        let allows = self.config.on_failure == OnFailure::Allow;
        match topic {
            Topic::Messages(_) => Answer::Messages(allows.then_some(Verdict::Allow)),
            Topic::Entry(number) => Answer::Entry(number, Entry::of_failure(allows)),
        }
    }
}

fn ask(hook: &Hook, job: &Job, line: &mut Option<Line>) -> Result<Answer, String> {
    let config = &hook.config;
    let until = job.asked + Duration::from_millis(config.deadline_ms);
    let signature = config.key.sign(&job.body, unix_s());
    let answer = call::post(&config.url, &hook.tls, line, &signature, &job.body, until)
        .map_err(|failed| failed.to_string())?;
    Ok(match job.topic {
        Topic::Messages(count) => Answer::Messages(Some(words::read(&answer, count)?)),
        Topic::Entry(number) => Answer::Entry(number, entry::read(&answer)?),
    })
}

impl Counter {
    /// The first webhook that is asked about a room.
    pub(crate) fn of(&self, room: &RoomName) -> Option<usize> {
        let mut hooks = self.list.iter();
        hooks.position(|hook| match &hook.config.event {
            HookEvent::Publish(pattern) => pattern.matches(room.as_str()),
            HookEvent::Connect => false,
        })
    }

    /// The webhook that is asked about newcomers, with its settings.
    pub(crate) fn of_newcomers(&self) -> Option<(usize, &Webhook)> {
        let mut hooks = self.list.iter().map(|hook| &hook.config).enumerate();
        hooks.find(|(_, config)| config.is_about_newcomers())
    }

    /// Goes by what is in force now.
    pub(crate) fn follow(&mut self) {
        self.list = self.hooks.list();
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Hands in a job. Where as many wait as may, what holds on a failure.
    pub(crate) fn hand_in(&self, index: usize, job: Job) -> Result<(), Answer> {
        let Some(hook) = self.list.get(index) else {
            // There is none that could have been meant.
            return Err(match job.topic {
                Topic::Messages(_) => Answer::Messages(None),
                Topic::Entry(number) => Answer::Entry(number, Entry::of_failure(false)),
            });
        };
        let mut queue = lock(&hook.queue);
        if queue.closed || queue.jobs.len() >= hook.config.queue_max {
            hook.tally.unasked.fetch_add(1, Ordering::Relaxed);
            return Err(hook.otherwise(job.topic));
        }
        queue.jobs.push_back(job);
        drop(queue);
        hook.bell.notify_one();
        Ok(())
    }
}

/// Nothing that holds a lock can panic half way, so a poisoned one is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}
