//! Conns that hear themselves and do not listen: in a room with `echo` a Conn whose socket takes no more, and that is about to lose words of its own, is not read
//! until it has taken them. So a burst is slowed down by the transport, and nobody is thrown out for what it said itself.
//!
//! A client that first says everything and then listens may fill both ways of its connection; then neither it nor we can go on. After `lag.stall_ms_max` without
//! progress it is read again, and the lag policy holds.

use std::collections::HashMap;

use taut_hub::{ConnId, Origin, RoomId};

use super::{Core, Flag};

/// What each Conn that is not read has to take first, by its slot. At most one a Conn.
pub(super) type Unheard = HashMap<u32, Words>;

/// The newest of a Conn's own words when it was found not to listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    conn: ConnId,
    room: RoomId,
    offset: u64,
}

impl Core {
    /// A member takes no more: whether that is since it says more than it hears.
    pub(super) fn look_whether_heard(&mut self, conn: ConnId, id: RoomId, index: u32) {
        let Some(room) = self.shard.room(id) else {
            return;
        };
        if !room.policy().echo || !room.is_about_to_lose(index) {
            return;
        }
        let offset = room.log().head();
        let own = Origin {
            core: self.id,
            conn,
        };
        let newest = room.log().after(offset - 1).next();
        if newest.and_then(|message| message.origin) != Some(own) {
            return;
        }
        let stall_ms = room.policy().lag.stall_ms_max;
        // A session whose client polls has no transport that could slow it down.
        let Some(found) = self.conns.find(conn).filter(|found| found.has_stream()) else {
            return;
        };
        found.flags.set(Flag::Unheard, true);
        found.flags.set(Flag::Stalling, true);
        let room = id;
        let words = Words { conn, room, offset };
        self.unheard.insert(conn.slot, words);
        // It may have been blocked for long without being behind.
        self.set_alarm(conn.slot, stall_ms);
    }

    /// A Conn has been written to: whether it has heard itself, and is read again.
    pub(super) fn look_whether_it_hears(&mut self, slot: u32) {
        if !self
            .conns
            .at(slot)
            .is_some_and(|conn| conn.flags.has(Flag::Unheard))
        {
            return;
        }
        let waits = self.unheard.get(&slot).is_some_and(|words| {
            let memberships = self.shard.memberships(words.conn).iter();
            let index = memberships.filter(|membership| membership.room == words.room);
            let room = self.shard.room(words.room);
            room.zip(index.map(|membership| membership.index).next())
                .and_then(|(room, index)| room.members().get(index as usize))
                .is_some_and(|member| member.cursor < words.offset)
        });
        if !waits {
            self.hear_it_again(slot);
        }
    }

    /// Reads a Conn again, whatever it has taken.
    pub(super) fn hear_it_again(&mut self, slot: u32) {
        self.unheard.remove(&slot);
        if let Some(conn) = self.conns.at(slot)
            && conn.flags.replace(Flag::Unheard, false)
        {
            self.ready_again(slot);
        }
    }
}
