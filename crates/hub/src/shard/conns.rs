//! Which rooms each Conn is in: an array by slot, 16 bytes for whoever is in one room, and 4 more where Conns have shown credentials.

use super::standings::StandingId;
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
    blocks: Vec<Box<Block>>,
}

/// Slots come densely, and so many at a time: a vector that doubles has three places for each two while it grows.
const BLOCK: usize = 256;

#[derive(Debug)]
struct Block {
    entries: [Option<Entry>; BLOCK],
    /// What each may do, once any of them may do something else than everybody.
    standings: Option<Box<[StandingId; BLOCK]>>,
}

/// What a shard knows of a Conn. Each kind has the generation, so that it lies in what would be padding.
#[derive(Debug)]
pub(crate) enum Entry {
    Nowhere {
        generation: u32,
    },
    One {
        generation: u32,
        membership: Membership,
    },
    More {
        generation: u32,
        more: Box<More>,
    },
}

const _: () = assert!(size_of::<Option<Entry>>() == 16);

/// Whatever is not one room.
#[derive(Debug, Default)]
pub(crate) struct More {
    rooms: Vec<Membership>,
    /// Joins that the home has not answered, in their order.
    joining: Vec<Joining>,
    /// Rooms that it leaves, as soon as the home has answered.
    leaving: Vec<RoomId>,
}

/// A join on its way.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) room: RoomName,
    /// The Conn lost the right to it meanwhile: a leave is on the way behind it.
    void: bool,
}

impl Conns {
    pub(crate) fn open(&mut self, conn: ConnId) {
        let blocks = conn.slot as usize / BLOCK + 1;
        if self.blocks.len() < blocks {
            let empty = || {
                Box::new(Block {
                    entries: [const { None }; BLOCK],
                    standings: None,
                })
            };
            self.blocks.resize_with(blocks, empty);
        }
        if let Some(slot) = self.slot(conn) {
            *slot = Some(Entry::Nowhere {
                generation: conn.generation,
            });
        }
    }

    pub(crate) fn find(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.slot(conn)?
            .as_mut()
            .filter(|entry| entry.generation() == conn.generation)
    }

    pub(crate) fn close(&mut self, conn: ConnId) -> Option<Entry> {
        self.find(conn)?;
        self.stand(conn, 0);
        self.slot(conn)?.take()
    }

    /// What a Conn may do: 0 where it has not been granted anything, and for one that is not here.
    pub(crate) fn standing(&self, conn: ConnId) -> StandingId {
        let place = conn.slot as usize % BLOCK;
        let block = self.blocks.get(conn.slot as usize / BLOCK);
        match block.map(|block| (&block.entries[place], &block.standings)) {
            Some((Some(entry), Some(standings))) if entry.generation() == conn.generation => {
                standings[place]
            }
            _ => 0,
        }
    }

    /// Changes it; of a Conn that is here.
    pub(crate) fn stand(&mut self, conn: ConnId, standing: StandingId) {
        if let Some(block) = self.blocks.get_mut(conn.slot as usize / BLOCK)
            && (standing != 0 || block.standings.is_some())
        {
            let standings = block.standings.get_or_insert_with(|| Box::new([0; BLOCK]));
            standings[conn.slot as usize % BLOCK] = standing;
        }
    }

    fn slot(&mut self, conn: ConnId) -> Option<&mut Option<Entry>> {
        let block = self.blocks.get_mut(conn.slot as usize / BLOCK)?;
        Some(&mut block.entries[conn.slot as usize % BLOCK])
    }

    pub(crate) fn memberships(&self, conn: ConnId) -> &[Membership] {
        let block = self.blocks.get(conn.slot as usize / BLOCK);
        match block.and_then(|block| block.entries[conn.slot as usize % BLOCK].as_ref()) {
            Some(entry) if entry.generation() == conn.generation => entry.memberships(),
            _ => &[],
        }
    }
}

impl Entry {
    fn generation(&self) -> u32 {
        match self {
            Self::Nowhere { generation }
            | Self::One { generation, .. }
            | Self::More { generation, .. } => *generation,
        }
    }

    pub(crate) fn memberships(&self) -> &[Membership] {
        match self {
            Self::Nowhere { .. } => &[],
            Self::One { membership, .. } => std::slice::from_ref(membership),
            Self::More { more, .. } => &more.rooms,
        }
    }

    /// Joins that the home has not answered.
    pub(crate) fn joining(&self) -> &[Joining] {
        match self {
            Self::More { more, .. } => &more.joining,
            _ => &[],
        }
    }

    /// How many rooms it is in, or will be in as soon as all that is under way has been answered.
    pub(crate) fn bound_for(&self) -> usize {
        match self {
            Self::Nowhere { .. } => 0,
            Self::One { .. } => 1,
            Self::More { more, .. } => more.rooms.len() - more.leaving.len() + more.joining.len(),
        }
    }

    pub(crate) fn place_in(&self, room: RoomId) -> Option<u32> {
        self.memberships()
            .iter()
            .find(|membership| membership.room == room)
            .map(|membership| membership.index)
    }

    pub(crate) fn add(&mut self, membership: Membership) {
        match self {
            Self::Nowhere { generation } => {
                *self = Self::One {
                    generation: *generation,
                    membership,
                };
            }
            _ => self.change(|more| more.rooms.push(membership)),
        }
    }

    pub(crate) fn remove(&mut self, room: RoomId) {
        self.change(|more| {
            if let Some(at) = more.rooms.iter().position(|m| m.room == room) {
                more.rooms.swap_remove(at);
            }
            more.leaving.retain(|leaving| *leaving != room);
        });
    }

    /// The member array moved this Conn's entry.
    pub(crate) fn moved(&mut self, room: RoomId, index: u32) {
        let memberships = match self {
            Self::Nowhere { .. } => &mut [],
            Self::One { membership, .. } => std::slice::from_mut(membership),
            Self::More { more, .. } => more.rooms.as_mut_slice(),
        };
        if let Some(membership) = memberships.iter_mut().find(|m| m.room == room) {
            membership.index = index;
        }
    }

    /// A join is on its way to the home.
    pub(crate) fn begin_join(&mut self, room: RoomName) {
        self.change(|more| more.joining.push(Joining { room, void: false }));
    }

    /// A join was answered. Whether it still counts.
    pub(crate) fn settle_join(&mut self, room: &RoomName) -> bool {
        let mut counts = true;
        self.change(|more| {
            // In their order, since one that counts may follow one that does not.
            if let Some(at) = more.joining.iter().position(|join| join.room == *room) {
                counts = !more.joining.remove(at).void;
            }
        });
        counts
    }

    /// A leave is on its way to the home of a room that it is in: it makes room for another one from now on.
    pub(crate) fn begin_leave(&mut self, room: RoomId) {
        self.change(|more| {
            let is_in = more.rooms.iter().any(|membership| membership.room == room);
            if is_in && !more.leaving.contains(&room) {
                more.leaving.push(room);
            }
        });
    }

    /// Joins of this room on their way count no more.
    pub(crate) fn void_joins(&mut self, room: &RoomName) {
        self.change(|more| {
            let joins = more.joining.iter_mut().filter(|join| join.room == *room);
            joins.for_each(|join| join.void = true);
        });
    }

    /// An idle Conn in one room keeps no allocation, whatever it once waited for.
    fn change(&mut self, change: impl FnOnce(&mut More)) {
        let generation = self.generation();
        let before = std::mem::replace(self, Self::Nowhere { generation });
        let mut more = match before {
            Self::Nowhere { .. } => Box::default(),
            Self::One { membership, .. } => Box::new(More {
                rooms: vec![membership],
                ..More::default()
            }),
            Self::More { more, .. } => more,
        };
        change(&mut more);
        *self = match more.rooms.as_slice() {
            _ if !more.joining.is_empty() || !more.leaving.is_empty() => {
                Self::More { generation, more }
            }
            [] => Self::Nowhere { generation },
            [membership] => Self::One {
                generation,
                membership: *membership,
            },
            _ => Self::More { generation, more },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rooms: u32) -> Entry {
        let mut entry = Entry::Nowhere { generation: 1 };
        (0..rooms).for_each(|room| {
            entry.add(Membership {
                room: RoomId(room),
                index: 0,
            });
        });
        entry
    }

    #[test]
    fn a_room_that_is_being_left_makes_room_for_another_at_once() {
        for rooms in [1, 2, 3] {
            let mut entry = entry(rooms);
            entry.begin_leave(RoomId(0));
            entry.begin_leave(RoomId(0));
            entry.begin_leave(RoomId(9));
            assert_eq!(
                entry.bound_for(),
                rooms as usize - 1,
                "said twice, it is one; of another room it is none"
            );
            assert_eq!(
                entry.memberships().len(),
                rooms as usize,
                "until the home has answered"
            );
            entry.remove(RoomId(0));
            assert_eq!(entry.bound_for(), rooms as usize - 1);
            assert_eq!(entry.memberships().len(), rooms as usize - 1);
        }
    }
}
