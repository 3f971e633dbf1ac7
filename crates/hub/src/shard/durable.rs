//! What the store says, and what a home makes of it: rooms that open, messages that are kept, questions that waited.

use std::sync::Arc;

use crate::message::Message;
use crate::name::RoomName;
use crate::policy::Durability;
use crate::refusal::Refusal;
use crate::room::{Durable, Home, Parked, Role, RoomId, Stage};
use crate::store::{Kept, StoreAnswer, StoreError, StoreRequest, Tail};

use super::{Answer, Output, Shard};

impl Home {
    /// Whether what is said here can be taken now.
    pub(super) fn is_open(&self) -> bool {
        self.durable
            .as_ref()
            .is_none_or(|durable| durable.stage == Stage::Open)
    }

    /// Whether nothing of it is on its way to or from the store.
    pub(super) fn is_settled(&self) -> bool {
        self.durable
            .as_ref()
            .is_none_or(|durable| durable.is_idle())
    }
}

impl Shard {
    /// Whether the rooms of that policy are kept.
    pub(super) fn keeps(&self, durability: Durability) -> bool {
        self.has_store && durability != Durability::Memory
    }

    /// Bytes of messages that are on their way to the store.
    #[must_use]
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// Whether requests should stay unread until the store has caught up.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        self.pending_bytes > self.limits.pending_bytes_max
    }

    /// Asks the store what it has of a room.
    pub(super) fn open_in_store(&self, id: RoomId, name: &RoomName, out: &mut Vec<Output>) {
        out.push(Output::Store {
            request: StoreRequest::Open {
                id,
                room: name.clone(),
                tail: Tail {
                    messages_max: self.limits.tail_messages_max,
                    bytes_max: self.limits.tail_bytes_max,
                    ids_max: self.limits.ids_per_room_max,
                    ids_since_ms: self.now.unix_ms.saturating_sub(self.limits.id_window_ms),
                },
            },
        });
    }

    /// A room that the store could not open is tried again: with the next publish, and by itself.
    pub(super) fn try_broken(&mut self, id: RoomId, out: &mut Vec<Output>) {
        if let Some(durable) = self.durable(id)
            && matches!(durable.stage, Stage::Broken(_))
        {
            self.reopen(id, out);
        }
    }

    pub(super) fn reopen(&mut self, id: RoomId, out: &mut Vec<Output>) {
        if let Some(durable) = self.durable(id) {
            durable.stage = Stage::Reopening;
        }
        if let Some(name) = self.rooms.at(id).map(|room| room.name().clone()) {
            self.open_in_store(id, &name, out);
        }
    }

    /// The store has said something.
    pub(super) fn stored(&mut self, answer: StoreAnswer, out: &mut Vec<Output>) {
        match answer {
            StoreAnswer::Opened { id, room, result } => {
                if self.is_room(id, &room) {
                    self.opened(id, &room, result, out);
                    self.after_home(&room, out);
                }
            }
            StoreAnswer::Appended {
                id,
                attempt,
                up_to,
                result,
            } => self.appended(id, attempt, up_to, result, out),
            StoreAnswer::Read {
                id,
                room,
                after,
                result,
            } => {
                if self.is_room(id, &room) {
                    self.block_read(id, after, result, out);
                }
            }
            StoreAnswer::Sought {
                id,
                room,
                time_ms,
                result,
            } => {
                if self.is_room(id, &room) {
                    self.sought(id, time_ms, result, out);
                }
            }
            StoreAnswer::Listed { .. } => {}
            StoreAnswer::Forgotten { room, first } => {
                if let Some(id) = self.rooms.find(&room)
                    && let Some(durable) = self.durable(id)
                {
                    durable.first = durable.first.max(first);
                }
            }
        }
    }

    fn opened(
        &mut self,
        id: RoomId,
        name: &RoomName,
        result: Result<Option<Kept>, StoreError>,
        out: &mut Vec<Output>,
    ) {
        let Some(durable) = self.durable(id) else {
            return;
        };
        let parked = std::mem::take(&mut durable.parked);
        let first_time = durable.stage == Stage::Opening;
        self.unpark(&parked);
        let told = match result {
            Ok(kept) if first_time => self.restore(id, kept),
            Ok(kept) => self.go_on(id, kept, out),
            Err(error) => Err(error.to_string()),
        };
        if let Some(durable) = self.durable(id) {
            durable.stage = match &told {
                Ok(()) => Stage::Open,
                Err(reason) => Stage::Broken(Arc::from(reason.as_str())),
            };
        }
        if told.is_err() {
            self.try_later(id);
        }
        for Parked { asker, ask } in parked {
            match &told {
                Ok(()) => self.answer_again(asker, name, ask, out),
                Err(reason) => self.refuse_parked(asker, name, ask, reason, out),
            }
        }
        if told.is_err() && first_time {
            // Nothing is known of it: whoever comes next asks anew.
            self.remove_if_empty(id);
        }
    }

    /// Begins a room with what is kept of it.
    fn restore(&mut self, id: RoomId, kept: Option<Kept>) -> Result<(), String> {
        let (now, ids_max) = (self.now, self.limits.ids_per_room_max);
        let Some(room) = self.rooms.at_mut(id) else {
            return Ok(());
        };
        let Some(kept) = kept else {
            let first = room.log.first();
            if let Some(durable) = self.durable(id) {
                durable.first = first;
            }
            return Ok(());
        };
        room.epoch = kept.epoch;
        self.log_bytes -= room.log.restore(kept.head, kept.end_bytes, &kept.tail);
        self.log_bytes += room.log.cost_bytes();
        room.lowest = kept.head;
        let Role::Home(home) = &mut room.role else {
            return Ok(());
        };
        home.state.restore(&kept.state);
        for id in &kept.ids {
            let age_ms = now.unix_ms.saturating_sub(id.time_ms);
            home.ids
                .remember(id, now.mono_ms.saturating_sub(age_ms), ids_max);
        }
        if let Some(durable) = &mut home.durable {
            durable.first = kept.first;
        }
        self.trim(id);
        Ok(())
    }

    /// After a failure: the store says how far the room came. What it kept although it said otherwise is delivered now; nobody was told that it is there.
    fn go_on(
        &mut self,
        id: RoomId,
        kept: Option<Kept>,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let (now, ids_max) = (self.now, self.limits.ids_per_room_max);
        let Some(room) = self.rooms.at_mut(id) else {
            return Ok(());
        };
        let head = room.log.head();
        let Some(kept) = kept else {
            // Nothing of it was ever kept, so nothing was acknowledged either; unless somebody took the file away.
            return match room.log.is_empty() {
                true => Ok(()),
                false => Err("what was kept of this room is gone; restart the server".to_owned()),
            };
        };
        if kept.epoch != room.epoch || kept.head < head {
            return Err(format!(
                "the disk has lost messages of this room: it stands at {}, and {head} were acknowledged; restart the server, so that readers are told",
                kept.head
            ));
        }
        let missed: Vec<Arc<Message>> = kept
            .tail
            .iter()
            .filter(|message| message.offset > head)
            .cloned()
            .collect();
        if (missed.len() as u64) < kept.head - head {
            return Err(
                "the room has messages that cannot be read back; restart the server".into(),
            );
        }
        let Role::Home(home) = &mut room.role else {
            return Ok(());
        };
        for id in kept.ids.iter().filter(|id| id.offset > head) {
            home.ids.remember(id, now.mono_ms, ids_max);
        }
        for message in &missed {
            home.state.accept(message);
        }
        self.append(id, &missed, out);
        Ok(())
    }

    /// The store has kept messages, or could not.
    fn appended(
        &mut self,
        id: RoomId,
        attempt: u32,
        up_to: u64,
        result: Result<(), StoreError>,
        out: &mut Vec<Output>,
    ) {
        let Some(name) = self.rooms.at(id).map(|room| room.name().clone()) else {
            return;
        };
        if self
            .durable(id)
            .is_none_or(|durable| durable.attempt != attempt)
        {
            return;
        }
        match result {
            Ok(()) => {
                while self.is_kept(id, up_to) {
                    self.keep_next(id, &name, out);
                }
            }
            Err(error) => self.give_up(id, &name, &error, out),
        }
        self.after_home(&name, out);
    }

    /// Whether the oldest append under way ends at or before `up_to`.
    fn is_kept(&mut self, id: RoomId, up_to: u64) -> bool {
        self.durable(id)
            .and_then(|durable| durable.pending.front())
            .and_then(|pending| pending.messages.last())
            .is_some_and(|last| last.offset <= up_to)
    }

    /// The oldest append under way is kept: it is said, and answered.
    fn keep_next(&mut self, id: RoomId, name: &RoomName, out: &mut Vec<Output>) {
        let Some(durable) = self.durable(id) else {
            return;
        };
        let Some(pending) = durable.pending.pop_front() else {
            return;
        };
        let bytes: u64 = pending.messages.iter().map(|m| m.cost_bytes()).sum();
        durable.pending_bytes -= bytes;
        self.pending_bytes -= bytes;
        self.append(id, &pending.messages, out);
        let (Some(last), Some(room)) = (pending.messages.last(), self.rooms.at(id)) else {
            return;
        };
        let at = room.position(last.offset);
        for (index, asker) in pending.askers.iter().enumerate() {
            let answer = Answer::Published {
                at,
                duplicate: index > 0,
            };
            self.reply(*asker, name, answer, out);
        }
    }

    /// A commit failed: everything of the room that is under way is refused, and the store is asked how far it came.
    fn give_up(&mut self, id: RoomId, name: &RoomName, error: &StoreError, out: &mut Vec<Output>) {
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Role::Home(home) = &mut room.role else {
            return;
        };
        let Some(durable) = &mut home.durable else {
            return;
        };
        durable.attempt = durable.attempt.wrapping_add(1);
        let given_up = std::mem::take(&mut durable.pending);
        let bytes = std::mem::take(&mut durable.pending_bytes);
        home.state.give_up();
        for (from, key) in given_up.iter().filter_map(|pending| pending.id.as_ref()) {
            home.ids.forget(from, key);
        }
        self.pending_bytes -= bytes;
        self.reopen(id, out);
        let reason = error.to_string();
        for asker in given_up.iter().flat_map(|pending| &pending.askers) {
            let answer = Answer::Refused {
                refusal: unavailable(&reason),
                join: false,
            };
            self.reply(*asker, name, answer, out);
        }
    }

    pub(super) fn durable(&mut self, id: RoomId) -> Option<&mut Durable> {
        match &mut self.rooms.at_mut(id)?.role {
            Role::Home(home) => home.durable.as_deref_mut(),
            Role::Relay(_) => None,
        }
    }

    fn is_room(&self, id: RoomId, name: &RoomName) -> bool {
        self.rooms.find(name) == Some(id)
    }
}

pub(super) fn unavailable(reason: &str) -> Refusal {
    Refusal::Unavailable {
        reason: Arc::from(reason),
    }
}
