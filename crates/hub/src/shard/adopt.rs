//! Other policies and bounds, for a shard that is at work.
//!
//! New rooms have them at once. Those that are here already adopt theirs over the next ticks, a bounded number at a time, so that a hundred thousand rooms do not
//! hold up a turn. What a room was made as stays: whether it is kept in the store is decided when it is made, and a change of that waits until it
//! is made again.

use std::sync::Arc;

use crate::limits::Limits;
use crate::policy::{Durability, Policies};
use crate::room::{Role, RoomId};

use super::{Output, Shard};

impl Shard {
    /// Goes by these from now on.
    pub(super) fn follow(
        &mut self,
        policies: Arc<Policies>,
        limits: Limits,
        out: &mut Vec<Output>,
    ) {
        self.policies = policies;
        self.limits = limits;
        self.adopting = Some(0);
        self.adopt_some(out);
    }

    /// The next rooms adopt their policies, if some have not.
    pub(super) fn adopt_some(&mut self, out: &mut Vec<Output>) {
        let Some(first) = self.adopting.take() else {
            return;
        };
        let count = self.rooms.places();
        let end = first
            .saturating_add(self.limits.tick_rooms_max.max(1))
            .min(count);
        for slot in first..end {
            self.adopt(RoomId(slot), out);
        }
        self.adopting = (end < count).then_some(end);
    }

    fn adopt(&mut self, id: RoomId, out: &mut Vec<Output>) {
        let has_store = self.has_store;
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let mut policy = self.policies.for_room(&room.name);
        if let Role::Home(home) = &room.role {
            let keeps = has_store && policy.durability != Durability::Memory;
            if keeps != home.durable.is_some() {
                Arc::make_mut(&mut policy).durability = room.policy.durability;
            }
        }
        if policy == room.policy {
            return;
        }
        room.policy = policy;
        // History that became smaller goes now, and what became older sooner has an earlier alarm.
        self.trim(id);
        self.announce(id, out);
        self.set_alarm(id);
        self.remove_if_empty(id);
    }
}
