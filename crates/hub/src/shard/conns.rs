//! Which rooms each Conn is in: an array by slot, 16 bytes for whoever is in one room.

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
    /// Joins that the home has not answered.
    joining: Vec<RoomName>,
}

impl Conns {
    pub(crate) fn open(&mut self, conn: ConnId) {
        let slot = conn.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        self.slots[slot] = Some(Entry::Nowhere {
            generation: conn.generation,
        });
    }

    pub(crate) fn find(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.slots
            .get_mut(conn.slot as usize)?
            .as_mut()
            .filter(|entry| entry.generation() == conn.generation)
    }

    pub(crate) fn close(&mut self, conn: ConnId) -> Option<Entry> {
        self.find(conn)?;
        self.slots.get_mut(conn.slot as usize)?.take()
    }

    pub(crate) fn memberships(&self, conn: ConnId) -> &[Membership] {
        match self.slots.get(conn.slot as usize) {
            Some(Some(entry)) if entry.generation() == conn.generation => entry.memberships(),
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
    pub(crate) fn joining(&self) -> &[RoomName] {
        match self {
            Self::More { more, .. } => &more.joining,
            _ => &[],
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
        self.change(|more| more.joining.push(room));
    }

    /// A join was answered.
    pub(crate) fn settle_join(&mut self, room: &RoomName) {
        self.change(|more| {
            if let Some(at) = more.joining.iter().position(|joining| joining == room) {
                more.joining.swap_remove(at);
            }
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
                joining: Vec::new(),
            }),
            Self::More { more, .. } => more,
        };
        change(&mut more);
        *self = match more.rooms.as_slice() {
            _ if !more.joining.is_empty() => Self::More { generation, more },
            [] => Self::Nowhere { generation },
            [membership] => Self::One {
                generation,
                membership: *membership,
            },
            _ => Self::More { generation, more },
        };
    }
}
