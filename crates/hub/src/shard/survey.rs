//! What tools are shown of a shard: its rooms, a slice at a time, so that however many there are nobody waits for the end.

use crate::name::RoomName;
use crate::position::Position;
use crate::room::{Role, Room, RoomId};

use super::Shard;

/// A room, as its home counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomFacts {
    /// Its name.
    pub name: RoomName,
    /// How many users are in it.
    pub users: u32,
    /// Over how many connections.
    pub conns: u32,
    /// Its head.
    pub at: Position,
    /// How many messages of it are in memory.
    pub messages: u64,
    /// What they cost, in bytes.
    pub bytes: u64,
    /// Whether it outlives the server.
    pub durable: bool,
    /// Whether it is in memory; elsewise `messages` and `bytes` are what the store keeps.
    pub in_memory: bool,
}

/// A part of the rooms of a shard.
#[derive(Debug)]
pub struct RoomSlice {
    /// Those of them whose home this is.
    pub rooms: Vec<RoomFacts>,
    /// The place to go on from; `None` behind the last one.
    pub next: Option<u32>,
}

impl Shard {
    /// Looks at the next `looks` places from `from` on, and shows at most `limit` rooms whose home this is and whose name is wanted. A room keeps its
    /// place as long as it lives, so whoever goes on from where the last slice ended sees each room that was there all the time once.
    #[must_use]
    pub fn rooms_slice(
        &self,
        from: u32,
        looks: u32,
        limit: usize,
        is_wanted: impl Fn(&RoomName) -> bool,
    ) -> RoomSlice {
        let end = self.rooms.places();
        let mut rooms = Vec::new();
        let mut place = from;
        while place < end && place - from < looks && rooms.len() < limit {
            let room = self.rooms.at(RoomId(place));
            rooms.extend(
                room.filter(|room| is_wanted(&room.name))
                    .and_then(Room::facts),
            );
            place += 1;
        }
        let next = (place < end).then_some(place);
        RoomSlice { rooms, next }
    }

    /// Whether a room is in memory, and this is its home.
    #[must_use]
    pub fn is_home_of(&self, name: &RoomName) -> bool {
        let room = self.find(name).and_then(|id| self.rooms.at(id));
        room.is_some_and(|room| matches!(room.role, Role::Home(_)))
    }
}

impl Room {
    /// `None` where this is a relay, which knows only a part.
    fn facts(&self) -> Option<RoomFacts> {
        let Role::Home(home) = &self.role else {
            return None;
        };
        Some(RoomFacts {
            name: self.name.clone(),
            users: home.presence.count(),
            conns: home.presence.conns(),
            at: self.position(self.log.head()),
            messages: self.log.len() as u64,
            bytes: self.log.cost_bytes(),
            durable: home.durable.is_some(),
            in_memory: true,
        })
    }
}
