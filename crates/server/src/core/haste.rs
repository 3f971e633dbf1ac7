//! What a core hears in a turn is no more than it can say in the same one. Else a burst would run over readers that take all they are given: their cursors would fall
//! behind by the server's haste, and the lag policy would end them for it.
//!
//! So a turn hears a bounded number of bytes of messages ([`TURN_BYTES`]), and nothing while a member, or another core, that takes what it can is half the lag limit
//! behind. Who does not take what it is given holds nobody up.

use taut_hub::{ConnId, MESSAGE_OVERHEAD_BYTES, RoomId};

use super::Core;

/// Bytes of messages that a core hears in one turn from other cores; from the store as many again, and from its sockets. What is under way when they are reached is
/// heard to the end of a read. As many as a window holds, so that a walk can say them.
const TURN_BYTES: u64 = 256 << 10;
/// Turns in a row in which sockets wait for other cores that have more to say. Without an end those could keep them waiting for good.
const PASSED_MAX: u8 = 8;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Haste {
    /// [`Shard::heard_bytes`](taut_hub::Shard::heard_bytes) when this part of the turn began.
    begun_bytes: u64,
    /// What came from sockets in this turn, in bytes of messages.
    read_bytes: u64,
    /// A member that takes all it is given has not got what it was due.
    left_behind: bool,
    /// Another core has not.
    outrun: bool,
    /// Other cores had more to say than this turn heard.
    more: bool,
    /// This turn's sockets wait for them.
    passes: bool,
    /// So many turns in a row did.
    passed: u8,
}

impl Core {
    /// Begins a part of a turn that hears other cores, or the store. Neither can use up what is the other one's.
    pub(super) fn begin_to_hear(&mut self) {
        self.haste.begun_bytes = self.shard.heard_bytes();
    }

    /// Whether the rest of them waits until the next turn. They never wait for another core, or two could wait for each other.
    pub(super) fn heard_enough(&self) -> bool {
        let heard_bytes = self.shard.heard_bytes();
        self.haste.left_behind || heard_bytes.wrapping_sub(self.haste.begun_bytes) >= TURN_BYTES
    }

    /// Other cores have more to say. What comes from sockets may come back by them, so hearing comes first.
    pub(super) fn hear_more(&mut self) {
        self.haste.more = true;
        self.alert.raise();
    }

    /// Begins the part of a turn that reads sockets.
    pub(super) fn begin_to_read(&mut self) {
        let haste = &mut self.haste;
        haste.passes = haste.more && haste.passed < PASSED_MAX;
        haste.passed = if haste.passes { haste.passed + 1 } else { 0 };
    }

    /// So many bytes, in so many units, came from a socket.
    pub(super) fn count_read(&mut self, bytes: usize, units: u32) {
        self.haste.read_bytes += bytes as u64 + u64::from(units) * MESSAGE_OVERHEAD_BYTES;
    }

    /// Whether sockets stay unread until the next turn.
    pub(super) fn read_enough(&self) -> bool {
        let haste = &self.haste;
        haste.outrun || haste.left_behind || haste.passes || haste.read_bytes >= TURN_BYTES
    }

    /// Begins a flush: what it finds holds up the next turn.
    pub(super) fn begin_to_say(&mut self) {
        self.haste = Haste {
            begun_bytes: self.shard.heard_bytes(),
            passed: self.haste.passed,
            ..Haste::default()
        };
    }

    /// A walk goes on in the next turn: whether others wait for it.
    pub(super) fn is_walking(&mut self, id: RoomId) {
        self.haste.left_behind |= self.shard.room(id).is_some_and(taut_hub::Room::is_ahead);
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
