//! What the server API does to Conns: it ends them, brings them into rooms, and takes them out.

use taut_gate::http::api::{Deed, Found, Place, Unmoved, encode_grant};
use taut_gate::{Close, Command, text};
use taut_hub::{ConnId, Input, Join, Right, RoomName, Start, Watch};

use super::super::Talk;
use super::Phase;
use crate::core::Core;

/// What an ended Conn is told.
const ENDED: &str = "an administrator ended this connection";

impl Core {
    /// Does to a Conn of this core what was asked, and notes what came of it.
    pub(crate) fn do_to(&mut self, id: ConnId, deed: &Deed, found: &mut Found) {
        match (deed, found) {
            (Deed::List, Found::Conns(conns)) => conns.extend(self.facts_of(id)),
            (Deed::Explain(room), Found::Grant(grant)) => {
                let (user, rules) = self.shard.standing(id);
                let mut body = Vec::new();
                encode_grant(&mut body, room, user.map(|user| &**user), rules);
                *grant = Some(body);
            }
            // The session that it serves is ended, and answers it.
            (Deed::Disconnect, Found::Done(_)) if self.serves_session(id) => {}
            (Deed::Disconnect, Found::Done(counted)) => {
                self.end_namespaces(id, ENDED);
                self.close(id, Close::Refused, Some(ENDED));
                counted.done += 1;
            }
            (Deed::Join(place), Found::Done(counted)) => match self.bring_into(id, place) {
                Ok(()) => counted.done += 1,
                Err(why) => *counted.refused.entry(why).or_default() += 1,
            },
            (Deed::Leave(place), Found::Done(counted)) => {
                counted.done += u64::from(self.take_out(id, place));
            }
            _ => {}
        }
    }

    fn serves_session(&mut self, id: ConnId) -> bool {
        let talk = self.http_talk(id);
        talk.is_some_and(|talk| matches!(talk.phase, Phase::Polling(_) | Phase::Posting(_)))
    }

    /// Brings a Conn into a room, as if it had asked for that. Its door must be able to show several rooms, or to show another one.
    fn bring_into(&mut self, id: ConnId, place: &Place) -> Result<(), Unmoved> {
        let talk = self.conns.find(id).map(|conn| &conn.talk);
        match talk {
            Some(Talk::Lines(session) | Talk::Datagrams(session) | Talk::Native(_, session)) => {
                if session.is_full() {
                    return Err(Unmoved::Busy);
                }
                self.check_move(id, &place.room)?;
                self.bring_native(id, &place.room);
                Ok(())
            }
            Some(Talk::Text(_)) => {
                self.check_move(id, &place.room)?;
                self.bring_text(id, &place.room);
                Ok(())
            }
            Some(Talk::Engine(_)) => {
                self.check_move(id, &place.room)?;
                self.bring_socketio(id, place)
            }
            _ => Err(Unmoved::Door),
        }
    }

    /// The grant decides as it would if the Conn asked.
    fn check_move(&mut self, id: ConnId, room: &RoomName) -> Result<(), Unmoved> {
        if self.identities.awaits(id) {
            // Who it is, and whether it may come in, is not known yet.
            return Err(Unmoved::Busy);
        }
        self.open(id);
        if !self.shard.allows(id, room, Right::Join) {
            return Err(Unmoved::Forbidden);
        }
        if !self.shard.is_bound_for(id, room) && self.shard.is_in_enough(id) {
            return Err(Unmoved::TooManyRooms);
        }
        Ok(())
    }

    fn bring_native(&mut self, id: ConnId, room: &RoomName) {
        let name = self.name_once(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let join = Join {
            name,
            door: conn.door(),
            start: Start::Now,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        let room = room.clone();
        self.command(id, Command::Join { room, join }, None);
    }

    /// Takes a Conn out of a room; false where it is not there. A door that has nothing but the rooms of its URL ends.
    fn take_out(&mut self, id: ConnId, place: &Place) -> bool {
        let room = &place.room;
        let talk = self.conns.find(id).map(|conn| &conn.talk);
        if matches!(talk, Some(Talk::Engine(_))) {
            return self.take_socketio(id, place);
        }
        let is_text = matches!(talk, Some(Talk::Text(_)));
        let takes_commands = match talk {
            Some(Talk::Lines(session) | Talk::Datagrams(session) | Talk::Native(_, session)) => {
                !session.is_full()
            }
            _ => false,
        };
        if !self.shard.is_bound_for(id, room) {
            return false;
        }
        let room = room.clone();
        if is_text {
            self.go_out(id);
            self.say_text(id, |out| text::encode_taken_out(out, &room));
        } else if takes_commands {
            self.command(id, Command::Leave { room }, None);
        } else {
            self.hub(Input::Expel { conn: id, room });
        }
        true
    }
}
