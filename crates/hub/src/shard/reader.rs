//! The slow path of one reader: catching up, and the lag policies.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::conn::{ConnId, Ticket};
use crate::message::Message;
use crate::name::RoomName;
use crate::policy::LagPolicy;
use crate::position::Position;
use crate::room::{Role, Room, RoomId};

use super::{Ask, CloseReason, Now, Output, Shard};

/// How long a reader waits when the store could not be read, in milliseconds.
const TRY_AGAIN_MS: u64 = 1_000;

/// What a reader does next.
#[derive(Debug)]
pub enum Next {
    /// Write this, then call [`Room::sent`].
    Message(Arc<Message>),
    /// Say that what lies between is lost to this reader, then go on.
    Gap {
        /// Where it stood.
        after: Position,
        /// Where its view is whole again.
        at: Position,
    },
    /// Wait: the home has been asked, and [`Output::Deliver`] comes.
    Pending,
    /// Nothing more for now.
    Caught,
    /// The lag policy ends this Conn.
    Disconnect,
}

/// Messages that one reader works through instead of the log. Bounded by what one pull brings, or by the limit of conflation.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// The home has been asked for what lies behind this cursor.
    Pulling(u64),
    /// They are here. An offset that is left out is lost.
    Messages(VecDeque<Arc<Message>>),
    /// What conflation left, after a gap that has been said.
    Conflated(VecDeque<Arc<Message>>),
}

impl Shard {
    /// What the member at `index` reads next. Applies the lag policy, and asks the home for what this relay does not have.
    pub fn next(&mut self, id: RoomId, index: u32, now: Now, out: &mut Vec<Output>) -> Next {
        self.now = now;
        let Some(room) = self.rooms.at_mut(id) else {
            return Next::Caught;
        };
        let Some(member) = room.members.get(index as usize).copied() else {
            return Next::Caught;
        };
        if member.catching_up {
            match self.chunks.get_mut(&(member.conn, id)) {
                Some(Chunk::Pulling(_)) => return Next::Pending,
                Some(Chunk::Messages(messages)) => {
                    let due = member.cursor + 1;
                    match messages.front().map(|message| message.offset) {
                        Some(offset) if offset > due => {
                            room.members[index as usize].cursor = offset - 1;
                            return Next::Gap {
                                after: room.position(member.cursor),
                                at: room.position(offset - 1),
                            };
                        }
                        _ => {}
                    }
                    if let Some(message) = messages.pop_front() {
                        return Next::Message(message);
                    }
                    self.chunks.remove(&(member.conn, id));
                }
                Some(Chunk::Conflated(messages)) => {
                    if let Some(message) = messages.pop_front() {
                        return Next::Message(message);
                    }
                    self.chunks.remove(&(member.conn, id));
                }
                None => {}
            }
            room.members[index as usize].catching_up = false;
        }
        if member.cursor >= room.log.head() {
            room.members[index as usize].lagging = false;
            room.members[index as usize].fresh = false;
            return Next::Caught;
        }
        let lagging = std::mem::take(&mut room.members[index as usize].lagging);
        if lagging || (!member.fresh && room.is_too_far(member.cursor)) {
            match room.policy().lag.policy {
                LagPolicy::Resume => {}
                LagPolicy::Disconnect => return Next::Disconnect,
                LagPolicy::Drop => {
                    if let Some(gap) = drop_oldest(room, index) {
                        return gap;
                    }
                }
                LagPolicy::Conflate => return self.conflate(id, index),
            }
        }
        self.read_log(id, index, out)
    }

    fn read_log(&mut self, id: RoomId, index: u32, out: &mut Vec<Output>) -> Next {
        let Some(room) = self.rooms.at_mut(id) else {
            return Next::Caught;
        };
        let member = room.members[index as usize];
        let oldest = room.log.first() - 1;
        if member.cursor >= oldest {
            return match room.log.after(member.cursor).next() {
                Some(message) => Next::Message(Arc::clone(message)),
                None => Next::Caught,
            };
        }
        let kept = room.oldest() - 1;
        if matches!(room.role, Role::Home(_)) && (member.cursor < kept || kept == oldest) {
            room.members[index as usize].cursor = kept;
            return Next::Gap {
                after: room.position(member.cursor),
                at: room.position(kept),
            };
        }
        room.members[index as usize].catching_up = true;
        let name = room.name().clone();
        self.chunks
            .insert((member.conn, id), Chunk::Pulling(member.cursor));
        let ask = Ask::Pull {
            after: member.cursor,
        };
        self.ask(member.conn, Ticket(0), name, ask, out);
        match self.chunks.get(&(member.conn, id)) {
            Some(Chunk::Pulling(_)) => Next::Pending,
            // The home is here and had it: the flush that asks would not hear of it again.
            _ => self.next(id, index, self.now, out),
        }
    }

    /// The newest per key, else per event, of what the reader has before it.
    fn conflate(&mut self, id: RoomId, index: u32) -> Next {
        let newest_max = self.limits.conflated_max as usize;
        let Some(room) = self.rooms.at_mut(id) else {
            return Next::Caught;
        };
        let member = &mut room.members[index as usize];
        let mut seen = HashSet::with_hasher(self.keyed);
        let mut kept: VecDeque<Arc<Message>> = VecDeque::new();
        for message in room.log.after(member.cursor).rev() {
            if kept.len() == newest_max {
                break;
            }
            if seen.insert((&message.key, message.key.is_none().then(|| message.event()))) {
                kept.push_front(Arc::clone(message));
            }
        }
        let after = member.cursor;
        let (head, conn) = (room.log.head(), member.conn);
        if kept.is_empty() {
            // This relay's log holds nothing of it: the gap says all.
            member.cursor = head;
        } else {
            member.catching_up = true;
            self.chunks.insert((conn, id), Chunk::Conflated(kept));
        }
        Next::Gap {
            after: room.position(after),
            at: room.position(head),
        }
    }

    /// The home's answer to a pull.
    pub(super) fn pulled(
        &mut self,
        conn: ConnId,
        name: &RoomName,
        asked: u64,
        (after, messages): (Position, Vec<Arc<Message>>),
        out: &mut Vec<Output>,
    ) {
        let Some(id) = self.rooms.find(name) else {
            return;
        };
        let Some(index) = self.conns.find(conn).and_then(|entry| entry.place_in(id)) else {
            return;
        };
        if !self.pulls(conn, id, asked) {
            return;
        }
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let member = &mut room.members[index as usize];
        if after.offset > member.cursor {
            let from = Position {
                epoch: after.epoch,
                offset: member.cursor,
            };
            member.cursor = after.offset;
            out.push(Output::Gap {
                conn,
                room: id,
                after: from,
                at: after,
            });
        }
        self.chunks
            .insert((conn, id), Chunk::Messages(messages.into()));
        self.mark_dirty(id, out);
    }

    /// The home could not read what this reader needs: it asks again a little later.
    pub(super) fn not_pulled(&mut self, conn: ConnId, name: &RoomName, asked: u64) {
        let Some(id) = self.rooms.find(name) else {
            return;
        };
        if !self.pulls(conn, id, asked) {
            return;
        }
        self.chunks.remove(&(conn, id));
        self.try_later(id);
    }

    /// Whether a reader waits for what lies behind `asked`.
    fn pulls(&self, conn: ConnId, id: RoomId, asked: u64) -> bool {
        matches!(self.chunks.get(&(conn, id)), Some(Chunk::Pulling(cursor)) if *cursor == asked)
    }

    /// What the store could not do for a room is tried again a little later.
    pub(super) fn try_later(&mut self, id: RoomId) {
        let at_ms = self.now.mono_ms + TRY_AGAIN_MS;
        if let Some(room) = self.rooms.at_mut(id) {
            room.retry_ms.get_or_insert(at_ms);
        }
        self.set_alarm(id);
    }

    /// A Conn made no progress for too long: the lag policies of the rooms in which it is behind apply at its next read.
    pub fn stalled(&mut self, conn: ConnId, now: Now, out: &mut Vec<Output>) {
        self.now = now;
        for membership in self.conns.memberships(conn).to_vec() {
            let Some(room) = self.rooms.at_mut(membership.room) else {
                continue;
            };
            let head = room.log.head();
            let disconnects = room.policy().lag.policy == LagPolicy::Disconnect;
            let Some(member) = room.members.get_mut(membership.index as usize) else {
                continue;
            };
            if member.cursor >= head {
                continue;
            }
            member.lagging = true;
            if disconnects {
                let reason = CloseReason::Slow;
                out.push(Output::Close { conn, reason });
            }
        }
    }

    /// A walk over the room's members is over and another one follows at once: what no reader needs any more may go. All members had their turn at
    /// what was said up to `head`.
    pub fn walked(&mut self, id: RoomId, head: u64) {
        if let Some(room) = self.rooms.at_mut(id) {
            room.walked = head;
            room.look_for_lowest();
        }
        self.settle_latest(id);
        self.trim(id);
    }

    /// A walk over the room's members is over: what no reader needs any more may go. Where some are still behind, the next
    /// message, or their own progress, brings the next walk.
    pub fn flushed(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.at_mut(id) {
            room.dirty = false;
            room.walked = room.log.head();
            room.look_for_lowest();
        }
        self.settle_latest(id);
        self.trim(id);
        self.remove_if_empty(id);
    }
}

/// Moves the cursor so that at most half the limit lies before it; `None` when it need not move.
fn drop_oldest(room: &mut Room, index: u32) -> Option<Next> {
    let keep_bytes = room.policy().lag.bytes_max / 2;
    let cursor = room.members[index as usize].cursor;
    let mut bytes = 0;
    let mut from = room.log.head();
    for message in room.log.after(cursor).rev() {
        bytes += message.cost_bytes();
        if bytes > keep_bytes && from < room.log.head() {
            break;
        }
        from = message.offset - 1;
    }
    if from <= cursor {
        return None;
    }
    room.members[index as usize].cursor = from;
    Some(Next::Gap {
        after: room.position(cursor),
        at: room.position(from),
    })
}
