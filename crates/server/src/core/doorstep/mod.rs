//! Newcomers that the application is asked about before they may do anything.
//!
//! Invariants:
//! - Who stands on the doorstep is paused: nothing that it says is read, and no unit of it is handled. A datagram that comes meanwhile is lost.
//! - A Conn has one question under way at most, with a number, so that an answer that is late meets none but its own.
//! - The desk answers each question it takes; should it hang (a host name is looked up without a deadline of ours), the question ends [`LATE_MS`] past the deadline.
//! - The table has as many entries as questions wait and are asked at the desk, which are bounded; beyond that `on_failure` holds at once.

mod ask;
mod hear;
mod terms;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use taut_auth::Identity;
use taut_hub::ConnId;

use super::{Asker, Core, Flag};
use crate::hooks::{Answer, Counter, Entry, Head, Job, OnFailure, Topic};

/// How long past its deadline a question is waited for, in milliseconds.
const LATE_MS: u64 = 1_000;

/// See the [module](self).
pub(crate) struct Doorstep {
    /// Which webhook it is.
    hook: usize,
    deadline_ms: u64,
    on_failure: OnFailure,
    waiting: HashMap<ConnId, Waiting>,
    /// When questions end that nobody has answered, in their order.
    ends: VecDeque<(u64, ConnId, u32)>,
    /// What was said of HTTP connections, until their head is read again and for a while after.
    decided: HashMap<ConnId, Decided>,
    /// What sessions of Socket.IO came with; each namespace is asked about with it.
    heads: HashMap<ConnId, Box<Head>>,
    questions: u32,
}

struct Waiting {
    number: u32,
    asker: Asker,
    /// Who it is as far as the server knows, where that is more than what it was.
    shown: Option<Arc<Identity>>,
    gist: Gist,
}

/// Which question it was, of a request.
type Gist = [u8; 16];

struct Decided {
    gist: Gist,
    entry: Entry,
    until_ms: u64,
}

impl Doorstep {
    /// Where a webhook is asked about newcomers.
    pub(crate) fn of(desk: &Counter) -> Option<Box<Self>> {
        let (hook, webhook) = desk.of_newcomers()?;
        Some(Box::new(Self {
            hook,
            deadline_ms: webhook.deadline_ms,
            on_failure: webhook.on_failure,
            waiting: HashMap::new(),
            ends: VecDeque::new(),
            decided: HashMap::new(),
            heads: HashMap::new(),
            questions: 0,
        }))
    }

    /// Goes by the webhook as it is now.
    pub(super) fn follow(&mut self, desk: &Counter) {
        if let Some((hook, webhook)) = desk.of_newcomers() {
            self.hook = hook;
            self.deadline_ms = webhook.deadline_ms;
            self.on_failure = webhook.on_failure;
        }
    }

    /// Whether a Conn waits for the application.
    pub(super) fn awaits(&self, id: ConnId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// A Conn is gone.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.waiting.remove(&id);
        self.decided.remove(&id);
        self.heads.remove(&id);
    }

    /// When the first question ends that nobody has answered.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.ends.front().map(|(until_ms, ..)| *until_ms)
    }

    /// Somebody was revoked: what the application said before that is asked again.
    pub(super) fn forget_decided(&mut self) {
        self.decided.clear();
    }

    /// The first question whose time is up; those that were answered are let go.
    fn overdue(&mut self, now_ms: u64) -> Option<(ConnId, u32)> {
        while let Some((until_ms, id, number)) = self.ends.front().copied() {
            let waits = self.waiting.get(&id).is_some_and(|w| w.number == number);
            if waits && until_ms > now_ms {
                return None;
            }
            self.ends.pop_front();
            if waits {
                return Some((id, number));
            }
        }
        None
    }
}

impl Core {
    /// Whether the application is asked about newcomers.
    pub(crate) fn has_doorstep(&self) -> bool {
        self.identities.doorstep.is_some()
    }

    /// Whether tokens mean something: to the server, or to the application.
    pub(crate) fn takes_tokens(&self) -> bool {
        self.identities.asks() || self.has_doorstep()
    }

    fn next_question(&mut self) -> u32 {
        let Some(doorstep) = self.identities.doorstep.as_mut() else {
            return 0;
        };
        doorstep.questions = doorstep.questions.wrapping_add(1);
        doorstep.questions
    }

    /// Hands a question in, and pauses its Conn until it is answered.
    fn put_question(&mut self, id: ConnId, waiting: Waiting, body: Vec<u8>) {
        let until_ms = self.now.mono_ms;
        let Some((doorstep, hooked)) = self.identities.doorstep.as_mut().zip(self.hooked.as_ref())
        else {
            return;
        };
        let job = Job {
            core: self.id,
            conn: id,
            body,
            topic: Topic::Entry(waiting.number),
            asked: Instant::now(),
        };
        let number = waiting.number;
        let outcome = hooked.desk.hand_in(doorstep.hook, job);
        let until_ms = until_ms + doorstep.deadline_ms + LATE_MS;
        doorstep.waiting.insert(id, waiting);
        doorstep.ends.push_back((until_ms, id, number));
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Paused, true);
        }
        if let Err(Answer::Entry(number, entry)) = outcome {
            self.hear_of_newcomer(id, number, entry);
        }
    }
}
