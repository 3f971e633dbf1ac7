//! Which rooms each Conn is in: an array by slot, so that two rooms cost no allocation.

use crate::conn::ConnId;
use crate::name::RoomName;
use crate::room::RoomId;

/// A Conn's place in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: RoomId,
    /// The index in its member array.
    pub index: u32,
}

/// All Conns of a shard.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    slots: Vec<Option<Entry>>,
}

/// What a shard knows of a Conn.
#[derive(Debug)]
pub(crate) struct Entry {
    generation: u32,
    rooms: Rooms,
    /// Joins that the home has not answered.
    pub(crate) joining: Vec<RoomName>,
}

#[derive(Debug)]
enum Rooms {
    Few([Membership; 2], u8),
    Many(Vec<Membership>),
}

impl Conns {
    pub(crate) fn open(&mut self, conn: ConnId) {
        let slot = conn.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Entry {
            generation: conn.generation,
            rooms: Rooms::new(),
            joining: Vec::new(),
        });
    }

    pub(crate) fn find(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.slots
            .get_mut(conn.slot as usize)?
            .as_mut()
            .filter(|entry| entry.generation == conn.generation)
    }

    pub(crate) fn close(&mut self, conn: ConnId) -> Option<Entry> {
        self.find(conn)?;
        self.slots.get_mut(conn.slot as usize)?.take()
    }

    pub(crate) fn memberships(&self, conn: ConnId) -> &[Membership] {
        match self.slots.get(conn.slot as usize) {
            Some(Some(entry)) if entry.generation == conn.generation => entry.memberships(),
            _ => &[],
        }
    }
}

impl Entry {
    pub(crate) fn memberships(&self) -> &[Membership] {
        match &self.rooms {
            Rooms::Few(rooms, count) => &rooms[..usize::from(*count)],
            Rooms::Many(rooms) => rooms,
        }
    }

    pub(crate) fn place_in(&self, room: RoomId) -> Option<u32> {
        self.memberships()
            .iter()
            .find(|membership| membership.room == room)
            .map(|membership| membership.index)
    }

    pub(crate) fn add(&mut self, membership: Membership) {
        match &mut self.rooms {
            Rooms::Few(rooms, count) if usize::from(*count) < rooms.len() => {
                rooms[usize::from(*count)] = membership;
                *count += 1;
            }
            Rooms::Few(rooms, _) => {
                let mut many = rooms.to_vec();
                many.push(membership);
                self.rooms = Rooms::Many(many);
            }
            Rooms::Many(rooms) => rooms.push(membership),
        }
    }

    pub(crate) fn remove(&mut self, room: RoomId) {
        match &mut self.rooms {
            Rooms::Few(rooms, count) => {
                let used = &mut rooms[..usize::from(*count)];
                if let Some(at) = used.iter().position(|membership| membership.room == room) {
                    let last = used.len() - 1;
                    used.swap(at, last);
                    *count -= 1;
                }
            }
            Rooms::Many(rooms) => rooms.retain(|membership| membership.room != room),
        }
    }

    /// The member array moved this Conn's entry.
    pub(crate) fn moved(&mut self, room: RoomId, index: u32) {
        let memberships = match &mut self.rooms {
            Rooms::Few(rooms, count) => &mut rooms[..usize::from(*count)],
            Rooms::Many(rooms) => rooms,
        };
        if let Some(membership) = memberships.iter_mut().find(|m| m.room == room) {
            membership.index = index;
        }
    }

    /// A join was answered.
    pub(crate) fn settle_join(&mut self, room: &RoomName) {
        if let Some(at) = self.joining.iter().position(|joining| joining == room) {
            self.joining.swap_remove(at);
        }
        if self.joining.is_empty() {
            // An idle Conn keeps no allocation for what it once waited for.
            self.joining = Vec::new();
        }
    }
}

impl Rooms {
    fn new() -> Self {
        let nowhere = Membership {
            room: RoomId(0),
            index: 0,
        };
        Self::Few([nowhere; 2], 0)
    }
}
