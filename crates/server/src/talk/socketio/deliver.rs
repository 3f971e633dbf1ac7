//! Room messages on their way to a session that reads for itself, and what the server says about its rooms.

use std::sync::Arc;

use taut_gate::Format;
use taut_gate::socketio::{
    NOWHERE, OFFSET_ROOMS_MAX, Offset, Stand, View as Shown, Way, encode_event, encode_gap,
};
use taut_hub::{ConnId, Lane, Message, Position, RoomId};

use super::super::Talk;
use super::super::engineio::push_packets;
use crate::core::Core;

impl Core {
    /// Chooses the Format in which room messages go out: a shared one as long as all there is is one view of one room over a WebSocket, and the
    /// Conn is not on its way out of another one, whose last messages would look like this one's.
    pub(super) fn choose_format(&mut self, id: ConnId) {
        let Some(framing) = self.framing(id) else {
            return;
        };
        let in_one_room = self.shard.memberships(id).len() <= 1;
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let settled = in_one_room && socketio.namespaces.iter().all(|n| n.entering.is_none());
        let format = match socketio.views.as_slice() {
            [] => Format::None,
            [view] if settled && framing == taut_gate::socketio::Framing::Frames => {
                let room = view.name.as_str();
                match view.way {
                    Way::Lobby => Format::SocketIoLobby,
                    Way::Joined if &*view.namespace == "/" => Format::SocketIoJoined,
                    Way::Room if view.namespace.strip_prefix('/') == Some(room) => {
                        Format::SocketIoRoom
                    }
                    Way::Room if view.namespace.strip_prefix("/r/") == Some(room) => {
                        Format::SocketIoUrl
                    }
                    Way::Joined | Way::Room => Format::SocketIo,
                }
            }
            _ => Format::SocketIo,
        };
        if let Some(conn) = self.conns.find(id) {
            conn.format = format;
        }
    }

    /// The same after the carrier has changed.
    pub(in super::super) fn look_again(&mut self, id: ConnId) {
        self.choose_format(id);
    }

    /// One room message, as every namespace that hears the room shows it.
    pub(crate) fn deliver_socketio(
        &mut self,
        id: ConnId,
        room: RoomId,
        message: &Message,
        out: &mut Vec<u8>,
    ) {
        let Some(framing) = self.framing(id) else {
            return;
        };
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        if let Some(origin) = &message.left_out()
            && socketio.was(origin)
            && !self.shard.room(room).is_some_and(|room| room.policy().echo)
        {
            return;
        }
        for (namespace, way) in self.shown_in(id, room) {
            let is_alone = way == Way::Room && !self.is_more_than_its_room(id, &namespace);
            let at = self
                .shard
                .room(room)
                .map(|found| found.position(message.offset));
            let offset = match at {
                Some(at) if is_alone => at.to_string(),
                _ => self.offset(id, &namespace),
            };
            let Some(found) = self.shard.room(room) else {
                return;
            };
            let view = Shown {
                namespace: &namespace,
                way,
                offset: (message.lane == Lane::Reliable).then_some(offset.as_str()),
            };
            self.encoder
                .socketio_view(framing, &view, found, message, out);
        }
    }

    /// The namespaces that hear a room.
    fn shown_in(&mut self, id: ConnId, room: RoomId) -> Vec<(Arc<str>, Way)> {
        let views = self.socketio(id).map(|socketio| socketio.views.as_slice());
        let of_room = views.into_iter().flatten().filter(|view| view.room == room);
        of_room
            .map(|view| (Arc::clone(&view.namespace), view.way))
            .collect()
    }

    /// Whether a namespace shows other rooms than its own.
    fn is_more_than_its_room(&mut self, id: ConnId, namespace: &Arc<str>) -> bool {
        let views = self.socketio(id).map(|socketio| socketio.views.as_slice());
        let mut views = views.into_iter().flatten();
        views.any(|view| view.namespace == *namespace && view.way == Way::Joined)
    }

    /// Where a client stands in all rooms of a namespace. In a namespace that is nothing but a room that is its position there.
    pub(super) fn offset(&mut self, id: ConnId, namespace: &Arc<str>) -> String {
        let Some(socketio) = self.socketio(id) else {
            return String::new();
        };
        let views = socketio.views.iter();
        let mut is_own = false;
        let rooms: Vec<_> = views
            .filter(|view| view.namespace == *namespace)
            .map(|view| {
                is_own |= view.way == Way::Room;
                let name = (view.way == Way::Joined).then(|| view.name.clone());
                (view.room, name)
            })
            .collect();
        if let (true, [(room, None)]) = (is_own, rooms.as_slice()) {
            let at = self.stand(id, *room);
            return at.map_or_else(String::new, |at| at.to_string());
        }
        if rooms.len() > OFFSET_ROOMS_MAX {
            return NOWHERE.to_owned();
        }
        let stands = rooms.into_iter().filter_map(|(id_of_room, room)| {
            let at = self.stand(id, id_of_room)?;
            Some(Stand { room, at })
        });
        Offset(stands.collect()).encode()
    }

    /// Says something about a room in every namespace that hears it.
    pub(crate) fn say_of_room(&mut self, id: ConnId, room: RoomId, event: &str, json: &[u8]) {
        let Some(framing) = self.framing(id) else {
            return;
        };
        let mut said = Vec::new();
        for (namespace, _) in self.shown_in(id, room) {
            encode_event(&mut said, framing, &namespace, event, json, None);
        }
        self.append(id, &said);
    }

    /// Says in every namespace that hears a room what is lost to it.
    pub(crate) fn encode_socketio_gap(
        &mut self,
        id: ConnId,
        room: RoomId,
        after: Position,
        at: Position,
        out: &mut Vec<u8>,
    ) {
        let Some(framing) = self.framing(id) else {
            return;
        };
        let Some(name) = self.shard.room(room).map(|room| room.name().clone()) else {
            return;
        };
        self.lost_while_entering(id, room);
        for (namespace, _) in self.shown_in(id, room) {
            encode_gap(out, framing, &namespace, &name, after, at);
        }
    }

    /// Puts packets that are encoded already behind a Conn's own answers.
    pub(crate) fn append(&mut self, id: ConnId, packets: &[u8]) {
        let polls = self.polls(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if packets.is_empty() {
            return;
        }
        let out = conn.answers();
        if polls {
            push_packets(out, packets);
        } else {
            out.extend_from_slice(packets);
        }
        self.touch(id.slot);
    }

    /// Whether a Conn is a session of Socket.IO.
    pub(crate) fn is_socketio(&mut self, id: ConnId) -> bool {
        matches!(
            self.conns.find(id).map(|conn| &conn.talk),
            Some(Talk::Engine(_))
        )
    }
}
