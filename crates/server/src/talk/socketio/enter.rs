//! CONNECT: a namespace is entered by joining its room, anew or where an earlier life of the session stood.

use std::sync::Arc;

use taut_gate::native;
use taut_gate::socketio::{
    Auth, Framing, Offset, Stand, Way, encode_event, encode_gap, encode_packet, namespace_room,
};
use taut_hub::{
    ConnId, Door, Farewell, Input, Join, Message, Origin, Position, Recovery, Refusal, RoomId,
    RoomName, Start,
};
use taut_wire::native::{encode_error, encode_string};
use taut_wire::socketio as wire;

use super::super::Step;
use super::{Namespace, View, What};
use crate::core::{Core, Flag, Parcel};
use crate::session::{Pass, encode_public_id};

/// The door's label.
const DOOR: Door = Door("socketio");

/// A namespace whose CONNECT is not answered.
#[derive(Debug)]
pub(super) struct Entering {
    auth: Auth,
    /// The display name in its rooms.
    name: Arc<str>,
    /// What it goes on from, where it is an earlier session.
    pass: Option<Pass>,
    /// Rooms that have not answered.
    awaited: usize,
    /// Whether everything is there so far that it missed.
    is_whole: bool,
    /// Its rooms, and how far each has to be read before the CONNECT is answered.
    rooms: Vec<(RoomId, Position)>,
    /// What is said right after the answer.
    gap: Option<(Position, Position)>,
    state: Option<Vec<Arc<Message>>>,
    /// Where it begins to hear.
    at: Position,
}

impl Core {
    /// A client wants to enter a namespace.
    pub(super) fn enter_namespace(&mut self, id: ConnId, namespace: &str, payload: &str) -> Step {
        if let Some(application) = self.application.clone() {
            return self.enter_application(id, namespace, payload, &*application);
        }
        let room = match namespace_room(namespace) {
            Ok(room) => room,
            Err(error) => {
                self.refuse_namespace(id, namespace, "Invalid namespace", "bad-room", &error);
                return Step::Took(0);
            }
        };
        let auth = match Auth::read(payload) {
            Ok(auth) => auth,
            Err((code, text)) => {
                self.refuse_namespace(id, namespace, &text, code, &text);
                return Step::Took(0);
            }
        };
        self.open(id);
        if let (Some(name), Some(conn)) = (&auth.name, self.conns.find(id)) {
            conn.name.set(name);
        }
        let name = self.name_once(id);
        let pass = self.recoverable(&auth, namespace, room.as_ref());
        let name_of_namespace = self.sessions.shared_namespace(namespace);
        let (pass, stands) = match pass {
            Some((pass, stands)) => (Some(pass), stands),
            None => (None, vec![(room.clone(), auth.start)]),
        };
        let public_id = match &pass {
            Some(pass) => pass.public_id,
            None => self.sessions.secret(),
        };
        let Some(socketio) = self.socketio(id) else {
            return Step::More;
        };
        socketio.namespaces.reserve_exact(1);
        socketio.namespaces.push(Namespace {
            name: Arc::clone(&name_of_namespace),
            room,
            public_id,
            entering: Some(Box::new(Entering {
                auth,
                name,
                pass,
                awaited: stands.len(),
                is_whole: true,
                rooms: Vec::new(),
                gap: None,
                state: None,
                at: Position::UNKNOWN,
            })),
        });
        self.entered(id);
        if let Some(pass) = pass {
            self.begin_life(id, &pass);
        }
        for (room, start) in stands {
            self.join_entering(id, &name_of_namespace, room, start);
        }
        Step::Took(0)
    }

    /// The session that the client comes back to, and where it stood in each of its rooms.
    #[allow(clippy::type_complexity)]
    fn recoverable(
        &self,
        auth: &Auth,
        namespace: &str,
        room: Option<&RoomName>,
    ) -> Option<(Pass, Vec<(Option<RoomName>, Start)>)> {
        let pass = Pass::decode(auth.pass.as_deref()?, &self.sessions.seal, namespace)?;
        // A client keeps its offset for ever: one that stands before the pass is of an earlier session.
        let later = |at: Position| {
            let offset = at.offset.max(pass.at.offset);
            (at.epoch == pass.at.epoch).then_some(Start::After(Position { offset, ..at }))
        };
        let stands = match (room, &auth.offset) {
            // It has heard nothing since it came.
            (room, None) => vec![(room.cloned(), Start::After(pass.at))],
            (Some(room), Some(offset)) => {
                vec![(Some(room.clone()), later(native::position(offset))?)]
            }
            (None, Some(offset)) => {
                let Offset(stands) = Offset::decode(offset)?;
                let stands = stands.into_iter().map(|Stand { room, at }| match room {
                    None => Some((None, later(at)?)),
                    room => Some((room, Start::After(at))),
                });
                stands.collect::<Option<_>>()?
            }
        };
        Some((pass, stands))
    }

    /// A session has begun another life: its last one ends, wherever it was, and what all of them said is its own.
    fn begin_life(&mut self, id: ConnId, pass: &Pass) {
        let now = Origin {
            core: self.id,
            conn: id,
        };
        let earlier = self.sessions.lives.begin(pass, now);
        if let Some(last) = earlier.last()
            && *last != now
        {
            if last.core == self.id {
                self.supersede(last.conn);
            } else if last.core < self.cores {
                self.links.send(last.core, Parcel::Superseded(last.conn));
            }
        }
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Held, true);
        }
        if let Some(socketio) = self.socketio(id) {
            socketio.earlier.get_or_insert_default().0.extend(earlier);
        }
    }

    fn join_entering(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        room: Option<RoomName>,
        start: Start,
    ) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.namespace(namespace) else {
            return;
        };
        let Some(entering) = &found.entering else {
            return;
        };
        let is_new = entering.pass.is_none();
        let join = Join {
            name: Arc::clone(&entering.name),
            door: DOOR,
            start,
            presence: entering.auth.presence,
            data: None,
            state: is_new && entering.auth.state,
        };
        let ticket = socketio.ask(namespace, What::Enter);
        self.hub(Input::Join {
            conn: id,
            ticket,
            room: room.unwrap_or_else(RoomName::lobby),
            join,
        });
    }

    /// One of the rooms of a namespace has let the Conn in.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn entering_joined(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        room: RoomId,
        room_name: &RoomName,
        at: Position,
        after: Position,
        recovery: Recovery,
        state: Option<Vec<Arc<Message>>>,
    ) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.namespace(namespace) else {
            return;
        };
        let of_namespace = found.room.is_some();
        let Some(entering) = &mut found.entering else {
            return;
        };
        entering.awaited = entering.awaited.saturating_sub(1);
        if let Recovery::From(whole) = recovery {
            entering.is_whole = false;
            if let Start::After(since) = entering.auth.start {
                entering.gap = Some((since, whole));
            }
        }
        entering.rooms.push((room, at));
        entering.state = state;
        entering.at = after;
        let way = match (of_namespace, *room_name == RoomName::lobby()) {
            (true, _) => Way::Room,
            (false, true) => Way::Lobby,
            (false, false) => Way::Joined,
        };
        socketio.views.reserve_exact(1);
        socketio.views.push(View {
            room,
            way,
            namespace: Arc::clone(namespace),
        });
        self.go_on_entering(id, namespace);
    }

    /// Goes on when every room has answered: to read what was missed, to answer, or to enter anew.
    fn go_on_entering(&mut self, id: ConnId, namespace: &Arc<str>) {
        let Some(found) = self.socketio(id).and_then(|s| s.namespace(namespace)) else {
            return;
        };
        let Some(entering) = &mut found.entering else {
            return;
        };
        if entering.awaited > 0 {
            return;
        }
        if entering.pass.is_some() && !entering.is_whole {
            return self.enter_anew(id, namespace);
        }
        let recovers = entering.pass.is_some();
        self.release(id);
        self.choose_format(id);
        if recovers {
            // The answer follows what was missed.
            return self.touch(id.slot);
        }
        let mut answer = Vec::new();
        self.answer_entering(id, namespace, &mut answer);
        self.append(id, &answer);
    }

    /// Whatever cannot be recovered whole is not: the client enters as if for the first time, with another id, and knows by that.
    fn enter_anew(&mut self, id: ConnId, namespace: &Arc<str>) {
        let public_id = self.sessions.secret();
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.namespace(namespace) else {
            return;
        };
        found.public_id = public_id;
        let room = found.room.clone();
        if let Some(entering) = &mut found.entering {
            entering.pass = None;
            entering.is_whole = true;
            entering.awaited = 1;
            entering.rooms.clear();
        }
        let gone: Vec<RoomId> = socketio
            .views
            .extract_if(.., |view| view.namespace == *namespace)
            .map(|view| view.room)
            .collect();
        for room in gone {
            self.leave_room(id, namespace, room, Farewell::Vanished);
        }
        self.release(id);
        self.join_entering(id, namespace, room, Start::Now);
    }

    /// Lets room messages out again, unless another namespace is still being recovered.
    fn release(&mut self, id: ConnId) {
        let waits = self.socketio(id).is_some_and(|socketio| {
            socketio.namespaces.iter().any(|namespace| {
                let entering = namespace.entering.as_deref();
                entering.is_some_and(|e| e.pass.is_some() && e.awaited > 0)
            })
        });
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Held, waits);
        }
    }

    /// Something is lost of a room that was being recovered: the client will know by another id.
    pub(super) fn lost_while_entering(&mut self, id: ConnId, room: RoomId) {
        let public_id = self.sessions.secret();
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        for namespace in &mut socketio.namespaces {
            if let Some(entering) = &mut namespace.entering
                && entering.rooms.iter().any(|(of, _)| *of == room)
            {
                entering.is_whole = false;
                namespace.public_id = public_id;
            }
        }
    }

    /// Namespaces that have now read all that they missed get the answer to their CONNECT.
    pub(crate) fn settle_recoveries(&mut self, id: ConnId, out: &mut Vec<u8>) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let waiting: Vec<Waiting> = socketio
            .namespaces
            .iter()
            .filter_map(|namespace| {
                let entering = namespace.entering.as_deref()?;
                let reads = entering.pass.is_some() && entering.awaited == 0;
                reads.then(|| (Arc::clone(&namespace.name), entering.rooms.clone()))
            })
            .collect();
        for (namespace, rooms) in waiting {
            let done = rooms.iter().all(|(room, at)| {
                self.stand(id, *room)
                    .is_none_or(|stand| stand.offset >= at.offset)
            });
            if done {
                self.answer_entering(id, &namespace, out);
                self.choose_format(id);
            }
        }
    }

    /// Answers a CONNECT: `recovered` where the pass is the one that the client came with.
    fn answer_entering(&mut self, id: ConnId, namespace: &Arc<str>, out: &mut Vec<u8>) {
        let origin = Origin {
            core: self.id,
            conn: id,
        };
        let seal = Arc::clone(&self.sessions.seal);
        let run = self.sessions.lives.run();
        let Some(framing) = self.framing(id) else {
            return;
        };
        let Some(found) = self.socketio(id).and_then(|s| s.namespace(namespace)) else {
            return;
        };
        let Some(entering) = found.entering.take() else {
            return;
        };
        let sid = encode_public_id(&found.public_id);
        let room = found.room.clone().unwrap_or_else(RoomName::lobby);
        let is_main = found.room.is_none();
        let pass = match (&entering.pass, &entering.auth.pass) {
            (Some(_), Some(said)) if entering.is_whole => said.clone(),
            _ => Pass {
                public_id: found.public_id,
                run,
                origin,
                at: entering.at,
            }
            .encode(&seal, namespace),
        };
        encode_packet(out, &mut Vec::new(), framing, |out| {
            wire::encode_connected(out, namespace, &sid, Some(&pass));
        });
        say_first(out, framing, namespace, &room, &entering);
        if entering.pass.is_none() && entering.auth.offset.is_some() {
            // The offset that the client came with is of a session that is over; it keeps it until it hears of another.
            let at = entering.at.to_string();
            let offset = if is_main { format!("{at}:") } else { at };
            encode_moved(out, framing, namespace, "taut:joined", &room, &offset);
        }
    }

    /// No room for the namespace.
    pub(super) fn entering_refused(&mut self, id: ConnId, namespace: &Arc<str>, refusal: &Refusal) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.namespace(namespace) else {
            return;
        };
        let recovers = found.entering.as_deref().is_some_and(|e| e.pass.is_some());
        if recovers {
            // It may be another room than before that refuses; entering anew asks for the namespace's own only.
            if let Some(entering) = &mut found.entering {
                entering.is_whole = false;
                entering.awaited = entering.awaited.saturating_sub(1);
            }
            return self.go_on_entering(id, namespace);
        }
        socketio.namespaces.retain(|other| other.name != *namespace);
        self.release(id);
        let text = refusal.to_string();
        self.refuse_namespace(id, namespace, &text, refusal.code(), &text);
    }

    /// `connect_error`.
    pub(super) fn refuse_namespace(
        &mut self,
        id: ConnId,
        namespace: &str,
        message: &str,
        code: &'static str,
        text: &str,
    ) {
        let mut data = Vec::new();
        encode_error(&mut data, code, None, text, None);
        self.say(id, |out, framing| {
            encode_packet(out, &mut Vec::new(), framing, |out| {
                wire::encode_connect_error(out, namespace, message, Some(&data));
            });
        });
    }

    /// How far the Conn has heard in a room.
    pub(super) fn stand(&self, id: ConnId, room: RoomId) -> Option<Position> {
        let memberships = self.shard.memberships(id).iter();
        let index = memberships
            .filter(|membership| membership.room == room)
            .map(|membership| membership.index)
            .next()?;
        let room = self.shard.room(room)?;
        let member = room.members().get(index as usize)?;
        Some(room.position(member.cursor))
    }
}

/// A namespace that waits for its answer, and how far its rooms must be read before.
type Waiting = (Arc<str>, Vec<(RoomId, Position)>);

/// `taut:joined` and `taut:left`: the client is in other rooms than before, and its offset says so from here on.
pub(super) fn encode_moved(
    out: &mut Vec<u8>,
    framing: Framing,
    namespace: &str,
    event: &str,
    room: &RoomName,
    offset: &str,
) {
    let mut json = b"{\"room\":".to_vec();
    encode_string(&mut json, room.as_str());
    json.push(b'}');
    encode_event(out, framing, namespace, event, &json, Some(offset));
}

/// What a client that has just entered is told besides: what it wanted and cannot have, and what is set.
fn say_first(
    out: &mut Vec<u8>,
    framing: Framing,
    namespace: &str,
    room: &RoomName,
    entering: &Entering,
) {
    if let Some((after, at)) = entering.gap {
        encode_gap(out, framing, namespace, room, after, at);
    }
    if let Some(state) = &entering.state {
        let mut list = Vec::new();
        native::encode_list(&mut list, room, entering.at, state, false);
        encode_event(out, framing, namespace, "taut:state", &list, None);
    }
}
