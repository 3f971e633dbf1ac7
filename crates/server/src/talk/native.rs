//! Native JSON: the session that lines and WebSockets share.

use std::collections::VecDeque;
use std::sync::Arc;

use taut_gate::{Close, Command, Speaker, native};
use taut_hub::{ConnId, Input, Output, Ticket};

use super::Talk;
use crate::core::{Core, ticket_of};

/// Requests of one Conn that may wait for an answer from another core; beyond it no more are read.
const PENDING_MAX: usize = 1_024;

/// What a native Conn waits for.
#[derive(Debug, Default)]
pub(crate) struct Session {
    next_ticket: u32,
    /// Tickets given out and the `ref` that each answer must carry.
    pending: VecDeque<(Ticket, Option<Box<str>>)>,
    /// A read that another core has not answered. There is one at a time, since each may bring a whole page.
    reading: Option<Ticket>,
    /// How far the line under way has been searched for its end.
    pub(super) searched: usize,
}

impl Session {
    fn ticket(&mut self, reference: Option<Box<str>>) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = Ticket(self.next_ticket);
        self.pending.push_back((ticket, reference));
        ticket
    }

    /// A ticket for a question whose answer is large: no more is heard before it has come.
    fn read(&mut self, reference: Option<Box<str>>) -> Ticket {
        let ticket = self.ticket(reference);
        self.reading = Some(ticket);
        ticket
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The `ref` of the request that `ticket` was given to; `None` when it was never given.
    fn settle(&mut self, ticket: Ticket) -> Option<Option<Box<str>>> {
        let index = self
            .pending
            .iter()
            .position(|(waiting, _)| *waiting == ticket)?;
        self.pending.remove(index).map(|(_, reference)| reference)
    }
}

/// The `bye` that ends a native Conn, without the line's end.
pub(super) fn farewell(out: &mut Vec<u8>, close: Close, text: Option<&str>, seed: u32) {
    native::encode_bye(out, close, text, close.retry_ms(seed));
}

impl Core {
    /// One native request.
    pub(super) fn native_unit(&mut self, id: ConnId, unit: &[u8]) {
        let name = self.name_of(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let speaker = Speaker {
            name,
            door: conn.door(),
        };
        match native::command(unit, &speaker) {
            Ok((command, reference)) => self.command(id, command, reference.map(Into::into)),
            Err(refused) => self.say_native(id, |out| refused.encode(out)),
        }
    }

    /// Carries a command to the hub under a ticket that remembers its `ref`.
    pub(super) fn command(&mut self, id: ConnId, command: Command, reference: Option<Box<str>>) {
        self.open(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let (Talk::Lines(session) | Talk::Native(_, session)) = &mut conn.talk else {
            return;
        };
        let input = match command {
            Command::Ping => {
                return self.say_native(id, |out| native::encode_pong(out, reference.as_deref()));
            }
            Command::Rename { name } => {
                conn.name = Some(Arc::clone(&name));
                self.say_native(id, |out| {
                    native::encode_renamed(out, reference.as_deref(), &name);
                });
                return self.hub(Input::Rename { conn: id, name });
            }
            Command::Join { room, join } => {
                conn.name = Some(Arc::clone(&join.name));
                Input::Join {
                    conn: id,
                    ticket: session.ticket(reference),
                    room,
                    join,
                }
            }
            Command::Leave { room } => Input::Leave {
                conn: id,
                ticket: session.ticket(reference),
                room,
            },
            Command::Publish { room, draft } => Input::Publish {
                conn: id,
                ticket: session.ticket(reference),
                room,
                draft,
            },
            Command::Read { room, start, limit } => Input::Read {
                conn: id,
                ticket: session.read(reference),
                room,
                start,
                limit,
            },
            Command::Who { room } => Input::Who {
                conn: id,
                ticket: session.read(reference),
                room,
            },
        };
        if session.pending.len() >= PENDING_MAX || session.reading.is_some() {
            conn.flags.paused = true;
        }
        self.hub(input);
    }

    /// Writes one native unit to a Conn, framed as its carrier frames it.
    pub(crate) fn say_native(&mut self, id: ConnId, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match &conn.talk {
            Talk::Lines(_) => {
                let out = conn.answers();
                encode(out);
                out.push(b'\n');
            }
            Talk::Native(..) => {
                let mut unit = Vec::new();
                encode(&mut unit);
                taut_wire::ws::encode_frame(
                    conn.answers(),
                    true,
                    false,
                    taut_wire::ws::Opcode::Text,
                    &unit,
                    None,
                );
            }
            _ => return,
        }
        self.touch(id.slot);
    }

    /// The `ref` that an answer must carry, taken off the list; `None` when nobody asked.
    pub(crate) fn native_reference(
        &mut self,
        id: ConnId,
        output: &Output,
    ) -> Option<Option<Box<str>>> {
        let ticket = ticket_of(output)?;
        let conn = self.conns.find(id)?;
        let (Talk::Lines(session) | Talk::Native(_, session)) = &mut conn.talk else {
            return None;
        };
        let reference = session.settle(ticket);
        session.reading = session.reading.filter(|reading| *reading != ticket);
        if session.reading.is_none() && session.pending.len() < PENDING_MAX / 2 {
            self.resume_input(id.slot);
        }
        reference
    }
}
