//! The rooms of a shard, by number and by name; making room for new ones.

use std::cell::Cell;
use std::collections::HashMap;

use crate::keyed::Keyed;
use crate::name::RoomName;
use crate::position::Position;
use crate::refusal::Refusal;
use crate::room::{Durable, Home, Latest, Relay, Role, Room, RoomId};

use super::{Output, Shard};

/// How many rooms are looked at to find one that may go.
const EVICTION_LOOKS: u32 = 64;

/// A slab with names.
#[derive(Debug)]
pub(crate) struct Rooms {
    slots: Vec<Option<Box<Room>>>,
    free: Vec<RoomId>,
    names: HashMap<RoomName, RoomId, Keyed>,
    /// The room found last. One request asks for its room several times, mostly by the room's own name.
    recent: Cell<RoomId>,
    /// How many of them are homes.
    homes: u32,
    /// Where the eviction's hand stands.
    hand: u32,
}

impl Rooms {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            names: HashMap::with_hasher(keyed),
            recent: Cell::new(RoomId(0)),
            homes: 0,
            hand: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// How many of them are homes.
    pub(crate) fn homes(&self) -> u32 {
        self.homes
    }

    /// One more than the highest place that a room has had.
    pub(crate) fn places(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn find(&self, name: &RoomName) -> Option<RoomId> {
        let recent = self.recent.get();
        if self
            .at(recent)
            .is_some_and(|room| room.name().is_shared_with(name))
        {
            return Some(recent);
        }
        let found = self.names.get(name).copied()?;
        self.recent.set(found);
        Some(found)
    }

    pub(crate) fn at(&self, room: RoomId) -> Option<&Room> {
        self.slots.get(room.0 as usize)?.as_deref()
    }

    pub(crate) fn at_mut(&mut self, room: RoomId) -> Option<&mut Room> {
        self.slots.get_mut(room.0 as usize)?.as_deref_mut()
    }

    fn insert(&mut self, room: Room) -> RoomId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            RoomId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.names.insert(room.name().clone(), id);
        self.homes += u32::from(matches!(room.role, Role::Home(_)));
        self.slots[id.0 as usize] = Some(Box::new(room));
        id
    }

    fn remove(&mut self, id: RoomId) -> Option<Box<Room>> {
        let room = self.slots.get_mut(id.0 as usize)?.take()?;
        self.names.remove(room.name());
        self.homes -= u32::from(matches!(room.role, Role::Home(_)));
        self.free.push(id);
        Some(room)
    }

    /// The next room under the eviction's hand.
    pub(crate) fn turn_hand(&mut self) -> Option<RoomId> {
        let count = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return None;
        }
        self.hand = (self.hand + 1) % count;
        let id = RoomId(self.hand);
        self.at(id).is_some().then_some(id)
    }
}

impl Shard {
    /// The home of `name`, made if need be.
    pub(super) fn home_room(
        &mut self,
        name: &RoomName,
        out: &mut Vec<Output>,
    ) -> Result<RoomId, Refusal> {
        if let Some(id) = self.rooms.find(name) {
            return Ok(id);
        }
        self.make_space()?;
        let policy = self.policies.for_room(name);
        let durable = self.keeps(policy.durability).then(Durable::opening);
        let opens = durable.is_some();
        let at = Position {
            epoch: self.epoch,
            // The store remembers where its rooms stand.
            offset: if opens { 0 } else { self.floor },
        };
        let role = Role::Home(Box::new(Home::new(self.keyed, durable)));
        let id = self.rooms.insert(Room::new(name.clone(), policy, at, role));
        if opens {
            self.open_in_store(id, name, out);
        }
        Ok(id)
    }

    /// Counts a join of a room whose home is elsewhere, and makes its relay if need be. The home bounds how many there are: where it
    /// refuses the room, the relay goes again.
    pub(super) fn begin_relay(&mut self, name: &RoomName) {
        let id = match self.rooms.find(name) {
            Some(id) => id,
            None => {
                let policy = self.policies.for_room(name);
                let role = Role::Relay(Relay::default());
                let at = Position::UNKNOWN;
                self.rooms.insert(Room::new(name.clone(), policy, at, role))
            }
        };
        if let Some(room) = self.rooms.at_mut(id)
            && let Role::Relay(relay) = &mut room.role
        {
            relay.joining += 1;
        }
    }

    /// Lets a memberless room go when there are as many as there may be.
    fn make_space(&mut self) -> Result<(), Refusal> {
        let max = self.limits.rooms_max;
        if self.rooms.homes < max {
            return Ok(());
        }
        for _ in 0..EVICTION_LOOKS.max(2 * max.min(EVICTION_LOOKS)) {
            let Some(id) = self.rooms.turn_hand() else {
                continue;
            };
            let Some(room) = self.rooms.at_mut(id) else {
                continue;
            };
            let idle = match &room.role {
                Role::Home(home) => {
                    home.presence.is_deserted() && home.relays.is_empty() && home.is_settled()
                }
                Role::Relay(_) => false,
            };
            if idle && !std::mem::take(&mut room.used) && !self.is_read(id) {
                self.remove_room(id);
                return Ok(());
            }
        }
        Err(Refusal::TooManyRooms { max })
    }

    /// Removes a room that holds nothing.
    pub(super) fn remove_if_empty(&mut self, id: RoomId) {
        let Some(room) = self.rooms.at(id) else {
            return;
        };
        let empty = room.members.is_empty()
            && match &room.role {
                Role::Home(home) => {
                    home.presence.is_empty()
                        && home.relays.is_empty()
                        && home.ids.oldest_ms().is_none()
                        && room.log.is_empty()
                        && home.is_settled()
                        && (home.durable.is_some() || home.state.is_empty())
                }
                Role::Relay(relay) => relay.joining == 0,
            };
        if empty && !self.is_read(id) {
            self.remove_room(id);
        }
    }

    fn remove_room(&mut self, id: RoomId) {
        let Some(room) = self.rooms.remove(id) else {
            return;
        };
        self.log_bytes -= room.log.cost_bytes();
        self.latest_bytes -= room.latest().map_or(0, Latest::cost_bytes);
        self.blocks.forget(id);
        if let Some(at) = room.alarm_ms {
            self.alarms.remove(&(at, id));
        }
        if let Role::Home(home) = &room.role {
            self.floor = self.floor.max(room.log.head());
            self.ghosts -= home.ghosts_counted;
        }
    }
}
