//! Payload-only WebSockets that hear themselves (rooms with `echo = true`): what one says comes back before what ends its connection does.
//!
//! A message that must be kept, or numbered by another core, comes back a moment later. If the next frame is broken, or says Close, the
//! connection's end waits for those that are under way; nothing else does.

use taut_gate::Close;
use taut_hub::{ConnId, RoomName};
use taut_wire::ws::CloseCode;

use super::{Step, Talk};
use crate::core::{Core, Flag};

/// What a socket has said and not heard yet.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    /// Publishes without an answer.
    under_way: u32,
    /// The offset of the newest one that has its answer.
    last: u64,
    /// What waits for them.
    ending: Option<Ending>,
}

/// How a connection ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// It broke its protocol.
    Violation(CloseCode, String),
    /// The peer said Close.
    Closed(Option<CloseCode>),
}

impl Core {
    /// Whether a socket hears what it says in its room, of which it may not be a member yet.
    pub(super) fn hears_itself(&self, id: ConnId, name: &RoomName) -> bool {
        let member = self.shard.memberships(id).first();
        match member.and_then(|membership| self.shard.room(membership.room)) {
            Some(room) => room.policy().echo,
            None => self.shard.echoes(name),
        }
    }

    /// The socket has said something that it will hear.
    pub(super) fn echo_begins(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id)
            && let Talk::Payload(_, aside) = &mut conn.talk
        {
            let echo = &mut aside.get_or_insert_default().echo;
            echo.get_or_insert_default().under_way += 1;
        }
    }

    /// What it said has its place, or was refused.
    pub(crate) fn echo_placed(&mut self, id: ConnId, offset: Option<u64>) {
        let Some(Some(echo)) = self.echo(id) else {
            return;
        };
        echo.under_way = echo.under_way.saturating_sub(1);
        echo.last = echo.last.max(offset.unwrap_or(0));
        self.settle_echo(id);
    }

    /// Ends a socket now, or when it has heard itself.
    pub(super) fn end_behind_echoes(&mut self, id: ConnId, ending: Ending) -> Step {
        if self.is_heard(id) {
            return self.end_socket(id, ending);
        }
        if let Some(Some(echo)) = self.echo(id) {
            echo.ending = Some(ending);
        }
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Paused, true);
        }
        Step::More
    }

    /// Looks at the sockets whose end waits for messages of other cores.
    pub(crate) fn settle_echoes(&mut self) {
        for id in std::mem::take(&mut self.echoing) {
            self.settle_echo(id);
        }
    }

    fn settle_echo(&mut self, id: ConnId) {
        if !self.is_heard(id) {
            // Where its answers are here, another core's delivery is on its way.
            let waits = |echo: &Echo| echo.ending.is_some() && echo.under_way == 0;
            if let Some(Some(echo)) = self.echo(id)
                && waits(echo)
            {
                self.echoing.push(id);
            }
            return;
        }
        let Some(ending) = self
            .echo(id)
            .and_then(Option::take)
            .and_then(|echo| echo.ending)
        else {
            return;
        };
        if let Step::End(close, text) = self.end_socket(id, ending) {
            self.close(id, close, text.as_deref());
        }
    }

    /// Whether everything that the socket said is in the log that it reads.
    fn is_heard(&mut self, id: ConnId) -> bool {
        let memberships = self.shard.memberships(id);
        let room = memberships.first().map(|membership| membership.room);
        let head = room
            .and_then(|room| self.shard.room(room))
            .map_or(u64::MAX, |room| room.log().head());
        match self.echo(id) {
            Some(Some(echo)) => echo.under_way == 0 && echo.last <= head,
            _ => true,
        }
    }

    fn end_socket(&mut self, id: ConnId, ending: Ending) -> Step {
        match ending {
            Ending::Violation(code, text) => Step::End(Close::Violation(code), Some(text)),
            Ending::Closed(code) => self.peer_closed(id, code),
        }
    }

    fn echo(&mut self, id: ConnId) -> Option<&mut Option<Box<Echo>>> {
        match &mut self.conns.find(id)?.talk {
            Talk::Payload(_, aside) => Some(&mut aside.as_mut()?.echo),
            _ => None,
        }
    }
}
