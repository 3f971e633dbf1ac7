//! What a client remembers of a joined room, so that it can come back without a gap and without hearing itself.
//!
//! Invariant: `start` never runs ahead of what was handed to the reader, so a resume can repeat nothing and lose nothing.
//! Own messages are not delivered to their Conn, but after a reconnect the client is another Conn: positions that the server
//! acknowledged are kept, and messages at them are passed over while the room is catching up. A room that echoes shows itself by
//! delivering an acknowledged position live; there nothing is passed over.

use std::collections::VecDeque;

use crate::message::{Event, Joined, Position};
use crate::request::{Join, Start};

/// Acknowledged positions kept per room; the oldest is forgotten, which after a long absence means hearing an own message.
const OWN_MAX: usize = 256;

/// A joined room.
pub(crate) struct Membership {
    join: Join,
    /// What a rewind has not shown yet cannot be told apart from what was never there: resuming then begins with a gap.
    unsure: bool,
    own: VecDeque<Position>,
    echoes: bool,
    /// After a resume: the room's head at that moment, until it is reached.
    catching_up_to: Option<Position>,
}

impl Membership {
    /// A room as it stands after the first `joined`.
    pub(crate) fn new(join: Join, joined: &Joined) -> Self {
        let mut membership = Self {
            unsure: matches!(join.start, Start::Rewind(_) | Start::RewindMs(_)),
            join,
            own: VecDeque::new(),
            echoes: false,
            catching_up_to: None,
        };
        membership.start_from(joined);
        membership
    }

    /// The request that joins again where the reader stands.
    pub(crate) fn rejoin(&self) -> &Join {
        &self.join
    }

    /// Where the reader stands.
    pub(crate) fn position(&self) -> Option<&Position> {
        match &self.join.start {
            Start::After(position) => Some(position),
            Start::Now | Start::Rewind(_) | Start::RewindMs(_) => None,
        }
    }

    /// What is missing between where the reader stood and where the resumed room begins.
    pub(crate) fn gap_before(&self, joined: &Joined) -> Option<Event> {
        let stood = self.position().cloned();
        let (after, at) = match &joined.incomplete_from {
            Some(from) => (stood, from.clone()),
            None if self.unsure => (None, stood?),
            None => return None,
        };
        Some(Event::Gap {
            room: joined.room.clone(),
            after,
            at,
        })
    }

    /// Notes a join after a reconnect.
    pub(crate) fn rejoined(&mut self, joined: &Joined) {
        self.unsure = false;
        self.catching_up_to = Some(joined.at.clone());
        self.start_from(joined);
    }

    fn start_from(&mut self, joined: &Joined) {
        let from = match (&joined.incomplete_from, &self.join.start) {
            (Some(from), _) => from.clone(),
            (None, Start::After(since)) => since.clone(),
            (None, Start::Now | Start::Rewind(_) | Start::RewindMs(_)) => joined.at.clone(),
        };
        if self.catching_up_to.as_ref() == Some(&from) {
            self.catching_up_to = None;
        }
        self.join.start = Start::After(from);
    }

    /// Notes an own message that the server took.
    pub(crate) fn published(&mut self, at: &Position) {
        if self.echoes {
            return;
        }
        if self.own.len() == OWN_MAX {
            self.own.pop_front();
        }
        self.own.push_back(at.clone());
    }

    /// Notes a delivery. False: it is an own message that only the resume brought, to be passed over. `is_repeated`: it is one that an
    /// earlier connection published, and whose answer has not come yet.
    pub(crate) fn delivered(&mut self, at: &Position, is_repeated: bool) -> bool {
        self.unsure = false;
        self.join.start = Start::After(at.clone());
        let own = self.own.iter().position(|own| own == at);
        if let Some(index) = own {
            self.own.drain(..=index);
        }
        let catching_up = self.catching_up_to.is_some();
        if self.catching_up_to.as_ref() == Some(at) {
            self.catching_up_to = None;
        }
        if own.is_some() && !catching_up {
            self.echoes = true;
            self.own.clear();
        }
        let is_own = own.is_some() || (is_repeated && !self.echoes);
        !(is_own && catching_up)
    }

    /// Notes messages that are missing up to `at`.
    pub(crate) fn missed(&mut self, at: &Position) {
        self.join.start = Start::After(at.clone());
        if self.catching_up_to.as_ref() == Some(at) {
            self.catching_up_to = None;
        }
    }
}
