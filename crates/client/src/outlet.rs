//! The bounded queue between the connection and the reader of events.
//!
//! Overflow rule: while the queue is full the session reads nothing more from its socket, so the server sees a slow reader and its
//! room's lag policy speaks. Only while an answer is awaited does reading go on (or `publish().await` before `events.next().await`
//! would wait for ever); events that find no space then are dropped, and the rooms they came from get a [`Event::Gap`] as soon as
//! there is space. Presence that is dropped is not made up for: the next one carries the count again; nor is what was said on the lane `latest`.

use std::fmt;
use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::message::{Event, Message, Position};

/// Events that wait for their reader at most.
pub(crate) const EVENTS_MAX: usize = 1_024;

/// Events of a client, in order. Read it with [`Events::next`] or as a `Stream`.
///
/// Whoever joins rooms should read it: a full queue slows the connection down. Dropping it discards events.
pub struct Events(mpsc::Receiver<Event>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// The next event, or `None` when the connection has ended for good. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

impl futures_core::Stream for Events {
    type Item = Event;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Event>> {
        self.0.poll_recv(context)
    }
}

/// The session's end of the queue.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Event>,
    /// What was dropped, by room, until it has been said; at most one entry per joined room.
    missing: Vec<Missing>,
}

struct Missing {
    room: String,
    after: Option<Position>,
    at: Position,
}

/// A new queue.
pub(crate) fn outlet() -> (Outlet, Events) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let outlet = Outlet {
        sender,
        missing: Vec::new(),
    };
    (outlet, Events(receiver))
}

impl Outlet {
    /// Whether an event would find space.
    pub(crate) fn has_space(&self) -> bool {
        self.is_gone() || self.sender.capacity() > 0
    }

    /// Whether something is to be done as soon as there is space.
    pub(crate) fn waits_for_space(&self) -> bool {
        !self.missing.is_empty() || !self.has_space()
    }

    /// Waits for space.
    pub(crate) async fn space(&self) {
        // An error means that the reader has gone, and then there is space for everything.
        let _ = self.sender.reserve().await;
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn gone(&self) {
        self.sender.closed().await;
    }

    /// Hands a message on. `after` is the position before it, for the gap that dropping it leaves.
    pub(crate) fn message(&mut self, message: Message, after: Option<Position>) {
        self.tell_missing();
        if self.missing.is_empty() {
            let sent = self.sender.try_send(Event::Message(message));
            if let Err(mpsc::error::TrySendError::Full(Event::Message(message))) = sent {
                self.note_missing(message.room, after, message.at);
            }
        } else {
            self.note_missing(message.room, after, message.at);
        }
    }

    /// Hands any other event on. A gap is never dropped.
    pub(crate) fn event(&mut self, event: Event) {
        self.tell_missing();
        if let Err(mpsc::error::TrySendError::Full(Event::Gap { room, after, at })) =
            self.sender.try_send(event)
        {
            self.note_missing(room, after, at);
        }
    }

    /// Hands an event on that must not be lost, waiting for space. Only for events that come between two connections.
    pub(crate) async fn event_surely(&mut self, event: Event) {
        while !self.missing.is_empty() && !self.is_gone() {
            self.space().await;
            self.tell_missing();
        }
        let _ = self.sender.send(event).await;
    }

    fn note_missing(&mut self, room: String, after: Option<Position>, at: Position) {
        match self.missing.iter_mut().find(|missing| missing.room == room) {
            Some(missing) => missing.at = at,
            None => self.missing.push(Missing { room, after, at }),
        }
    }

    /// Says what was dropped, as far as there is space.
    pub(crate) fn tell_missing(&mut self) {
        while let Some(missing) = self.missing.first() {
            let gap = Event::Gap {
                room: missing.room.clone(),
                after: missing.after.clone(),
                at: missing.at.clone(),
            };
            match self.sender.try_send(gap) {
                Err(mpsc::error::TrySendError::Full(_)) => return,
                _ => self.missing.remove(0),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::message::Body;

    fn message(room: &str, number: usize) -> Message {
        Message {
            room: room.into(),
            at: Position::new(number.to_string()),
            from: "ana".into(),
            by: None,
            event: "message".into(),
            key: None,
            id: None,
            time_ms: 0,
            body: Body::from("hi"),
        }
    }

    fn before(number: usize) -> Option<Position> {
        Some(Position::new((number - 1).to_string()))
    }

    #[tokio::test]
    async fn what_finds_no_space_becomes_one_gap_in_its_place() {
        let (mut outlet, mut events) = outlet();
        for number in 1..=EVENTS_MAX + 5 {
            outlet.message(message("a", number), before(number));
        }
        assert!(!outlet.has_space());
        for _ in 0..EVENTS_MAX {
            assert!(matches!(events.next().await, Some(Event::Message(_))));
        }
        outlet.message(message("a", EVENTS_MAX + 6), before(EVENTS_MAX + 6));
        let Some(Event::Gap { room, after, at }) = events.next().await else {
            panic!("no gap");
        };
        assert_eq!(room, "a");
        assert_eq!(after.unwrap().as_str(), EVENTS_MAX.to_string());
        assert_eq!(at.as_str(), (EVENTS_MAX + 5).to_string());
        let Some(Event::Message(next)) = events.next().await else {
            panic!("no message");
        };
        assert_eq!(next.at.as_str(), (EVENTS_MAX + 6).to_string());
    }

    #[tokio::test]
    async fn a_reader_that_went_leaves_space_for_everything() {
        let (mut outlet, events) = outlet();
        drop(events);
        for number in 1..=EVENTS_MAX * 2 {
            outlet.message(message("a", number), before(number));
        }
        assert!(outlet.has_space() && outlet.is_gone() && outlet.missing.is_empty());
    }
}
