//! Native JSON: the session that lines and WebSockets share.

use std::collections::VecDeque;

use taut_gate::datagram::{self, Fetch};
use taut_gate::{Close, Command, Speaker, native};
use taut_hub::{ConnId, Farewell, Input, Output, Page, Range, RoomName, Roster, State, Ticket};
use taut_wire::native::Taken;

use super::Talk;
use crate::core::{Asker, Core, Flag, ticket_of};

/// Requests of one Conn that may wait for an answer from another core; beyond it no more are read.
const PENDING_MAX: usize = 1_024;
/// Messages that a page of history over datagrams begins with: more would hardly fit into one.
const DATAGRAM_MESSAGES_MAX: u32 = 16;
/// Bytes of a piece of a message on carriers that do not bound it.
const PIECE_BYTES_MAX: usize = 32 << 10;

/// What a native Conn waits for.
#[derive(Debug, Default)]
pub(crate) struct Session {
    next_ticket: u32,
    /// Requests that have no answer yet.
    pending: VecDeque<Asked>,
    /// A read that another core has not answered. There is one at a time, since each may bring a whole page.
    reading: Option<Ticket>,
    /// How far the line under way has been searched for its end.
    pub(super) searched: usize,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Asked {
    ticket: Ticket,
    /// The `ref` that the answer must carry.
    pub(crate) reference: Option<Box<str>>,
    /// What of the answer is wanted, where that is not all of it.
    pub(crate) wants: Wants,
}

/// What an answer is to be made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Wants {
    /// All that it brings.
    #[default]
    All,
    /// Its one message, in pieces.
    Piece(Fetch),
    /// One key of a state.
    Key,
    /// A receipt, and of what.
    Receipt(Taken),
}

impl Session {
    fn ticket(&mut self, reference: Option<Box<str>>) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = Ticket(self.next_ticket);
        if self.pending.capacity() == 0 {
            self.pending.reserve_exact(1);
        }
        self.pending.push_back(Asked {
            ticket,
            reference,
            wants: Wants::All,
        });
        ticket
    }

    /// The same for a question of whose answer not all is wanted.
    fn ticket_for(&mut self, reference: Option<Box<str>>, wants: Wants) -> Ticket {
        let ticket = self.ticket(reference);
        if let Some(asked) = self.pending.back_mut() {
            asked.wants = wants;
        }
        ticket
    }

    /// A ticket for a question whose answer is large: no more is heard before it has come.
    fn read(&mut self, reference: Option<Box<str>>, wants: Wants) -> Ticket {
        let ticket = self.ticket_for(reference, wants);
        self.reading = Some(ticket);
        ticket
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether as many requests wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    /// The request that `ticket` was given to; `None` when it was never given.
    fn settle(&mut self, ticket: Ticket) -> Option<Asked> {
        let waiting = |asked: &Asked| asked.ticket == ticket;
        let index = self.pending.iter().position(waiting)?;
        self.pending.remove(index)
    }
}

/// The `bye` that ends a native Conn, without the line's end.
pub(super) fn farewell(out: &mut Vec<u8>, close: Close, text: Option<&str>, seed: u32) {
    native::encode_bye(out, close, text, close.retry_ms(seed));
}

impl Core {
    /// One native request.
    pub(super) fn native_unit(&mut self, id: ConnId, unit: &[u8]) {
        let name = self.name_once(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let speaker = Speaker {
            name,
            door: conn.door(),
        };
        match native::command(unit, &speaker) {
            Ok((command, reference)) => {
                if matches!(
                    command,
                    Command::Publish { .. } | Command::PublishBatch { .. }
                ) {
                    self.name_of(id);
                }
                self.command(id, command, reference.map(Into::into));
            }
            Err(refused) => {
                self.counts.refusals.count(refused.code);
                self.say_native(id, |out| refused.encode(out));
            }
        }
    }

    /// Carries a command to the hub under a ticket that remembers its `ref`.
    pub(super) fn command(&mut self, id: ConnId, command: Command, reference: Option<Box<str>>) {
        self.open(id);
        let command = match command {
            Command::Auth { token } if self.takes_tokens() => {
                return self.show_token(id, token, Asker::Native(reference));
            }
            command => command,
        };
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let datagrams = matches!(conn.talk, Talk::Datagrams(_));
        let (Talk::Lines(session) | Talk::Datagrams(session) | Talk::Native(_, session)) =
            &mut conn.talk
        else {
            return;
        };
        let input = match command {
            Command::Ping => {
                let behind = self.behind(id);
                return self.say_native(id, |out| {
                    native::encode_pong(out, reference.as_deref(), &behind);
                });
            }
            // As HTTP does, an open server takes no notice: a client may show its token everywhere.
            Command::Auth { .. } => {
                return self.say_native(id, |out| {
                    native::encode_authed(out, reference.as_deref(), None, 0);
                });
            }
            Command::Rename { name } => {
                conn.name.set(&name);
                self.say_native(id, |out| {
                    native::encode_renamed(out, reference.as_deref(), &name);
                });
                return self.hub(Input::Rename { conn: id, name });
            }
            Command::Join { room, join } => {
                conn.name.set(&join.name);
                let ticket = if join.state {
                    session.read(reference, Wants::All)
                } else {
                    session.ticket(reference)
                };
                Input::Join {
                    conn: id,
                    ticket,
                    room,
                    join,
                }
            }
            Command::Leave { room } => Input::Leave {
                conn: id,
                ticket: session.ticket(reference),
                room,
                farewell: Farewell::Said,
            },
            Command::Publish { room, draft, taken } => Input::Publish {
                conn: id,
                ticket: session.ticket_for(reference, Wants::Receipt(taken)),
                room,
                draft,
            },
            Command::PublishBatch { room, batch } => {
                let taken = Taken::Batch(u32::try_from(batch.drafts.len()).unwrap_or(u32::MAX));
                Input::PublishBatch {
                    conn: id,
                    ticket: session.ticket_for(reference, Wants::Receipt(taken)),
                    room,
                    batch,
                }
            }
            Command::ReadState { room, key } => {
                let wants = if key.is_some() {
                    Wants::Key
                } else {
                    Wants::All
                };
                Input::ReadState {
                    conn: id,
                    ticket: session.read(reference, wants),
                    room,
                    key,
                }
            }
            Command::Read { room, mut range } => {
                if datagrams {
                    range.limit = range.limit.min(DATAGRAM_MESSAGES_MAX);
                }
                Input::Read {
                    conn: id,
                    ticket: session.read(reference, Wants::All),
                    room,
                    range,
                }
            }
            Command::Fetch { room, fetch } => Input::Read {
                conn: id,
                ticket: session.read(reference, Wants::Piece(fetch)),
                room,
                range: Range::from(fetch.start(), 1),
            },
            Command::Who { room, counts } => Input::Who {
                conn: id,
                ticket: session.read(reference, Wants::All),
                room,
                counts,
            },
        };
        if !datagrams && (session.is_full() || session.reading.is_some()) {
            conn.flags.set(Flag::Paused, true);
        }
        self.hub(input);
    }

    /// The rooms of which not all has been sent to a Conn, and how many messages are left.
    fn behind(&self, id: ConnId) -> Vec<(RoomName, u64)> {
        let memberships = self.shard.memberships(id).iter();
        memberships
            .filter_map(|membership| {
                let room = self.shard.room(membership.room)?;
                let member = room.members().get(membership.index as usize)?;
                let messages = room.log().head().saturating_sub(member.cursor);
                (messages > 0).then(|| (room.name().clone(), messages))
            })
            .collect()
    }

    /// Writes one native unit to a Conn, framed as its carrier frames it.
    pub(crate) fn say_native(&mut self, id: ConnId, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match &conn.talk {
            Talk::Lines(_) | Talk::Datagrams(_) => {
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

    /// A page of history; over datagrams as much of it as fits into one.
    pub(crate) fn say_history(&mut self, id: ConnId, reference: Option<&str>, page: &Page) {
        let Some(bytes_max) = self.datagram_bytes_max(id) else {
            return self.say_native(id, |out| native::encode_history(out, reference, page));
        };
        let mut unit = Vec::new();
        if let Err(at) = datagram::encode_history(&mut unit, reference, page, bytes_max) {
            let text = format!(
                "the message {at} is too long for a datagram; fetch it, and go on after it"
            );
            native::encode_error(&mut unit, "too-long-for-datagram", reference, &text);
        }
        self.say_native(id, |out| out.extend_from_slice(&unit));
    }

    /// What is set in a room, or under one key of it; not over a datagram that cannot hold it.
    pub(crate) fn say_state(
        &mut self,
        id: ConnId,
        reference: Option<&str>,
        state: &State,
        one_key: bool,
    ) {
        let mut unit = Vec::new();
        if one_key {
            native::encode_got(&mut unit, reference, state);
        } else {
            native::encode_state(&mut unit, reference, state);
        }
        if let Some(bytes_max) = self.datagram_bytes_max(id)
            && unit.len() > bytes_max
        {
            unit.clear();
            let text = datagram::state_too_long(state, one_key);
            native::encode_error(&mut unit, "too-long-for-datagram", reference, &text);
        }
        self.say_native(id, |out| out.extend_from_slice(&unit));
    }

    /// That a Conn is in a room. A state that does not fit into a datagram is left out.
    pub(crate) fn say_joined(
        &mut self,
        id: ConnId,
        reference: Option<&str>,
        encode: impl Fn(&mut Vec<u8>, Option<&str>, bool),
    ) {
        let mut unit = Vec::new();
        encode(&mut unit, reference, true);
        if let Some(bytes_max) = self.datagram_bytes_max(id)
            && unit.len() > bytes_max
        {
            unit.clear();
            encode(&mut unit, reference, false);
        }
        self.say_native(id, |out| out.extend_from_slice(&unit));
    }

    /// Who is in a room; over datagrams as many of them as fit into one.
    pub(crate) fn say_who(
        &mut self,
        id: ConnId,
        reference: Option<&str>,
        room: &RoomName,
        roster: &Roster,
    ) {
        match self.datagram_bytes_max(id) {
            None => self.say_native(id, |out| {
                native::encode_who(out, reference, room, roster);
            }),
            Some(bytes_max) => self.say_native(id, |out| {
                datagram::encode_who(out, reference, room, roster, bytes_max);
            }),
        }
    }

    /// A piece of a message.
    pub(crate) fn say_piece(
        &mut self,
        id: ConnId,
        reference: Option<&str>,
        page: &Page,
        fetch: &Fetch,
    ) {
        let bytes_max = self.datagram_bytes_max(id).unwrap_or(PIECE_BYTES_MAX);
        let mut unit = Vec::new();
        if let Err(text) = datagram::encode_piece(&mut unit, reference, page, fetch, bytes_max) {
            unit.clear();
            native::encode_error(&mut unit, "not-found", reference, &text);
        }
        self.say_native(id, |out| out.extend_from_slice(&unit));
    }

    /// Whether a Conn's units are datagrams.
    pub(crate) fn is_datagram(&mut self, id: ConnId) -> bool {
        self.datagram_bytes_max(id).is_some()
    }

    /// How long one unit to a Conn may be, where its carrier bounds it.
    fn datagram_bytes_max(&mut self, id: ConnId) -> Option<usize> {
        let conn = self.conns.find(id)?;
        matches!(conn.talk, Talk::Datagrams(_)).then_some(self.limits.datagram_bytes_max)
    }

    /// The request that an output answers, taken off the list; `None` when nobody asked.
    pub(crate) fn native_asked(&mut self, id: ConnId, output: &Output) -> Option<Asked> {
        let ticket = ticket_of(output)?;
        let conn = self.conns.find(id)?;
        let (Talk::Lines(session) | Talk::Datagrams(session) | Talk::Native(_, session)) =
            &mut conn.talk
        else {
            return None;
        };
        let asked = session.settle(ticket);
        session.reading = session.reading.filter(|reading| *reading != ticket);
        if session.reading.is_none() && session.pending.len() < PENDING_MAX / 2 {
            self.resume_input(id.slot);
        }
        asked
    }
}
