//! What the hub answers to a session: in acknowledgements, in the words of the native protocol.

use std::sync::Arc;

use taut_gate::native;
use taut_gate::socketio::{Way, encode_ack};
use taut_hub::{ConnId, Output, RoomName};
use taut_wire::native::Taken;

use super::enter::encode_moved;
use super::{Asked, View, What};
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
        match (what, output) {
            (
                What::Enter,
                Output::Joined {
                    room,
                    name,
                    at,
                    after,
                    recovery,
                    state,
                    ..
                },
            ) => {
                self.entering_joined(id, &namespace, room, &name, at, after, recovery, state);
            }
            (What::Enter, Output::Refused { refusal, .. }) => {
                self.entering_refused(id, &namespace, &refusal);
            }
            (What::Verb { ack, taken, room }, output) => {
                self.answer_verb(id, &namespace, ack, taken, room, output);
            }
            _ => {}
        }
        self.choose_format(id);
    }

    fn answer_verb(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        ack: Option<u64>,
        taken: Taken,
        of_room: Option<RoomName>,
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
                self.show(id, namespace, room);
                moved = Some("taut:joined");
            }
            Output::Left { room, .. } => {
                native::encode_left(&mut unit, None, &room);
                moved = Some("taut:left");
            }
            Output::Published { at, duplicate, .. } => {
                native::encode_published(&mut unit, None, taken, Some(at), duplicate);
            }
            Output::Said { .. } => {
                native::encode_published(&mut unit, None, taken, None, false);
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
        if let (Some(event), Some(room)) = (moved, of_room) {
            self.say_moved(id, namespace, event, &room);
        }
    }

    /// A room joined by the verb is shown in `/`, with what is known of each message, also where it was shown there before.
    fn show(&mut self, id: ConnId, namespace: &Arc<str>, room: taut_hub::RoomId) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let shown = |view: &&mut View| view.namespace == *namespace && view.room == room;
        match socketio.views.iter_mut().find(shown) {
            Some(view) => view.way = Way::Joined,
            None => socketio.views.push(View {
                room,
                way: Way::Joined,
                namespace: Arc::clone(namespace),
            }),
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
