//! What the Shards say: to readers, to the disk, to other Shards.

use std::collections::btree_map::Entry;

use taut_hub::{LinkMessage, Output, Position, RoomName};

use super::World;
use crate::check::{Broken, View};
use crate::reader::Asked;

impl World {
    pub(crate) fn settle(&mut self, core: u16, output: Output) -> Result<(), Broken> {
        match output {
            Output::Deliver { room } => {
                self.dirty[usize::from(core)].insert(room);
            }
            Output::Link { to, message } => self.send(core, to, message),
            Output::Presence { room, change } => {
                for (conn, name) in self.watchers(core, room) {
                    if let Some(view) = self.view(core, conn, &name) {
                        view.presence(&change);
                    }
                }
            }
            Output::Close { conn, .. } => self.disconnect(core, conn)?,
            Output::Gap {
                conn,
                room,
                after,
                at,
            } => self.gap(core, conn, room, after, at)?,
            Output::Joined {
                conn,
                ticket,
                room: _,
                name,
                at,
                after,
                recovery,
                roster,
                state,
            } => {
                let reader = self.alive(core, conn)?;
                let Some(Asked::Join(asked, start, watch)) = reader.asked.remove(&ticket) else {
                    return Err(Broken("an answer to a join that nobody asked for".into()));
                };
                if asked != name.as_str() {
                    return Err(Broken(format!("asked for {asked}, got into {name}")));
                }
                // Joining again changes nothing in what one hears.
                if let Entry::Vacant(place) = reader.views.entry(asked) {
                    let mut view =
                        View::joined(start, at, after, recovery, roster.as_ref(), watch)?;
                    view.holds(state.as_deref());
                    place.insert(view);
                }
            }
            Output::Left { conn, ticket, room } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                reader.views.remove(room.as_str());
            }
            Output::Expelled { conn, room } => {
                self.report.expulsions += 1;
                let views = &mut self.alive(core, conn)?.views;
                if views.remove(room.as_str()).is_none() {
                    return Err(Broken(format!("expelled from {room} without being there")));
                }
            }
            Output::Published {
                conn,
                ticket,
                at,
                duplicate,
            } => {
                let reader = self.alive(core, conn)?;
                let Some(Asked::Publish(room, bodies)) = reader.asked.remove(&ticket) else {
                    return Err(Broken("an acknowledgement that nobody waits for".into()));
                };
                self.report.publishes += u64::from(!duplicate);
                let room = RoomName::parse(&room).map_err(|error| Broken(error.to_string()))?;
                let first = at.offset + 1 - bodies.len() as u64;
                for (offset, body) in (first..).zip(&bodies) {
                    self.truth.record(&room, Position { offset, ..at }, body)?;
                }
                self.truth.acknowledged(&room, at);
            }
            Output::Said { conn, ticket } => {
                let reader = self.alive(core, conn)?;
                if !matches!(reader.asked.remove(&ticket), Some(Asked::Say)) {
                    return Err(Broken("said is what nobody asked to say".into()));
                }
            }
            Output::History { conn, ticket, page } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                for message in &page.messages {
                    let at = Position {
                        epoch: page.at.epoch,
                        offset: message.offset,
                    };
                    self.truth.record(&page.room, at, message.body.bytes())?;
                }
            }
            Output::State {
                conn,
                ticket,
                state,
            } => {
                let reader = self.alive(core, conn)?;
                reader.asked.remove(&ticket);
                if let Some(view) = reader.views.get(state.room.as_str()) {
                    view.agrees(&state)
                        .map_err(|broken| Broken(format!("in {}: {broken}", state.room)))?;
                }
            }
            Output::Store { request } => {
                let store_ms_max = self.weather.store_ms_max.unwrap_or(1);
                let at_ms = self.now_ms + self.random.below(store_ms_max);
                self.disk.ask(core, request, at_ms);
            }
            Output::Who {
                conn,
                ticket,
                room,
                roster,
            } => {
                let reader = self.alive(core, conn)?;
                let at_rest = matches!(reader.asked.remove(&ticket), Some(Asked::Check));
                if let Some(view) = reader.views.get(room.as_str()).filter(|_| at_rest) {
                    view.agrees_who(&roster)
                        .map_err(|broken| Broken(format!("in {room}: {broken}")))?;
                }
            }
            Output::Refused { conn, ticket, .. } => {
                self.report.refusals += 1;
                self.alive(core, conn)?.asked.remove(&ticket);
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, from: u16, to: u16, message: LinkMessage) {
        let arrives = self.now_ms + self.random.below(self.weather.delay_ms_max);
        let link = self.links.entry((from, to)).or_default();
        // In order: nothing overtakes what was sent before.
        let arrives = link.back().map_or(arrives, |(last, _)| arrives.max(*last));
        link.push_back((arrives, message));
    }
}
