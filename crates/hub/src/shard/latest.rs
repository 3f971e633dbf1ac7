//! The lane `latest`: what is said on it takes no number, is kept nowhere, and of each key only the newest matters.
//!
//! It goes from its room's home to the members there and to every relay, and from a relay to its own members, each step with a cursor of its
//! own on what is pending ([`Latest`]). Whoever cannot take anything now gets only the newest per key when it can.

use std::sync::Arc;

use crate::message::{Draft, Lane, Message, Wish};
use crate::name::RoomName;
use crate::refusal::Refusal;
use crate::room::{Asker, Latest, Role, Room, RoomId};

use super::{Answer, LinkMessage, Output, Shard};

impl Shard {
    /// Says something on the lane. It is said whoever hears it: a room without members needs not even be there.
    pub(super) fn publish_latest(
        &mut self,
        asker: Asker,
        name: &RoomName,
        draft: Draft,
        out: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        check_keeps_nothing(&draft)?;
        self.check_drafts(name, std::slice::from_ref(&draft))?;
        if let Some(id) = self.rooms.find(name)
            && let Some(room) = self.rooms.at_mut(id)
            && matches!(room.role, Role::Home(_))
        {
            room.used = true;
            let is_member = self.is_member(id, asker.origin);
            let message = Message {
                lane: Lane::Latest,
                offset: 0,
                origin: Some(asker.origin),
                is_members: is_member,
                ..Message::of(draft, self.now)
            };
            self.say_latest(id, Arc::new(message), out);
        }
        Ok(Answer::Said)
    }

    /// A message of the lane from the room's home.
    pub(super) fn relay_latest(
        &mut self,
        name: &RoomName,
        message: Arc<Message>,
        out: &mut Vec<Output>,
    ) {
        if let Some(id) = self.rooms.find(name)
            && let Some(room) = self.rooms.at(id)
            && matches!(&room.role, Role::Relay(relay) if relay.attached)
        {
            self.say_latest(id, message, out);
            self.set_alarm(id);
        }
    }

    fn say_latest(&mut self, id: RoomId, message: Arc<Message>, out: &mut Vec<Output>) {
        let (keyed, limits) = (self.keyed, self.limits);
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        if room.members.is_empty() && room.relays().is_empty() {
            return;
        }
        room.make_numbers();
        let latest = room
            .latest
            .get_or_insert_with(|| Box::new(Latest::new(keyed)));
        self.latest_bytes -= latest.cost_bytes();
        latest.say(message, limits.latest_keys_max, limits.latest_bytes_max);
        self.latest_bytes += latest.cost_bytes();
        self.mark_dirty(id, out);
    }

    /// The next message of the lane that the member at `index` has not had; its cursor moves behind it. Its own are left out, unless the room
    /// echoes.
    pub fn next_latest(
        &mut self,
        id: RoomId,
        index: u32,
        out: &mut Vec<Output>,
    ) -> Option<Arc<Message>> {
        let core = self.core;
        let room = self.rooms.at_mut(id)?;
        let latest = room.latest.as_ref()?;
        let member = room.members.get_mut(index as usize)?;
        if member.latest >= latest.newest() {
            return None;
        }
        let echoes = room.policy.echo;
        let found = latest.after(member.latest).find(|(_, message)| {
            let is_own = |origin: crate::Origin| origin.core == core && origin.conn == member.conn;
            echoes || !message.left_out().is_some_and(is_own)
        });
        member.latest = found.map_or(latest.newest(), |(number, _)| number);
        let message = found.map(|(_, message)| Arc::clone(message));
        if member.latest == latest.newest() {
            // It may have been the last one that all this was held for.
            self.mark_dirty(id, out);
        }
        message
    }

    /// What a relay core is still owed of the lane. The server asks while the link has space; while it has none, newer messages take the place
    /// of older ones.
    pub fn next_latest_for_relay(
        &mut self,
        id: RoomId,
        core: u16,
        out: &mut Vec<Output>,
    ) -> Option<LinkMessage> {
        let room = self.rooms.at_mut(id)?;
        let name = room.name.clone();
        let latest = room.latest.as_ref()?;
        let Role::Home(home) = &mut room.role else {
            return None;
        };
        let relay = home.relays.iter_mut().find(|relay| relay.core == core)?;
        if relay.latest >= latest.newest() {
            return None;
        }
        let next = latest.after(relay.latest).next();
        relay.latest = next.map_or(latest.newest(), |(number, _)| number);
        let message = next.map(|(_, message)| Arc::clone(message));
        if relay.latest == latest.newest() {
            self.mark_dirty(id, out);
        }
        message.map(|message| LinkMessage::Latest {
            room: name,
            message,
        })
    }

    /// Everybody who could be written has been: forgets what nobody needs any more, and where all rooms together hold too much, the rest too.
    pub(super) fn settle_latest(&mut self, id: RoomId) {
        let is_over = self.latest_bytes > self.limits.latest_bytes_all_max;
        let Some(room) = self.rooms.at_mut(id) else {
            return;
        };
        let Some(latest) = room.latest.as_ref().filter(|latest| !latest.is_empty()) else {
            return;
        };
        let newest = latest.newest();
        let had = if is_over {
            newest
        } else {
            room.latest_cursors().min().unwrap_or(newest)
        };
        if let Some(latest) = &mut room.latest {
            self.latest_bytes -= latest.cost_bytes();
            latest.forget(had);
            self.latest_bytes += latest.cost_bytes();
        }
    }

    /// Forgets all that is pending in a room which has nobody to hear it.
    pub(super) fn clear_latest(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.at_mut(id)
            && let Some(latest) = room.latest.take()
        {
            self.latest_bytes -= latest.cost_bytes();
        }
    }

    /// What is pending on the lanes of all rooms, in bytes.
    #[must_use]
    pub fn latest_bytes(&self) -> u64 {
        self.latest_bytes
    }
}

/// What is kept nowhere can be neither expected, repeated nor taken back.
fn check_keeps_nothing(draft: &Draft) -> Result<(), Refusal> {
    let field = match draft.wish {
        _ if draft.id.is_some() => "id",
        _ if draft.expect.is_some() => "expect",
        Wish::Set { ttl_ms: Some(_) } => "ttl_ms",
        Wish::Delete => "delete",
        Wish::Set { ttl_ms: None } => return Ok(()),
    };
    Err(Refusal::NotOnLatest { what: field })
}

impl Room {
    /// The lane `latest`, once something was said on it.
    #[must_use]
    pub fn latest(&self) -> Option<&Latest> {
        self.latest.as_deref()
    }

    /// The number of the newest message on the lane; 0 before the first. A member whose cursor is there has had all of it.
    #[must_use]
    pub fn latest_newest(&self) -> u32 {
        self.latest.as_ref().map_or(0, |latest| latest.newest())
    }

    /// The lane's messages up to this number have gone to the member's socket, or were its own.
    pub fn sent_latest(&mut self, index: u32, number: u32) {
        if let Some(member) = self.members.get_mut(index as usize) {
            member.latest = member.latest.max(number);
        }
    }

    fn latest_cursors(&self) -> impl Iterator<Item = u32> + '_ {
        let members = self.members.iter().map(|member| member.latest);
        members.chain(self.relays().iter().map(|relay| relay.latest))
    }

    /// Makes sure that there is a number for one more message.
    fn make_numbers(&mut self) {
        let Some(latest) = &mut self.latest else {
            return;
        };
        if latest.newest() < u32::MAX {
            return;
        }
        let old = latest.renumber();
        let renumbered = |cursor: &mut u32| {
            let had = old.partition_point(|number| number <= cursor);
            *cursor = u32::try_from(had).unwrap_or(0);
        };
        for member in &mut self.members {
            renumbered(&mut member.latest);
        }
        if let Role::Home(home) = &mut self.role {
            for relay in &mut home.relays {
                renumbered(&mut relay.latest);
            }
        }
    }
}
