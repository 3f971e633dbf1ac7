//! What a home does with what is said: it is checked, numbered, kept where the room is durable, and then in the log.

use std::sync::Arc;

use crate::conn::{Door, Origin};
use crate::message::{Body, Draft, Effect, Expect, Lane, Message, Wish};
use crate::name::RoomName;
use crate::policy::{Durability, RoomPolicy};
use crate::refusal::Refusal;
use crate::room::{Asker, Pending, Role, Room, RoomId, Seen, Stage, Version, fingerprint};
use crate::sender::Sender;
use crate::store::{Append, KeptId, StoreRequest};

use super::{Answer, Batch, Output, Shard};

/// The event of a message that says that its key was deleted.
const DELETED: &str = "taut:deleted";
/// The event of a message that says that its key has come to its end.
const EXPIRED: &str = "taut:expired";
/// Keys that one look at a room lets expire; the rest follows at the next.
const EXPIRED_AT_ONCE: usize = 64;

impl Shard {
    /// Says something in a room. `None` where the answer comes when it is kept.
    pub(super) fn publish_home(
        &mut self,
        asker: Asker,
        name: &RoomName,
        batch: Batch,
        out: &mut Vec<Output>,
    ) -> Result<Option<Answer>, Refusal> {
        if batch.drafts.iter().any(|draft| draft.lane == Lane::Latest) {
            return Err(Refusal::NotOnLatest { what: "batch" });
        }
        if let Some(id) = &batch.id {
            self.check_label("id", id)?;
        }
        self.check_drafts(name, &batch.drafts)?;
        let id = self.home_room(name, out)?;
        let fingerprint = batch.id.is_some().then(|| fingerprint(&batch.drafts));
        if let (Some(key), Some(fingerprint)) = (&batch.id, fingerprint)
            && let Some(answer) = self.repeated(id, asker, &batch.drafts, key, fingerprint)?
        {
            return Ok(answer);
        }
        self.check_state(id, &batch.drafts)?;
        let messages = self.number(id, asker.origin, batch.drafts);
        let kept = self.remember(id, batch.id, fingerprint, &messages);
        Ok(self.accept(id, Some(asker), messages, kept, out))
    }

    pub(super) fn check_drafts(&self, name: &RoomName, drafts: &[Draft]) -> Result<(), Refusal> {
        let policy = match self.rooms.find(name).and_then(|id| self.rooms.at(id)) {
            Some(room) => Arc::clone(room.policy()),
            None => self.policies.for_room(name),
        };
        let max = u64::from(policy.message_bytes_max);
        for draft in drafts {
            for (label, value) in [("event", &draft.event), ("key", &draft.key)] {
                if let Some(value) = value {
                    self.check_label(label, value)?;
                }
            }
            self.check_label("name", draft.from.name())?;
            let bytes = draft.body.bytes().len() as u64;
            if bytes > max {
                return Err(Refusal::MessageTooLarge { bytes, max });
            }
            let wants_state = draft.expect.is_some() || draft.wish != Wish::Set { ttl_ms: None };
            if wants_state && policy.state.keys_max == 0 {
                return Err(Refusal::StateOff { room: name.clone() });
            }
        }
        Ok(())
    }

    /// The answer to what was said before under the same id. `Some(None)`: it is still on its way to the store, and the answer comes with it.
    fn repeated(
        &mut self,
        id: RoomId,
        asker: Asker,
        drafts: &[Draft],
        key: &Arc<str>,
        fingerprint: u64,
    ) -> Result<Option<Option<Answer>>, Refusal> {
        let (now_ms, window_ms) = (self.now.mono_ms, self.limits.id_window_ms);
        let Some(room) = self.rooms.at_mut(id) else {
            return Ok(None);
        };
        let head = room.log.head();
        let Role::Home(home) = &mut room.role else {
            return Ok(None);
        };
        let Some(from) = drafts.first().map(|draft| draft.from.owner()) else {
            return Ok(None);
        };
        home.ids.expire(now_ms, window_ms);
        match home.ids.look_up(&from, key, fingerprint) {
            Seen::Never => Ok(None),
            Seen::Other => Err(Refusal::IdConflict),
            Seen::Same(offset) if offset <= head => Ok(Some(Some(Answer::Published {
                at: room.position(offset),
                duplicate: true,
            }))),
            Seen::Same(offset) => {
                if let Some(durable) = &mut home.durable
                    && let Some(pending) = durable.holding(offset)
                {
                    pending.askers.push(asker);
                }
                Ok(Some(None))
            }
        }
    }

    /// Whether the keys are as the publisher takes for granted, and have space.
    fn check_state(&self, id: RoomId, drafts: &[Draft]) -> Result<(), Refusal> {
        let Some(room) = self.rooms.at(id) else {
            return Ok(());
        };
        let Role::Home(home) = &room.role else {
            return Ok(());
        };
        let bounds = room.policy().state;
        let mut plan = home.state.plan();
        for draft in drafts {
            let Some(key) = &draft.key else { continue };
            let version = plan.version(key);
            let expected = match draft.expect {
                None => draft.wish != Wish::Delete || version != Version::Absent,
                Some(Expect::Absent) => version == Version::Absent,
                Some(Expect::At(position)) => {
                    position.epoch == room.epoch && version == Version::At(position.offset)
                }
            };
            if !expected {
                return Err(Refusal::Unexpected {
                    key: Arc::clone(key),
                    at: match version {
                        Version::At(offset) => Some(room.position(offset)),
                        Version::Absent | Version::InBatch => None,
                    },
                });
            }
            match draft.wish {
                Wish::Delete => plan.delete(key),
                Wish::Set { .. } if bounds.keys_max == 0 => {}
                Wish::Set { .. } => {
                    if !plan.set(key, draft.cost_bytes(), bounds) {
                        return Err(Refusal::StateFull {
                            keys_max: bounds.keys_max,
                            bytes_max: bounds.bytes_max,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives drafts their numbers, behind everything that was accepted before.
    fn number(&mut self, id: RoomId, origin: Origin, drafts: Vec<Draft>) -> Vec<Arc<Message>> {
        // Only a member is left out of its own message: who speaks from outside may come in later and read it.
        let member = self.is_member(id, origin);
        let Some(room) = self.rooms.at(id) else {
            return Vec::new();
        };
        let (mut offset, mut end_bytes) = room.accepted_end();
        let policy = room.policy();
        drafts
            .into_iter()
            .map(|draft| {
                offset += 1;
                let mut message = Message {
                    offset,
                    effect: effect(&draft, policy, self.now.unix_ms),
                    origin: Some(origin),
                    is_members: member,
                    ..Message::of(draft, self.now)
                };
                if message.effect == Effect::Deleted && message.event.is_none() {
                    message.event = Some(Arc::from(DELETED));
                }
                end_bytes += message.cost_bytes();
                message.end_bytes = end_bytes;
                Arc::new(message)
            })
            .collect()
    }

    /// Whether a Conn, of whichever core, is in a room of which this is the home. Of a Conn of this core its own entry says so; the roster has been
    /// touched by nobody since it came.
    pub(super) fn is_member(&mut self, id: RoomId, origin: Origin) -> bool {
        if origin.core == self.core {
            let entry = self.conns.find(origin.conn);
            return entry.is_some_and(|entry| entry.place_in(id).is_some());
        }
        let room = self.rooms.at(id);
        room.is_some_and(
            |room| matches!(&room.role, Role::Home(home) if home.presence.holds(origin)),
        )
    }

    fn remember(
        &mut self,
        id: RoomId,
        key: Option<Arc<str>>,
        fingerprint: Option<u64>,
        messages: &[Arc<Message>],
    ) -> Option<KeptId> {
        let (id_given, fingerprint) = key.zip(fingerprint)?;
        let (now, ids_max) = (self.now, self.limits.ids_per_room_max);
        let last = messages.last()?;
        let kept = KeptId {
            from: last.from.owner(),
            id: id_given,
            offset: last.offset,
            fingerprint,
            time_ms: now.unix_ms,
        };
        if let Some(room) = self.rooms.at_mut(id)
            && let Role::Home(home) = &mut room.role
        {
            home.ids.remember(&kept, now.mono_ms, ids_max);
        }
        Some(kept)
    }

    /// Takes numbered messages: to the store where the room is durable, else straight into the log.
    fn accept(
        &mut self,
        id: RoomId,
        asker: Option<Asker>,
        messages: Vec<Arc<Message>>,
        kept: Option<KeptId>,
        out: &mut Vec<Output>,
    ) -> Option<Answer> {
        let room = self.rooms.at_mut(id)?;
        room.used = true;
        let at = room.position(messages.last()?.offset);
        let Role::Home(home) = &mut room.role else {
            return None;
        };
        for message in &messages {
            home.state.accept(message);
        }
        let Some(durable) = &mut home.durable else {
            self.append(id, &messages, out);
            return Some(Answer::Published {
                at,
                duplicate: false,
            });
        };
        let after = messages.first()?.offset - 1;
        let bytes: u64 = messages.iter().map(|message| message.cost_bytes()).sum();
        durable.pending_bytes += bytes;
        self.pending_bytes += bytes;
        durable.pending.push_back(Pending {
            messages: messages.clone(),
            askers: asker.into_iter().collect(),
            id: kept
                .as_ref()
                .map(|kept| (Arc::clone(&kept.from), Arc::clone(&kept.id))),
        });
        let attempt = durable.attempt;
        debug_assert_eq!(durable.stage, Stage::Open);
        let append = Append {
            room: room.name.clone(),
            epoch: room.epoch,
            after,
            messages,
            id: kept,
            sync: room.policy.durability == Durability::Power,
            history: room.policy.history,
        };
        out.push(Output::Store {
            request: StoreRequest::Append {
                id,
                attempt,
                append,
            },
        });
        None
    }

    /// Puts messages into the log, where readers find them.
    pub(super) fn append(&mut self, id: RoomId, messages: &[Arc<Message>], out: &mut Vec<Output>) {
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        for message in messages {
            if let Role::Home(home) = &mut room.role {
                home.state.commit(message);
            }
            room.log.append(Arc::clone(message));
            self.log_bytes += message.cost_bytes();
            self.heard_bytes = self.heard_bytes.wrapping_add(message.cost_bytes());
        }
        let heard = !room.members.is_empty() || room.relays_behind().next().is_some();
        if !heard {
            room.lowest = room.log.head();
        }
        self.trim(id);
        self.keep_budget(id);
        if heard {
            self.mark_dirty(id, out);
        }
    }

    /// Says of keys that have come to their end that they have.
    pub(super) fn expire_keys(&mut self, id: RoomId, out: &mut Vec<Output>) {
        let now_ms = self.now.unix_ms;
        let Some(room) = self.rooms.at(id) else {
            return;
        };
        let Role::Home(home) = &room.role else { return };
        if !home.is_open() {
            return;
        }
        for key in home.state.ended(now_ms, EXPIRED_AT_ONCE) {
            let Some(room) = self.rooms.at(id) else {
                return;
            };
            let (before, end_bytes) = room.accepted_end();
            let mut message = Message {
                offset: before + 1,
                time_ms: now_ms,
                event: Some(Arc::from(EXPIRED)),
                key: Some(key),
                id: None,
                from: Sender::named("taut"),
                door: Door("server"),
                body: Body::Text(bytes::Bytes::new()),
                effect: Effect::Expired,
                lane: Lane::Reliable,
                origin: None,
                is_members: false,
                born_ms: self.now.mono_ms,
                end_bytes: 0,
            };
            message.end_bytes = end_bytes + message.cost_bytes();
            self.accept(id, None, vec![Arc::new(message)], None, out);
        }
    }
}

fn effect(draft: &Draft, policy: &RoomPolicy, now_unix_ms: u64) -> Effect {
    if draft.key.is_none() || policy.state.keys_max == 0 {
        return Effect::None;
    }
    match draft.wish {
        Wish::Set { ttl_ms } => Effect::Set {
            expires_ms: ttl_ms.map(|ttl_ms| now_unix_ms.saturating_add(ttl_ms)),
        },
        Wish::Delete => Effect::Deleted,
    }
}

impl Room {
    /// The offset of the last message accepted, committed or not, and what all up to it cost.
    fn accepted_end(&self) -> (u64, u64) {
        let pending = match &self.role {
            Role::Home(home) => home.durable.as_ref().and_then(|durable| durable.last()),
            Role::Relay(_) => None,
        };
        match pending {
            Some(last) => (last.offset, last.end_bytes),
            None => (self.log.head(), self.log.end_bytes()),
        }
    }
}
