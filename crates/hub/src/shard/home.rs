//! What a home does with a question, whichever core it comes from.

use crate::conn::Origin;
use crate::message::Lane;
use crate::name::RoomName;
use crate::refusal::Refusal;
use crate::room::{Asker, Home, Present, Role, RoomId, Roster, Watch};

use super::history::{begin, begin_now};
use super::{Answer, Ask, Batch, Farewell, LinkMessage, Output, Recovery, Shard, Start};

impl Shard {
    /// Answers a question; `None` where nobody waits for an answer, or it comes later.
    pub(super) fn at_home(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Option<Answer> {
        let join = matches!(ask, Ask::Join { .. });
        let answer = match self.admit(asker, name, ask, out) {
            Ok(ask) => self.answer(asker, name, ask, out),
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(|refusal| Some(Answer::Refused { refusal, join }))
    }

    fn admit(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Result<Ask, Refusal> {
        if name.is_reserved() {
            return Err(Refusal::ReservedName { room: name.clone() });
        }
        if matches!(&ask, Ask::Publish { draft } if draft.lane == Lane::Latest) {
            // It is kept nowhere, so it waits for no store.
            return Ok(ask);
        }
        self.park(asker, name, ask, out)
    }

    fn answer(
        &mut self,
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Result<Option<Answer>, Refusal> {
        let origin = asker.origin;
        match ask {
            Ask::Join { .. } => self.join_home(asker, name, ask, out),
            Ask::Leave { farewell, ended } => Ok(self.leave_home(origin, name, farewell, ended)),
            Ask::Publish { draft } if draft.lane == Lane::Latest => {
                self.publish_latest(asker, name, draft, out).map(Some)
            }
            Ask::Publish { draft } => {
                let batch = Batch {
                    id: draft.id.clone(),
                    drafts: vec![draft],
                };
                self.publish_home(asker, name, batch, out)
            }
            Ask::PublishBatch { batch } => self.publish_home(asker, name, batch, out),
            Ask::Read { range } => Ok(self.read_home(asker, name, range, out)),
            Ask::ReadState { key } => Ok(Some(self.state_home(name, key.as_deref()))),
            Ask::Who { counts } => self.who_home(name, counts).map(Some),
            Ask::Rename { name: display } => {
                if self.check_label("name", display.name()).is_ok() {
                    let listed_max = self.limits.presence_listed_max;
                    if let Some((_, home)) = self.home_by_name(name) {
                        home.presence.rename(origin, &display, listed_max);
                    }
                }
                Ok(None)
            }
            Ask::Verify { user } => {
                let listed_max = self.limits.presence_listed_max;
                if let Some((_, home)) = self.home_by_name(name) {
                    home.presence.verify(origin, user.as_deref(), listed_max);
                }
                Ok(None)
            }
            Ask::Pull { after } => Ok(self.pull_home(asker, name, after, out)),
            Ask::Parked => Ok(None),
        }
    }

    /// What every question leaves to do: presence to announce, a room that is empty now, an alarm to set.
    pub(super) fn after_home(&mut self, name: &RoomName, out: &mut Vec<Output>) {
        if let Some(id) = self.rooms.find(name) {
            self.count_ghosts(id);
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
        asker: Asker,
        name: &RoomName,
        ask: Ask,
        out: &mut Vec<Output>,
    ) -> Result<Option<Answer>, Refusal> {
        let Ask::Join {
            name: display,
            door,
            start,
            presence,
            data,
            state,
            past,
        } = ask
        else {
            return Ok(None);
        };
        self.check_label("name", display.name())?;
        let data_max = self.limits.presence_data_bytes_max;
        if let Some(data) = data.as_ref().filter(|data| data.len() > data_max as usize) {
            return Err(Refusal::LabelTooLong {
                label: "data",
                bytes: data.len(),
                max: data_max,
            });
        }
        let id = self.home_room(name, out)?;
        let present = Present {
            name: display.clone(),
            door,
            origin: asker.origin,
        };
        let said = data.clone();
        let again = |start| Ask::Join {
            name: display,
            door,
            start,
            presence,
            data: said,
            state,
            past,
        };
        let Some(start) = self.resolve(asker, id, start, out, again) else {
            return Ok(None);
        };
        let (own, listed_max, roster_max) = (
            self.core,
            self.limits.presence_listed_max,
            self.limits.roster_listed_max,
        );
        self.trim(id);
        let Some(room) = self.rooms.at_mut(id) else {
            return Err(Refusal::TooManyRooms { max: 0 });
        };
        if presence.is_on() && !room.policy().presence {
            return Err(Refusal::PresenceOff { room: name.clone() });
        }
        room.used = true;
        let (head, latest) = (room.log.head(), room.latest_newest());
        let at = room.position(head);
        let (mut after, mut recovery) = match past {
            true => begin(room, start),
            false => begin_now(room, start),
        };
        let asks_for_all = matches!(start, Start::Now);
        let shows_state = state && (asks_for_all || recovery != Recovery::Complete);
        if shows_state && !asks_for_all {
            // The state stands for what was missed.
            after = head;
            recovery = Recovery::From(at);
        }
        room.lowest = room.lowest.min(after.max(room.log.first() - 1));
        let Role::Home(home) = &mut room.role else {
            return Err(Refusal::TooManyRooms { max: 0 });
        };
        let core = present.origin.core;
        let watched = home.presence.come(&present, data, presence, listed_max);
        if core != own {
            let relay = match watched {
                None => Some(home.attach(core, head, latest)),
                Some(_) => home.relays.iter_mut().find(|relay| relay.core == core),
            };
            if let Some(relay) = relay {
                relay.watchers += u32::from(presence.is_on());
                relay.watchers -= u32::from(watched.is_some_and(Watch::is_on));
            }
        }
        Ok(Some(Answer::Joined {
            at,
            after,
            recovery,
            presence,
            roster: match presence {
                Watch::Nothing => None,
                Watch::Counts => Some(home.presence.show(0)),
                Watch::Users => Some(home.presence.show(roster_max)),
            },
            state: shows_state.then(|| home.state.entries(None)),
        }))
    }

    fn leave_home(
        &mut self,
        origin: Origin,
        name: &RoomName,
        farewell: Farewell,
        ended: bool,
    ) -> Option<Answer> {
        let (own, listed_max, now_ms) =
            (self.core, self.limits.presence_listed_max, self.now.mono_ms);
        let (ghosts_max, all_ghosts_max) = (self.limits.ghosts_max, self.limits.all_ghosts_max());
        let ghosts = self.ghosts;
        let gone = self.rooms.find(name).and_then(|id| {
            let room = self.rooms.at_mut(id)?;
            let grace_ms = room.policy().presence_grace_ms;
            let Role::Home(home) = &mut room.role else {
                return None;
            };
            let waits = farewell == Farewell::Vanished
                && grace_ms > 0
                && home.presence.ghosts() < ghosts_max as usize
                && ghosts < all_ghosts_max;
            let ghost_until = waits.then(|| now_ms.saturating_add(grace_ms));
            let watched = home.presence.go(origin, ghost_until, listed_max)?;
            if origin.core != own {
                home.detach(origin.core, watched.is_on());
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

    fn who_home(&mut self, name: &RoomName, counts: bool) -> Result<Answer, Refusal> {
        let listed_max = if counts {
            0
        } else {
            self.limits.roster_listed_max
        };
        if !self.policies.for_room(name).presence {
            return Err(Refusal::PresenceOff { room: name.clone() });
        }
        Ok(Answer::Who(match self.home_by_name(name) {
            Some((_, home)) => home.presence.roster(listed_max),
            None => Roster {
                count: 0,
                conns: 0,
                members: Vec::new(),
            },
        }))
    }

    /// What a relay core is still owed: its next message. The server asks while the link has space. Where history has lost some,
    /// the relay sees a number jump, or a [`LinkMessage::Skip`]; its readers pull, and are told of the gap.
    pub fn next_for_relay(&mut self, room: RoomId, core: u16) -> Option<LinkMessage> {
        let room = self.rooms.at_mut(room)?;
        let Role::Home(home) = &mut room.role else {
            return None;
        };
        let relay = home.relays.iter_mut().find(|relay| relay.core == core)?;
        let next = room.log.after(relay.sent).next().cloned();
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

    pub(super) fn check_label(&self, label: &'static str, value: &str) -> Result<(), Refusal> {
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
