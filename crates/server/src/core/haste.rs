//! What a core hears in a turn is no more than it can say in the same one. Else a burst would run over readers that take all they are given: their cursors would fall
//! behind by the server's haste, and the lag policy would end them for it.
//!
//! So a turn hears a bounded number of bytes of messages ([`TURN_BYTES`]), and nothing while a member, or another core, that takes what it can is half the lag limit
//! behind. Who does not take what it is given holds nobody up.

use taut_hub::{ConnId, RoomId};

use super::Core;

/// Bytes of messages that come into the logs of a core in one turn from other cores; from the store as many again, and from its sockets. What is under way when they
/// are reached is heard to the end of a read.
const TURN_BYTES: u64 = 128 << 10;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Haste {
    /// [`Shard::heard_bytes`](taut_hub::Shard::heard_bytes) when this part of the turn began.
    begun_bytes: u64,
    /// A member that takes all it is given has not got what it was due.
    left_behind: bool,
    /// Another core has not.
    outrun: bool,
}

impl Core {
    /// Begins a part of a turn that hears: other cores, the store, sockets. None of them can use up what is another one's.
    pub(super) fn begin_to_hear(&mut self) {
        self.haste.begun_bytes = self.shard.heard_bytes();
    }

    /// Begins a flush: what it finds holds up the next turn.
    pub(super) fn begin_to_say(&mut self) {
        self.haste = Haste {
            begun_bytes: self.shard.heard_bytes(),
            ..Haste::default()
        };
    }

    /// Whether sockets stay unread until the next turn.
    pub(super) fn heard_enough(&self) -> bool {
        self.haste.outrun || self.heard_enough_of_cores()
    }

    /// Whether other cores and the store wait until the next turn. They never wait for another core, or two of them could wait for each other.
    pub(super) fn heard_enough_of_cores(&self) -> bool {
        let heard_bytes = self.shard.heard_bytes();
        self.haste.left_behind || heard_bytes.wrapping_sub(self.haste.begun_bytes) >= TURN_BYTES
    }

    /// A walk goes on in the next turn: whether others wait for it.
    pub(super) fn is_walking(&mut self, id: RoomId) {
        self.haste.left_behind |= self.shard.room(id).is_some_and(|room| room.is_ahead());
    }

    /// A Conn has taken all that a turn may give it and there is more: whether others wait for it.
    pub(super) fn is_left_behind(&mut self, id: ConnId) {
        let memberships = self.shard.memberships(id);
        self.haste.left_behind |= memberships.iter().any(|membership| {
            self.shard
                .room(membership.room)
                .is_some_and(|room| room.is_left_behind(membership.index))
        });
    }

    /// The link to another core is full: whether sockets wait for it.
    pub(super) fn is_outrun(&mut self, id: RoomId, core: u16) {
        self.haste.outrun |= self.shard.room(id).is_some_and(|room| room.outruns(core));
    }
}
