//! What is under way on one connection: who waits for which answer, and what the server's words mean for the rooms.
//!
//! A plain value without IO: units of the server come in, events and answers go out.
//! Every waiter gets exactly one answer: the server's, [`Exchange::fail`]'s or [`Exchange::expire`]'s; save publishes that a broken
//! connection sends back to the [`Outbox`], whose answer then comes later.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Error;
use crate::membership::Membership;
use crate::message::{Event, Message, Published};
use crate::native::{self, Answer, Incoming};
use crate::options::Options;
use crate::outbox::{Command, Outbox};
use crate::outlet::Outlet;
use crate::request::{History, Join, Publish};
use crate::under_way::UnderWay;

/// Requests under way at most; further ones wait in the bounded queue of commands.
const WAITING_MAX: usize = 1_024;

/// Bytes of publishes under way that are kept to be sent again; beyond it further requests wait. One publish may pass it.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Bytes that a publish is counted with besides its own.
const PUBLISH_OVERHEAD_BYTES: usize = 64;

/// What a [`Client`](crate::Client) asks for.
pub(crate) enum Request {
    Join(Join),
    Leave(String),
    Publish(Publish),
    History(History),
    State(String),
    Get { room: String, key: String },
    Who(String),
    Ping,
}

impl Request {
    /// The bytes that it is counted with while it waits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Publish(publish) => publish.bytes() + PUBLISH_OVERHEAD_BYTES,
            _ => 0,
        }
    }
}

/// Where an answer goes.
pub(crate) type Caller = oneshot::Sender<Result<Answer, Error>>;

/// The rooms that are joined, by name.
pub(crate) type Rooms = BTreeMap<String, Membership>;

/// The requests under way.
#[derive(Default)]
pub(crate) struct Exchange {
    last_reference: u64,
    /// By reference, so in the order in which they were sent.
    waiting: BTreeMap<u64, Waiter>,
    /// Rooms that are to be joined again on this connection and have not been yet.
    rejoining: usize,
    /// Bytes of the publishes that are kept to be sent again.
    kept_bytes: usize,
    /// The earliest time at which a publish under way has waited too long, or an earlier one that has gone since.
    check_at: Option<Instant>,
    /// Ids and names of publishes that an earlier connection may have brought to the server.
    repeated: HashMap<String, String>,
}

/// Who waits, and what an answer changes besides.
struct Waiter {
    caller: Option<Caller>,
    effect: Effect,
}

enum Effect {
    Join(Join),
    Rejoin(String),
    Leave(String),
    Publish(Box<UnderWay>),
    Nothing,
}

impl Exchange {
    /// Whether another request may go out.
    pub(crate) fn has_space(&self) -> bool {
        self.rejoining == 0 && self.waiting.len() < WAITING_MAX && self.kept_bytes < KEPT_BYTES_MAX
    }

    /// Whether somebody awaits an answer.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Notes a request and appends its unit to `out`.
    pub(crate) fn ask(&mut self, command: Command, options: &Options, out: &mut Vec<u8>) {
        self.last_reference += 1;
        native::encode(&command.request, self.last_reference, out);
        let bytes = command.request.bytes();
        let effect = match command.request {
            Request::Join(join) => Effect::Join(join),
            Request::Leave(room) => Effect::Leave(room),
            Request::Publish(publish) => {
                self.begin_publish(publish, bytes, command.first_sent, options)
            }
            Request::History(_)
            | Request::State(_)
            | Request::Get { .. }
            | Request::Who(_)
            | Request::Ping => Effect::Nothing,
        };
        let waiter = Waiter {
            caller: Some(command.caller),
            effect,
        };
        self.waiting.insert(self.last_reference, waiter);
    }

    fn begin_publish(
        &mut self,
        publish: Publish,
        bytes: usize,
        first_sent: Option<Instant>,
        options: &Options,
    ) -> Effect {
        let under_way = UnderWay::new(publish, bytes, first_sent, options);
        let until = under_way.until;
        self.check_at = Some(self.check_at.map_or(until, |at| at.min(until)));
        self.kept_bytes += under_way.bytes;
        Effect::Publish(Box::new(under_way))
    }

    /// Appends the unit that asks for a sign of life.
    pub(crate) fn ping(&mut self, out: &mut Vec<u8>) {
        self.last_reference += 1;
        native::encode(&Request::Ping, self.last_reference, out);
        let waiter = Waiter {
            caller: None,
            effect: Effect::Nothing,
        };
        self.waiting.insert(self.last_reference, waiter);
    }

    /// Asks for a room again where its reader stands.
    pub(crate) fn ask_again(&mut self, room: &str, membership: &Membership, out: &mut Vec<u8>) {
        self.last_reference += 1;
        let join = Request::Join(membership.rejoin().clone());
        native::encode(&join, self.last_reference, out);
        let waiter = Waiter {
            caller: None,
            effect: Effect::Rejoin(room.to_owned()),
        };
        self.waiting.insert(self.last_reference, waiter);
        self.rejoining += 1;
    }

    /// Takes one word of the server. An error ends the connection.
    pub(crate) fn receive(
        &mut self,
        incoming: Incoming,
        rooms: &mut Rooms,
        outlet: &mut Outlet,
    ) -> Result<(), Error> {
        match incoming {
            Incoming::Message(message) => self.deliver(message, rooms, outlet),
            Incoming::Latest(latest) => {
                // As with messages: a room that was left meanwhile is heard no more.
                if rooms.contains_key(&latest.room) {
                    outlet.event(Event::Latest(latest));
                }
            }
            Incoming::Gap { room, after, at } => {
                if let Some(membership) = rooms.get_mut(&room) {
                    membership.missed(&at);
                    outlet.event(Event::Gap {
                        room,
                        after: Some(after),
                        at,
                    });
                }
            }
            Incoming::Presence {
                room,
                joined,
                left,
                changed,
                count,
            } => outlet.event(Event::Presence {
                room,
                joined,
                left,
                changed,
                count,
            }),
            Incoming::Expelled { room, error } => {
                rooms.remove(&room);
                outlet.event(Event::Left { room, error });
            }
            Incoming::Bye {
                code,
                text,
                retry_ms,
            } => {
                outlet.event(Event::Bye {
                    code: code.clone(),
                    text: text.clone(),
                    retry_ms,
                });
                return Err(Error::Bye {
                    code,
                    text,
                    retry_ms,
                });
            }
            Incoming::Answer { reference, answer } => {
                self.settle(reference, Ok(answer), rooms, outlet);
            }
            Incoming::Refused { reference, error } => match reference {
                // The token was not taken, so nothing else would be.
                Some(0) => return Err(error),
                Some(_) => self.settle(reference, Err(error), rooms, outlet),
                None => outlet.event(Event::Refused(error)),
            },
            Incoming::Unknown => {}
        }
        Ok(())
    }

    /// Gives an answer to whoever waits for it. One that nobody asked for is ignored.
    fn settle(
        &mut self,
        reference: Option<u64>,
        result: Result<Answer, Error>,
        rooms: &mut Rooms,
        outlet: &mut Outlet,
    ) {
        let Some(waiter) = reference.and_then(|reference| self.waiting.remove(&reference)) else {
            return;
        };
        match (waiter.effect, &result) {
            (Effect::Join(join), Ok(Answer::Joined(joined))) => {
                // The server may write the name otherwise, without a leading slash: its word is what messages will carry.
                rooms.insert(joined.room.clone(), Membership::new(join, joined));
            }
            (Effect::Leave(room), Ok(_)) => {
                rooms.remove(room.strip_prefix('/').unwrap_or(&room));
            }
            (Effect::Publish(under_way), result) => self.published(&under_way, result, rooms),
            (Effect::Rejoin(room), result) => {
                self.rejoining = self.rejoining.saturating_sub(1);
                rejoined(room, result.clone(), rooms, outlet);
            }
            _ => {}
        }
        answer(waiter.caller, result);
    }

    /// Notes what became of a publish.
    fn published(
        &mut self,
        under_way: &UnderWay,
        result: &Result<Answer, Error>,
        rooms: &mut Rooms,
    ) {
        self.kept_bytes -= under_way.bytes;
        let is_repeat = under_way
            .id()
            .is_some_and(|id| self.repeated.remove(id).is_some());
        let Ok(Answer::Published(Published { at, duplicate })) = result else {
            return;
        };
        let room = under_way.room.strip_prefix('/').unwrap_or(&under_way.room);
        if let Some(membership) = rooms.get_mut(room)
            && (is_repeat || !duplicate)
        {
            membership.published(at);
        }
    }

    fn deliver(&self, message: Message, rooms: &mut Rooms, outlet: &mut Outlet) {
        // A message of a room that was left meanwhile crosses the leave on its way.
        let Some(membership) = rooms.get_mut(&message.room) else {
            return;
        };
        let name = message.id.as_ref().and_then(|id| self.repeated.get(id));
        let before = membership.position().cloned();
        if membership.delivered(&message.at, name == Some(&message.from)) {
            outlet.message(message, before);
        }
    }

    /// When to call [`Exchange::expire`].
    pub(crate) fn check_at(&self) -> Option<Instant> {
        self.check_at
    }

    /// Answers publishes whose answer is late. One that comes nevertheless is ignored.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let mut earliest: Option<Instant> = None;
        let mut late = Vec::new();
        for (reference, waiter) in &self.waiting {
            if let Effect::Publish(under_way) = &waiter.effect {
                if under_way.until <= now {
                    late.push(*reference);
                } else {
                    let until = under_way.until;
                    earliest = Some(earliest.map_or(until, |at| at.min(until)));
                }
            }
        }
        self.check_at = earliest;
        for waiter in late.iter().filter_map(|late| self.waiting.remove(late)) {
            if let Effect::Publish(under_way) = waiter.effect {
                self.kept_bytes -= under_way.bytes;
                let waited_ms = under_way.patience_ms;
                answer(waiter.caller, Err(Error::NoAnswer { waited_ms }));
            }
        }
    }

    /// The connection has ended: publishes that the server would recognise go back to the outbox, everybody else who waits is told why.
    pub(crate) fn fail(&mut self, error: &Error, outbox: &mut Outbox, options: &Options) {
        let mut again = Vec::new();
        for waiter in std::mem::take(&mut self.waiting).into_values() {
            match (waiter.effect, waiter.caller) {
                (Effect::Publish(under_way), Some(caller)) => match under_way.again {
                    Some(publish) => {
                        let sent = under_way.first_sent;
                        again.push(Command::again(publish, caller, sent, options));
                    }
                    None => answer(Some(caller), Err(error.clone())),
                },
                (_, caller) => answer(caller, Err(error.clone())),
            }
        }
        (self.rejoining, self.kept_bytes, self.check_at) = (0, 0, None);
        outbox.put_back(again);
        self.repeated = outbox.iter().filter_map(Command::repeated).collect();
    }
}

/// Answers, where somebody waits.
pub(crate) fn answer(caller: Option<Caller>, result: Result<Answer, Error>) {
    if let Some(caller) = caller {
        // Who has stopped waiting does not want the answer.
        let _ = caller.send(result);
    }
}

fn rejoined(room: String, result: Result<Answer, Error>, rooms: &mut Rooms, outlet: &mut Outlet) {
    let error = match result {
        Ok(Answer::Joined(joined)) => {
            if let Some(membership) = rooms.get_mut(&room) {
                if let Some(gap) = membership.gap_before(&joined) {
                    outlet.event(gap);
                }
                membership.rejoined(&joined);
            }
            outlet.event(Event::Rejoined(joined));
            return;
        }
        Ok(_) => Error::Violation("another answer than `join` came to a join".into()),
        Err(error) => error,
    };
    rooms.remove(&room);
    outlet.event(Event::Left { room, error });
}
