//! What is under way on one connection: who waits for which answer, and what the server's words mean for the rooms.
//!
//! A plain value without IO: units of the server come in, events and answers go out.
//! Every waiter gets exactly one answer: the server's, or [`Exchange::fail`]'s.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::oneshot;

use crate::error::Error;
use crate::membership::Membership;
use crate::message::{Event, Joined, Message};
use crate::native::{self, Answer, Incoming};
use crate::outlet::Outlet;
use crate::request::{History, Join, Publish};

/// Requests under way at most; further ones wait in the bounded queue of commands.
const WAITING_MAX: usize = 1_024;

/// What a [`Client`](crate::Client) asks for.
pub(crate) enum Request {
    Join(Join),
    Leave(String),
    Publish(Publish),
    History(History),
    Who(String),
    Ping,
}

/// Where an answer goes.
pub(crate) type Caller = oneshot::Sender<Result<Answer, Error>>;

/// The rooms that are joined, by name.
pub(crate) type Rooms = BTreeMap<String, Membership>;

/// The requests under way.
#[derive(Default)]
pub(crate) struct Exchange {
    last_reference: u64,
    waiting: HashMap<u64, Waiter>,
    /// Rooms that are to be joined again on this connection and have not been yet.
    rejoining: usize,
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
    Publish(String),
    Nothing,
}

impl Exchange {
    /// Whether another request may go out.
    pub(crate) fn has_space(&self) -> bool {
        self.rejoining == 0 && self.waiting.len() < WAITING_MAX
    }

    /// Whether somebody awaits an answer.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Notes a request and appends its unit to `out`.
    pub(crate) fn ask(&mut self, request: Request, caller: Option<Caller>, out: &mut Vec<u8>) {
        self.last_reference += 1;
        native::encode(&request, self.last_reference, out);
        let effect = match request {
            Request::Join(join) => Effect::Join(join),
            Request::Leave(room) => Effect::Leave(room),
            Request::Publish(publish) => Effect::Publish(publish.room),
            Request::History(_) | Request::Who(_) | Request::Ping => Effect::Nothing,
        };
        self.waiting
            .insert(self.last_reference, Waiter { caller, effect });
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
            Incoming::Message(message) => deliver(message, rooms, outlet),
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
                count,
            } => outlet.event(Event::Presence {
                room,
                joined,
                left,
                count,
            }),
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
            (Effect::Publish(room), Ok(Answer::Published(published))) => {
                let room = room.strip_prefix('/').unwrap_or(&room);
                if let Some(membership) = rooms.get_mut(room)
                    && !published.duplicate
                {
                    membership.published(&published.at);
                }
            }
            (Effect::Rejoin(room), result) => {
                self.rejoining = self.rejoining.saturating_sub(1);
                rejoined(room, result.clone(), rooms, outlet);
            }
            _ => {}
        }
        answer(waiter.caller, result);
    }

    /// Tells everybody who still waits that their connection has ended.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.rejoining = 0;
        for (_, waiter) in self.waiting.drain() {
            answer(waiter.caller, Err(error.clone()));
        }
    }
}

/// Answers, where somebody waits.
pub(crate) fn answer(caller: Option<Caller>, result: Result<Answer, Error>) {
    if let Some(caller) = caller {
        // Who has stopped waiting does not want the answer.
        let _ = caller.send(result);
    }
}

fn deliver(message: Message, rooms: &mut Rooms, outlet: &mut Outlet) {
    // A message of a room that was left meanwhile crosses the leave on its way.
    let Some(membership) = rooms.get_mut(&message.room) else {
        return;
    };
    let before = membership.position().cloned();
    if membership.delivered(&message.at) {
        outlet.message(message, before);
    }
}

fn rejoined(room: String, result: Result<Answer, Error>, rooms: &mut Rooms, outlet: &mut Outlet) {
    let error = match result {
        Ok(Answer::Joined(joined)) => {
            if let Some(membership) = rooms.get_mut(&room) {
                if let Some(gap) = gap_before(membership, &joined) {
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

/// What is missing between where the reader stood and where the resumed room begins.
fn gap_before(membership: &Membership, joined: &Joined) -> Option<Event> {
    let stood = membership.position().cloned();
    let (after, at) = match &joined.incomplete_from {
        Some(from) => (stood, from.clone()),
        None if membership.is_unsure() => (None, stood?),
        None => return None,
    };
    Some(Event::Gap {
        room: joined.room.clone(),
        after,
        at,
    })
}
