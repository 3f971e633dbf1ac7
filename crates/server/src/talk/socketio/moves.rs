//! What the server does to a session's rooms: the API, as `socket.join(room)` and `socket.leave(room)` do in a program around the reference server, and a newer
//! grant, which takes a room away.
//!
//! The client hears `taut:joined` and `taut:left`, as after its own verbs: with the offset behind them it comes back to the same rooms.

use std::sync::Arc;

use taut_gate::http::api::{Place, Unmoved};
use taut_gate::socketio::{Way, encode_event, encode_packet};
use taut_gate::{Close, native};
use taut_hub::{ConnId, Input, Join, RoomName, Start, Watch};
use taut_wire::socketio as wire;

use super::enter::DOOR;
use super::{About, SocketIo, What};
use crate::core::Core;

impl SocketIo {
    /// The namespace to which a room comes: the one that is named, or `/`, or the first one, if it is entered.
    fn host(&self, named: Option<&str>) -> Option<&super::Namespace> {
        let mut entered = self.namespaces.iter().filter(|n| n.entering.is_none());
        let by_name = |name: &str| {
            let mut all = self.namespaces.iter().filter(|n| n.entering.is_none());
            all.find(|namespace| &*namespace.name == name)
        };
        match named {
            Some(name) => by_name(name),
            None => by_name("/").or_else(|| entered.next()),
        }
    }

    /// Namespaces that hear a room, or have asked to, and why.
    fn hosts(&self, room: &RoomName, named: Option<&str>) -> Vec<(Arc<str>, Way)> {
        let shown = self.views.iter().filter(|view| view.name == *room);
        let shown = shown.map(|view| (&view.namespace, view.way));
        let awaited = self.asked().filter_map(|asked| match &asked.what {
            What::Verb {
                about: About::Join(of),
                ..
            } if of == room => Some((&asked.namespace, Way::Joined)),
            _ => None,
        });
        let mut hosts: Vec<(Arc<str>, Way)> = Vec::new();
        for (namespace, way) in shown.chain(awaited) {
            let is_wanted = named.is_none_or(|named| **namespace == *named);
            let is_known = self
                .namespaces
                .iter()
                .any(|n| Arc::ptr_eq(&n.name, namespace));
            if is_wanted && is_known && !hosts.iter().any(|(known, _)| known == namespace) {
                hosts.push((Arc::clone(namespace), way));
            }
        }
        hosts
    }
}

impl Core {
    /// Brings a session into a room, which one of its namespaces shows from then on.
    pub(in super::super) fn bring_socketio(
        &mut self,
        id: ConnId,
        place: &Place,
    ) -> Result<(), Unmoved> {
        if self.application.is_some() {
            return Err(Unmoved::Door);
        }
        let name = self.name_once(id);
        let Some(socketio) = self.socketio(id) else {
            return Err(Unmoved::Door);
        };
        let host = socketio.host(place.namespace.as_deref());
        let Some(namespace) = host.map(|host| Arc::clone(&host.name)) else {
            return Err(Unmoved::Namespace);
        };
        let hosts = socketio.hosts(&place.room, Some(&namespace));
        if !hosts.is_empty() {
            // It is in it.
            return Ok(());
        }
        if socketio.is_full() {
            return Err(Unmoved::Busy);
        }
        let about = About::Join(place.room.clone());
        let ticket = socketio.ask(&namespace, What::Verb { ack: None, about });
        self.hub(Input::Join {
            conn: id,
            ticket,
            room: place.room.clone(),
            join: Join {
                name,
                door: DOOR,
                start: Start::Now,
                presence: Watch::Nothing,
                data: None,
                state: false,
            },
        });
        Ok(())
    }

    /// Takes a session out of a room; false where it is not there. A namespace that is the room is ended.
    pub(in super::super) fn take_socketio(&mut self, id: ConnId, place: &Place) -> bool {
        let Some(socketio) = self.socketio(id) else {
            return false;
        };
        let hosts = socketio.hosts(&place.room, place.namespace.as_deref());
        for (namespace, way) in &hosts {
            match way {
                Way::Room => self.end_namespace(id, namespace),
                Way::Lobby | Way::Joined => {
                    self.leave_by_verb(id, namespace, None, place.room.clone());
                }
            }
        }
        !hosts.is_empty()
    }

    /// A session is out of a room that it may not be in any more. A namespace that is the room ends; others go on without it.
    pub(crate) fn expel_socketio(&mut self, id: ConnId, room: &RoomName) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let shown = socketio.views.iter().filter(|view| view.name == *room);
        let hosts: Vec<(Arc<str>, Way)> = shown
            .map(|view| (Arc::clone(&view.namespace), view.way))
            .collect();
        let enters = |(namespace, _): &(Arc<str>, Way)| {
            let mut all = socketio.namespaces.iter();
            all.any(|known| Arc::ptr_eq(&known.name, namespace) && known.entering.is_some())
        };
        let is_entering = hosts.iter().any(enters);
        if is_entering || self.application.is_some() {
            // Half of what it comes back to is gone, or a program of its own decides what its rooms mean.
            return self.close(id, Close::Refused, Some(native::EXPELLED));
        }
        for (namespace, way) in hosts {
            if let Some(socketio) = self.socketio(id) {
                socketio.hide(&namespace, room);
            }
            let mut json = Vec::new();
            match way {
                Way::Room => {
                    native::encode_bye(&mut json, Close::Refused, Some(native::EXPELLED), None);
                    self.say(id, |out, framing| {
                        encode_event(out, framing, &namespace, "taut:bye", &json, None);
                    });
                    self.end_namespace(id, &namespace);
                }
                Way::Lobby | Way::Joined => {
                    native::encode_expelled(&mut json, room);
                    let offset = self.offset(id, &namespace);
                    self.say(id, |out, framing| {
                        let offset = Some(&*offset);
                        encode_event(out, framing, &namespace, "taut:left", &json, offset);
                    });
                }
            }
        }
        self.choose_format(id);
    }

    /// Ends every namespace of a session before it is closed, as the reference server's `disconnectSockets(true)` does: where only the transport ended, the client would
    /// be back at once, and in all its rooms.
    pub(in super::super) fn end_namespaces(&mut self, id: ConnId, text: &str) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let entered = socketio.namespaces.iter().filter(|n| n.entering.is_none());
        let names: Vec<Arc<str>> = entered.map(|n| Arc::clone(&n.name)).collect();
        let mut bye = Vec::new();
        super::super::native::farewell(&mut bye, Close::Refused, Some(text), 0);
        for name in names {
            self.say(id, |out, framing| {
                encode_event(out, framing, &name, "taut:bye", &bye, None);
            });
            self.end_namespace(id, &name);
        }
    }

    /// The reference server's `socket.disconnect()`: the client does not come back to it by itself.
    fn end_namespace(&mut self, id: ConnId, namespace: &Arc<str>) {
        self.say(id, |out, framing| {
            encode_packet(out, &mut Vec::new(), framing, |out| {
                wire::encode_disconnect(out, namespace);
            });
        });
        self.leave_namespace(id, namespace);
    }
}
