//! What the hub answers to a session: in acknowledgements, in the words of the native protocol.

use std::sync::Arc;

use taut_gate::native;
use taut_gate::socketio::{Way, encode_ack};
use taut_hub::{ConnId, Farewell, Output, RoomName};
use taut_wire::native::Taken;

use super::enter::{Entered, encode_moved};
use super::{About, Asked, What};
use crate::core::{Core, ticket_of};

impl Core {
    /// One answer of the hub.
    pub(crate) fn answer_socketio(&mut self, id: ConnId, output: Output) {
        let Some(ticket) = ticket_of(&output) else {
            return;
        };
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(Asked {
            namespace, what, ..
        }) = socketio.settle(ticket)
        else {
            return;
        };
        if !socketio.is_full() {
            self.resume_input(id.slot);
        }
        let is_known = self
            .socketio(id)
            .is_some_and(|socketio| socketio.known(&namespace).is_some());
        match (what, output) {
            (_, output) if !is_known => self.answer_late(id, &namespace, output),
            (
                What::Enter(entry),
                Output::Joined {
                    room,
                    at,
                    after,
                    recovery,
                    state,
                    ..
                },
            ) => {
                let entered = Entered {
                    room,
                    at,
                    after,
                    recovery,
                    state,
                };
                self.entering_joined(id, &namespace, entry, entered);
            }
            (What::Enter(_), Output::Refused { refusal, .. }) => {
                self.entering_refused(id, &namespace, &refusal);
            }
            (What::Verb { ack, about }, output) => {
                self.answer_verb(id, &namespace, ack, about, output);
            }
            _ => {}
        }
        self.choose_format(id);
    }

    /// An answer to a namespace that the client has left since: it does not come into a room any more.
    fn answer_late(&mut self, id: ConnId, namespace: &Arc<str>, output: Output) {
        if let Output::Joined { name, .. } = output {
            self.leave_room(id, namespace, name, Farewell::Said);
        }
    }

    fn answer_verb(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        ack: Option<u64>,
        about: About,
        output: Output,
    ) {
        let mut unit = Vec::new();
        let mut moved = None;
        match output {
            Output::Joined {
                room,
                name,
                at,
                recovery,
                roster,
                state,
                ..
            } => {
                let state = state.as_deref();
                native::encode_joined(&mut unit, None, &name, at, recovery, roster.as_ref(), state);
                if let Some(socketio) = self.socketio(id) {
                    socketio.show(namespace, room, name, Way::Joined);
                }
                moved = Some("taut:joined");
            }
            Output::Left { room, .. } => {
                native::encode_left(&mut unit, None, &room);
                if let Some(socketio) = self.socketio(id) {
                    // It may have been joined again ahead of this.
                    socketio.hide(namespace, &room);
                }
                moved = Some("taut:left");
            }
            Output::Published { at, duplicate, .. } => {
                let taken = match about {
                    About::Publish(taken) => taken,
                    _ => Taken::Publish,
                };
                native::encode_published(&mut unit, None, taken, Some(at), duplicate);
            }
            Output::Said { .. } => {
                native::encode_published(&mut unit, None, Taken::Publish, None, false);
            }
            Output::History { page, .. } => native::encode_history(&mut unit, None, &page),
            Output::Who { room, roster, .. } => native::encode_who(&mut unit, None, &room, &roster),
            Output::Refused { refusal, .. } => {
                native::encode_refused(&mut unit, None, &refusal);
                return self.say_refusal(id, namespace, ack, &unit);
            }
            _ => return,
        }
        if let Some(ack) = ack {
            self.say(id, |out, framing| {
                encode_ack(out, framing, namespace, ack, &unit);
            });
        }
        if let (Some(event), About::Join(room) | About::Leave(room)) = (moved, about) {
            self.say_moved(id, namespace, event, &room);
        }
    }

    /// The client is in other rooms than before: from here on its offset says so.
    fn say_moved(&mut self, id: ConnId, namespace: &Arc<str>, event: &str, room: &RoomName) {
        let offset = self.offset(id, namespace);
        self.say(id, |out, framing| {
            encode_moved(out, framing, namespace, event, room, &offset);
        });
    }
}
