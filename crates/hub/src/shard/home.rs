//! What a home does with a question, whichever core it comes from.

use std::sync::Arc;

use crate::conn::Origin;
use crate::message::{Draft, Effect, Message};
use crate::name::RoomName;
use crate::position::Position;
use crate::refusal::Refusal;
use crate::room::{Home, Present, Role, Room, RoomId, Roster, Seen};

use super::{Answer, Ask, Farewell, LinkMessage, Output, Page, Recovery, Shard, Start};

impl Shard {
    /// Answers a question; `None` where nobody waits for one.
    pub(super) fn at_home(
        &mut self,
        origin: Origin,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Option<Answer> {
        let join = matches!(ask, Ask::Join { .. });
        if name.is_reserved() {
            let refusal = Refusal::ReservedName { room: name.clone() };
            return Some(Answer::Refused { refusal, join });
        }
        let answer = match ask {
            Ask::Join {
                name: display,
                door,
                start,
                presence,
            } => {
                let present = Present {
                    name: display,
                    door,
                    origin,
                };
                self.join_home(name, present, start, presence)
            }
            Ask::Leave { farewell, ended } => {
                return self.leave_home(origin, name, farewell, ended);
            }
            Ask::Publish { draft } => self.publish_home(origin, name, &draft, out),
            Ask::Read { start, limit } => Ok(self.read_home(name, start, limit)),
            Ask::Who => self.who_home(name),
            Ask::Rename { name: display } if self.check_label("name", &display).is_err() => {
                return None;
            }
            Ask::Rename { name: display } => {
                let listed_max = self.limits.presence_listed_max;
                if let Some((_, home)) = self.home_by_name(name) {
                    home.presence.rename(origin, &display, listed_max);
                }
                return None;
            }
            Ask::Pull { after } => Ok(self.pull_home(name, after)),
        };
        Some(answer.unwrap_or_else(|refusal| Answer::Refused { refusal, join }))
    }

    /// What every question leaves to do: presence to announce, a room that is empty now, an alarm to set.
    pub(super) fn after_home(&mut self, name: &RoomName, out: &mut Vec<Output>) {
        if let Some(id) = self.rooms.find(name) {
            self.announce(id, out);
            self.set_alarm(id);
            self.remove_if_empty(id);
        }
    }

    fn home_by_name(&mut self, name: &RoomName) -> Option<(RoomId, &mut Home)> {
        let id = self.rooms.find(name)?;
        match &mut self.rooms.at_mut(id)?.role {
            Role::Home(home) => Some((id, home)),
            Role::Relay(_) => None,
        }
    }

    fn join_home(
        &mut self,
        name: &RoomName,
        present: Present,
        start: Start,
        presence: bool,
    ) -> Result<Answer, Refusal> {
        self.check_label("name", &present.name)?;
        let id = self.home_room(name)?;
        let (own, listed_max, roster_max) = (
            self.core,
            self.limits.presence_listed_max,
            self.limits.roster_listed_max,
        );
        self.trim(id);
        let Some(room) = self.rooms.at_mut(id) else {
            return Err(Refusal::TooManyRooms { max: 0 });
        };
        if presence && !room.policy().presence {
            return Err(Refusal::PresenceOff { room: name.clone() });
        }
        room.used = true;
        let (after, recovery) = begin(room, start);
        let head = room.log.head();
        let at = room.position(head);
        room.lowest = room.lowest.min(after);
        let Role::Home(home) = &mut room.role else {
            return Err(Refusal::TooManyRooms { max: 0 });
        };
        let core = present.origin.core;
        let watched = home.presence.come(present, presence, listed_max);
        if core != own {
            let relay = match watched {
                None => Some(home.attach(core, head)),
                Some(_) => home.relays.iter_mut().find(|relay| relay.core == core),
            };
            if let Some(relay) = relay {
                relay.watchers += u32::from(presence);
                relay.watchers -= u32::from(watched == Some(true));
            }
        }
        Ok(Answer::Joined {
            at,
            after,
            recovery,
            presence,
            roster: presence.then(|| home.presence.roster(roster_max)),
        })
    }

    fn leave_home(
        &mut self,
        origin: Origin,
        name: &RoomName,
        farewell: Farewell,
        ended: bool,
    ) -> Option<Answer> {
        let (own, listed_max, ghosts_max, now_ms) = (
            self.core,
            self.limits.presence_listed_max,
            self.limits.ghosts_max,
            self.now.mono_ms,
        );
        let gone = self.rooms.find(name).and_then(|id| {
            let room = self.rooms.at_mut(id)?;
            let grace_ms = room.policy().presence_grace_ms;
            let Role::Home(home) = &mut room.role else {
                return None;
            };
            let ghost_until = match farewell {
                Farewell::Said => None,
                Farewell::Vanished => Some(now_ms + grace_ms),
            };
            let watched = home
                .presence
                .go(origin, ghost_until, listed_max, ghosts_max)?;
            if origin.core != own {
                home.detach(origin.core, watched);
            }
            Some(())
        });
        match (gone, ended) {
            (_, true) => None,
            (Some(()), false) => Some(Answer::Left),
            (None, false) => Some(Answer::Refused {
                refusal: Refusal::NotJoined { room: name.clone() },
                join: false,
            }),
        }
    }

    fn publish_home(
        &mut self,
        origin: Origin,
        name: &RoomName,
        draft: &Draft,
        out: &mut Vec<Output>,
    ) -> Result<Answer, Refusal> {
        for (label, value) in [
            ("event", &draft.event),
            ("key", &draft.key),
            ("id", &draft.id),
        ] {
            if let Some(value) = value {
                self.check_label(label, value)?;
            }
        }
        self.check_label("name", &draft.from)?;
        let policy = match self.rooms.find(name).and_then(|id| self.rooms.at(id)) {
            Some(room) => Arc::clone(room.policy()),
            None => self.policies.for_room(name),
        };
        let bytes = draft.body.bytes().len() as u64;
        let max = u64::from(policy.message_bytes_max);
        if bytes > max {
            return Err(Refusal::MessageTooLarge { bytes, max });
        }
        let id = self.home_room(name)?;
        let (now, window_ms, ids_max) = (
            self.now,
            self.limits.id_window_ms,
            self.limits.ids_per_room_max,
        );
        let Some(room) = self.rooms.at_mut(id) else {
            return Err(Refusal::TooManyRooms { max: 0 });
        };
        room.used = true;
        let offset = room.log.head() + 1;
        if let (Role::Home(home), Some(id)) = (&mut room.role, &draft.id) {
            home.ids.expire(now.mono_ms, window_ms);
            match home.ids.look_up(id, draft) {
                Seen::Never => {}
                Seen::Other => return Err(Refusal::IdConflict),
                Seen::Same(offset) => {
                    return Ok(Answer::Published {
                        at: room.position(offset),
                        duplicate: true,
                    });
                }
            }
            home.ids.remember(id, draft, offset, now.mono_ms, ids_max);
        }
        // Only a member is left out of its own message: who speaks from outside may come in later and read it.
        let member = matches!(&room.role, Role::Home(home) if home.presence.holds(origin));
        let cost = draft.cost_bytes();
        room.log.append(Arc::new(Message {
            offset,
            time_ms: now.unix_ms,
            event: draft.event.clone(),
            key: draft.key.clone(),
            id: draft.id.clone(),
            from: Arc::clone(&draft.from),
            door: draft.door,
            body: draft.body.clone(),
            effect: Effect::None,
            origin: member.then_some(origin),
            born_ms: now.mono_ms,
            end_bytes: room.log.end_bytes() + cost,
        }));
        let at = room.position(offset);
        let heard = !room.members.is_empty() || room.relays_behind().next().is_some();
        if !heard {
            room.lowest = offset;
        }
        self.log_bytes += cost;
        self.trim(id);
        self.keep_budget(id);
        if heard {
            self.mark_dirty(id, out);
        }
        Ok(Answer::Published {
            at,
            duplicate: false,
        })
    }

    fn read_home(&mut self, name: &RoomName, start: Start, limit: u32) -> Answer {
        let limits = self.limits;
        let Some(id) = self.rooms.find(name) else {
            return Answer::History(self.nothing(name, start));
        };
        self.trim(id);
        let Some(room) = self.rooms.at_mut(id) else {
            return Answer::History(self.nothing(name, start));
        };
        let (after, recovery) = begin(room, start);
        let limit = limit.min(limits.page_messages_max);
        let messages = take(room, after, limit, limits.page_bytes_max);
        let end = messages.last().map_or(after, |message| message.offset);
        Answer::History(Page {
            room: name.clone(),
            at: room.position(end),
            head: room.position(room.log.head()),
            recovery,
            more: end < room.log.head(),
            messages,
        })
    }

    /// The page of a room that is not there: what it would be if it were made now.
    fn nothing(&self, name: &RoomName, start: Start) -> Page {
        let at = Position {
            epoch: self.epoch,
            offset: self.floor,
        };
        let recovery = match start {
            Start::After(position) if position != at => Recovery::From(at),
            _ => Recovery::Complete,
        };
        Page {
            room: name.clone(),
            at,
            head: at,
            recovery,
            messages: Vec::new(),
            more: false,
        }
    }

    fn who_home(&mut self, name: &RoomName) -> Result<Answer, Refusal> {
        let listed_max = self.limits.roster_listed_max;
        if !self.policies.for_room(name).presence {
            return Err(Refusal::PresenceOff { room: name.clone() });
        }
        Ok(Answer::Who(match self.home_by_name(name) {
            Some((_, home)) => home.presence.roster(listed_max),
            None => Roster {
                count: 0,
                members: Vec::new(),
            },
        }))
    }

    fn pull_home(&mut self, name: &RoomName, after: u64) -> Answer {
        let limits = self.limits;
        let Some(room) = self.rooms.find(name).and_then(|id| self.rooms.at(id)) else {
            return Answer::Pulled {
                after: Position {
                    epoch: self.epoch,
                    offset: self.floor,
                },
                messages: Vec::new(),
            };
        };
        let begin = after.max(room.log.first() - 1);
        Answer::Pulled {
            after: room.position(begin),
            messages: take(
                room,
                begin,
                limits.chunk_messages_max,
                limits.chunk_bytes_max,
            ),
        }
    }

    /// What a relay core is still owed: its next message. The server asks while the link has space. Where history has lost some,
    /// the relay sees a number jump, or a [`LinkMessage::Skip`]; its readers pull, and are told of the gap.
    pub fn next_for_relay(&mut self, room: RoomId, core: u16) -> Option<LinkMessage> {
        let room = self.rooms.at_mut(room)?;
        let Role::Home(home) = &mut room.role else {
            return None;
        };
        let relay = home.relays.iter_mut().find(|relay| relay.core == core)?;
        let next = room.log.after(relay.sent).next().map(Arc::clone);
        let head = room.log.head();
        if relay.sent >= head {
            return None;
        }
        relay.sent = next.as_ref().map_or(head, |message| message.offset);
        let room = room.name().clone();
        Some(match next {
            Some(message) => LinkMessage::Deliver { room, message },
            None => LinkMessage::Skip { room, to: head },
        })
    }

    fn check_label(&self, label: &'static str, value: &str) -> Result<(), Refusal> {
        let max = self.limits.label_bytes_max;
        if value.len() <= max as usize {
            return Ok(());
        }
        Err(Refusal::LabelTooLong {
            label,
            bytes: value.len(),
            max,
        })
    }
}

/// Where a reader begins, and whether that is what it asked for.
fn begin(room: &Room, start: Start) -> (u64, Recovery) {
    let oldest = room.log.first() - 1;
    let head = room.log.head();
    match start {
        Start::Now => (head, Recovery::Complete),
        Start::Rewind(count) => (
            oldest.max(head.saturating_sub(u64::from(count))),
            Recovery::Complete,
        ),
        Start::After(position)
            if position.epoch == room.epoch && (oldest..=head).contains(&position.offset) =>
        {
            (position.offset, Recovery::Complete)
        }
        Start::After(_) => (oldest, Recovery::From(room.position(oldest))),
    }
}

/// Messages behind `after`, bounded in number and bytes; always at least one.
fn take(room: &Room, after: u64, count_max: u32, bytes_max: u64) -> Vec<Arc<Message>> {
    let mut bytes = 0;
    room.log
        .after(after)
        .take(count_max as usize)
        .take_while(|message| {
            let fits = bytes == 0 || bytes + message.cost_bytes() <= bytes_max;
            bytes += message.cost_bytes();
            fits
        })
        .cloned()
        .collect()
}
