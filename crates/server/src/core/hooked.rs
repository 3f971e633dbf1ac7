//! Messages that the application is asked about first.
//!
//! While it is asked, whatever else the same Conn wants of rooms waits behind the message, in its order, and the Conn is not read. So a core never waits, and a
//! Conn's messages keep their order, whether they are asked about or not.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use taut_hub::{Body, ConnId, Input, Output, Refusal, Right, Ticket, Wish};

use super::{Core, Flag};
use crate::hooks::{Answer, Asker, Counter, Job, Topic, Verdict, write_question};

/// What a Conn may want while the application is asked for it. Only what it had sent before that: it is not read meanwhile.
const WAITING_MAX: usize = 1_024;

/// What a core keeps of its webhooks.
pub(crate) struct Hooked {
    pub(super) desk: Counter,
    /// What waits of each Conn: first the message that is asked about.
    waiting: HashMap<ConnId, VecDeque<Input>>,
}

impl Hooked {
    pub(crate) fn new(desk: Counter) -> Self {
        Self {
            desk,
            waiting: HashMap::new(),
        }
    }
}

impl Core {
    /// Goes by the webhooks that are in force: from the start, and when the configuration has changed.
    pub(crate) fn follow_webhooks(&mut self) {
        match (&mut self.hooked, self.unhooked.take()) {
            (Some(hooked), _) => hooked.desk.follow(),
            (None, Some(mut desk)) => {
                desk.follow();
                if desk.is_empty() {
                    self.unhooked = Some(desk);
                } else {
                    self.hooked = Some(Hooked::new(*desk));
                }
            }
            (None, None) => {}
        }
        let doorstep = self.identities.doorstep.as_mut();
        if let Some((doorstep, hooked)) = doorstep.zip(self.hooked.as_ref()) {
            doorstep.follow(&hooked.desk);
        }
    }

    /// Gives an input back that may pass now; keeps one that must wait.
    pub(super) fn ask_application(&mut self, input: Input) -> Option<Input> {
        let Some((hooked, id)) = self.hooked.as_mut().zip(conn_of(&input)) else {
            return Some(input);
        };
        if let Some(waiting) = hooked.waiting.get_mut(&id) {
            if matches!(input, Input::Close { .. }) {
                // Nobody would hear what came of it.
                hooked.waiting.remove(&id);
                return Some(input);
            }
            if waiting.len() < WAITING_MAX {
                waiting.push_back(input);
                return None;
            }
            // What needs no answer changes nothing that the application was asked about.
            let Some(ticket) = ticket_of(&input) else {
                return Some(input);
            };
            self.settle(refused(id, ticket, Refusal::NotAsked));
            return None;
        }
        let Some((index, job)) = self.question(id, &input) else {
            return Some(input);
        };
        let hooked = self.hooked.as_mut()?;
        match hooked.desk.hand_in(index, job) {
            Ok(()) => {
                hooked.waiting.insert(id, VecDeque::from([input]));
                if let Some(conn) = self.conns.find(id) {
                    conn.flags.set(Flag::Hooked, true);
                }
            }
            Err(answer) => self.judge(id, input, verdict_of(answer)),
        }
        None
    }

    /// Takes in what the application has said.
    pub(super) fn hear_application(&mut self) {
        while let Some((id, answer)) = self
            .hooked
            .as_ref()
            .and_then(|hooked| hooked.desk.done.try_recv().ok())
        {
            match answer {
                Answer::Messages(verdict) => self.go_on(id, verdict),
                Answer::Entry(number, entry) => self.hear_of_newcomer(id, number, entry),
            }
        }
    }

    /// Lets a message pass or not, then what waited behind it, up to the next one that is asked about. What comes meanwhile waits behind the rest.
    fn go_on(&mut self, id: ConnId, verdict: Option<Verdict>) {
        // The Conn may have gone.
        if let Some(input) = self.next_of(id) {
            self.judge(id, input, verdict);
        }
        while let Some(input) = self.next_of(id) {
            let Some((index, job)) = self.question(id, &input) else {
                self.hand(input);
                continue;
            };
            let Some(hooked) = &mut self.hooked else {
                return;
            };
            match hooked.desk.hand_in(index, job) {
                Ok(()) => {
                    let waiting = hooked.waiting.entry(id).or_default();
                    return waiting.push_front(input);
                }
                Err(answer) => self.judge(id, input, verdict_of(answer)),
            }
        }
        if let Some(hooked) = &mut self.hooked {
            hooked.waiting.remove(&id);
        }
        if let Some(conn) = self.conns.find(id)
            && conn.flags.replace(Flag::Hooked, false)
        {
            self.ready_again(id.slot);
        }
    }

    fn next_of(&mut self, id: ConnId) -> Option<Input> {
        self.hooked.as_mut()?.waiting.get_mut(&id)?.pop_front()
    }

    fn judge(&mut self, id: ConnId, mut input: Input, verdict: Option<Verdict>) {
        let no = match verdict {
            Some(Verdict::Allow) => None,
            Some(Verdict::Rewrite(bodies)) => {
                rewrite(&mut input, bodies);
                None
            }
            Some(Verdict::Refuse(reason)) => Some(Refusal::Declined {
                reason: reason.into(),
            }),
            None => Some(Refusal::NotAsked),
        };
        match no.zip(ticket_of(&input)) {
            Some((refusal, ticket)) => self.settle(refused(id, ticket, refusal)),
            None => self.hand(input),
        }
    }

    /// What the application is asked about an input, and through which webhook. What the Conn may not do anyway is not asked about.
    fn question(&self, id: ConnId, input: &Input) -> Option<(usize, Job)> {
        let (room, drafts) = match input {
            Input::Publish { room, draft, .. } => (room, std::slice::from_ref(draft)),
            Input::PublishBatch { room, batch, .. } => (room, batch.drafts.as_slice()),
            _ => return None,
        };
        let index = self.hooked.as_ref()?.desk.of(room)?;
        if !self.shard.allows(id, room, Right::Publish) {
            return None;
        }
        let (user, _) = self.shard.standing(id);
        let asker = Asker {
            conn: taut_gate::conn_id(self.id, id),
            door: drafts.first()?.door.0,
            user: user.map(ToString::to_string),
        };
        let job = Job {
            core: self.id,
            conn: id,
            body: write_question(&asker, room, drafts),
            topic: Topic::Messages(drafts.len()),
            asked: Instant::now(),
        };
        Some((index, job))
    }
}

fn verdict_of(answer: Answer) -> Option<Verdict> {
    match answer {
        Answer::Messages(verdict) => verdict,
        Answer::Entry(..) => None,
    }
}

fn rewrite(input: &mut Input, bodies: Vec<Option<Body>>) {
    let drafts = match input {
        Input::Publish { draft, .. } => std::slice::from_mut(draft),
        Input::PublishBatch { batch, .. } => batch.drafts.as_mut_slice(),
        _ => return,
    };
    for (draft, body) in drafts.iter_mut().zip(bodies) {
        if let Some(body) = body
            && draft.wish != Wish::Delete
        {
            draft.body = body;
        }
    }
}

fn refused(conn: ConnId, ticket: Ticket, refusal: Refusal) -> Output {
    Output::Refused {
        conn,
        ticket,
        refusal,
    }
}

/// Whose wish an input is.
fn conn_of(input: &Input) -> Option<ConnId> {
    match input {
        Input::Open { conn }
        | Input::Granted { conn, .. }
        | Input::Join { conn, .. }
        | Input::Leave { conn, .. }
        | Input::Publish { conn, .. }
        | Input::PublishBatch { conn, .. }
        | Input::Read { conn, .. }
        | Input::ReadState { conn, .. }
        | Input::Who { conn, .. }
        | Input::Expel { conn, .. }
        | Input::Rename { conn, .. }
        | Input::Close { conn, .. } => Some(*conn),
        Input::Link { .. }
        | Input::Policies { .. }
        | Input::Anonymous { .. }
        | Input::Stored { .. }
        | Input::Tick => None,
    }
}

/// The ticket of what is answered.
fn ticket_of(input: &Input) -> Option<Ticket> {
    match input {
        Input::Join { ticket, .. }
        | Input::Leave { ticket, .. }
        | Input::Publish { ticket, .. }
        | Input::PublishBatch { ticket, .. }
        | Input::Read { ticket, .. }
        | Input::ReadState { ticket, .. }
        | Input::Who { ticket, .. } => Some(*ticket),
        _ => None,
    }
}
