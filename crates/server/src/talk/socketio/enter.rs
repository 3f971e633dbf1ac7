//! CONNECT: a namespace is entered by joining its room, anew or where an earlier life of the session stood.

use std::sync::Arc;

use taut_gate::native;
use taut_gate::socketio::{
    Auth, Framing, Way, encode_event, encode_gap, encode_packet, namespace_room,
};
use taut_hub::{
    ConnId, Door, Durability, Input, Join, Message, Origin, Position, Recovery, Refusal, RoomId,
    RoomName, Start,
};
use taut_wire::native::{encode_error, encode_string};
use taut_wire::socketio as wire;

use super::recover::Comeback;
use super::{Entry, Namespace, What};
use crate::core::{Asker, Core};
use crate::session::{Pass, encode_public_id};

/// The door's label.
pub(super) const DOOR: Door = Door("socketio");

/// Bytes of the object `auth` that are passed on to an application that is asked.
const AUTH_BYTES_MAX: usize = 16 << 10;

/// A namespace whose CONNECT is not answered.
#[derive(Debug)]
pub(super) struct Entering {
    auth: Auth,
    /// The display name in its rooms.
    name: Arc<str>,
    /// What it goes on from, where it is an earlier session.
    pub(super) pass: Option<Pass>,
    /// Rooms that have not answered.
    pub(super) awaited: usize,
    /// Whether everything is there so far that it missed.
    pub(super) is_whole: bool,
    /// Its rooms, and how far each has to be read before the CONNECT is answered.
    pub(super) rooms: Vec<(RoomId, Position)>,
    /// What is said right after the answer.
    gap: Option<(Position, Position)>,
    state: Option<Vec<Arc<Message>>>,
    /// Where it begins to hear.
    at: Position,
}

/// What the hub says of a room that a namespace has come into.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) room: RoomId,
    pub(super) at: Position,
    pub(super) after: Position,
    pub(super) recovery: Recovery,
    pub(super) state: Option<Vec<Arc<Message>>>,
}

impl Entering {
    fn new(auth: Auth, name: Arc<str>, pass: Option<Pass>, awaited: usize) -> Self {
        Self {
            auth,
            name,
            pass,
            awaited,
            is_whole: true,
            rooms: Vec::new(),
            gap: None,
            state: None,
            at: Position::UNKNOWN,
        }
    }

    /// Goes on as if there had been no earlier session.
    pub(super) fn forget(&mut self) {
        self.pass = None;
        self.awaited = 1;
        self.is_whole = true;
        self.rooms.clear();
        self.gap = None;
        self.state = None;
    }

    /// Notes one of its rooms, and whether anything is missing between where it wanted to begin there and where it does.
    fn note(&mut self, start: Start, entered: Entered) {
        let Entered {
            room,
            at,
            after,
            recovery,
            state,
        } = entered;
        self.awaited = self.awaited.saturating_sub(1);
        self.rooms.push((room, at));
        self.state = state;
        self.at = after;
        let begins = match (recovery, start) {
            (Recovery::From(whole), _) => whole,
            // In a room that it is in already, a Conn goes on where it stands.
            (_, Start::After(since))
                if after.epoch == since.epoch && after.offset > since.offset =>
            {
                after
            }
            _ => return,
        };
        self.is_whole = false;
        if let (Start::After(since), None) = (start, &self.pass) {
            self.gap = Some((since, begins));
        }
    }
}

impl Core {
    /// A client wants to enter a namespace.
    pub(super) fn enter_namespace(&mut self, id: ConnId, namespace: &str, payload: &str) {
        if let Some(application) = self.application.clone() {
            return self.enter_application(id, namespace, payload, &*application);
        }
        if let Err(error) = namespace_room(namespace) {
            let message = "Invalid namespace";
            return self.refuse_namespace(id, namespace, message, "bad-room", &error);
        }
        let mut auth = match Auth::read(payload) {
            Ok(auth) => auth,
            Err((code, text)) => {
                return self.refuse_namespace(id, namespace, &text, code, &text);
            }
        };
        let has_doorstep = self.has_doorstep();
        if has_doorstep && payload.len() > AUTH_BYTES_MAX {
            let text = format!("the object auth has more than {AUTH_BYTES_MAX} bytes");
            return self.refuse_namespace(id, namespace, &text, "bad-field", &text);
        }
        let token = auth.token.take().filter(|_| self.takes_tokens());
        if token.is_none() && !has_doorstep {
            return self.enter_known(id, namespace, auth);
        }
        let payload = if has_doorstep { payload } else { "" };
        let asker = Asker::Enter(namespace.into(), Box::new(auth), payload.into());
        match token {
            Some(token) => self.show_token(id, token, asker),
            None => self.ask_for_entry(id, asker, None, None),
        }
    }

    /// The same when it is known who the client is.
    pub(crate) fn enter_known(&mut self, id: ConnId, namespace: &str, auth: Auth) {
        let Ok(room) = namespace_room(namespace) else {
            return;
        };
        self.open(id);
        if let (Some(name), Some(conn)) = (&auth.name, self.conns.find(id)) {
            conn.name.set(name);
        }
        let name = self.name_once(id);
        let shared = self.sessions.shared_namespace(namespace);
        let (pass, stands) = match self.comeback(id, &auth, namespace, room.as_ref()) {
            Some(Comeback { pass, stands }) => (Some(pass), stands),
            None => (None, vec![(room.clone(), auth.start)]),
        };
        let public_id = match &pass {
            Some(pass) => pass.public_id,
            None => self.sessions.secret(),
        };
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let namespace = socketio.name_anew(shared);
        let entering = Entering::new(auth, name, pass, stands.len());
        socketio.namespaces.reserve_exact(1);
        socketio.namespaces.push(Namespace {
            name: Arc::clone(&namespace),
            room,
            public_id,
            entering: Some(Box::new(entering)),
        });
        self.entered(id);
        if let Some(pass) = pass {
            self.begin_life(id, &pass);
        }
        for (room, start) in stands {
            self.join_entering(id, &namespace, room, start);
        }
    }

    /// Joins one of the rooms of a namespace; no `room` is the lobby, for want of another one.
    pub(super) fn join_entering(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        room: Option<RoomName>,
        start: Start,
    ) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(found) = socketio.known(namespace) else {
            return;
        };
        let way = match (&found.room, &room) {
            (Some(own), Some(room)) if own == room => Way::Room,
            (Some(_), None) => Way::Room,
            (None, None) => Way::Lobby,
            (_, Some(_)) => Way::Joined,
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
        let room = room.unwrap_or_else(RoomName::lobby);
        let entry = Entry {
            room: room.clone(),
            way,
            start,
        };
        let ticket = socketio.ask(namespace, What::Enter(entry));
        self.hub(Input::Join {
            conn: id,
            ticket,
            room,
            join,
        });
    }

    /// One of the rooms of a namespace has let the Conn in.
    pub(super) fn entering_joined(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        entry: Entry,
        mut entered: Entered,
    ) {
        if self.begins_at_the_beginning(entry.start, &entered) {
            entered.recovery = Recovery::Complete;
        }
        let name = self.shard.shared_name(entry.room);
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        socketio.show(namespace, entered.room, name, entry.way);
        let entering = socketio.known(namespace);
        if let Some(entering) = entering.and_then(|found| found.entering.as_mut()) {
            entering.note(entry.start, entered);
        }
        self.go_on_entering(id, namespace);
    }

    /// Whether nothing had been said in a room when the client was there last, and all that was ever said there follows now. A room without messages
    /// has no epoch that is kept, so its position looks strange after a restart; but whatever had been said since would have been kept.
    fn begins_at_the_beginning(&self, start: Start, entered: &Entered) -> bool {
        let was_empty = matches!(start, Start::After(since) if since.offset == 0);
        let is_kept = self.safe.is_some()
            && self
                .shard
                .room(entered.room)
                .is_some_and(|room| room.policy().durability != Durability::Memory);
        was_empty && is_kept && entered.after.offset == 0
    }

    /// Goes on when every room has answered: to read what was missed, to answer, or to enter anew.
    fn go_on_entering(&mut self, id: ConnId, namespace: &Arc<str>) {
        let Some(found) = self.socketio(id).and_then(|s| s.known(namespace)) else {
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

    /// Answers a CONNECT: `recovered` where the pass is the one that the client came with.
    pub(super) fn answer_entering(&mut self, id: ConnId, namespace: &Arc<str>, out: &mut Vec<u8>) {
        let origin = Origin {
            core: self.id,
            conn: id,
        };
        let seal = Arc::clone(&self.sessions.seal);
        let run = self.sessions.lives.run();
        let place = self.place_of(id, namespace);
        let Some(framing) = self.framing(id) else {
            return;
        };
        let Some(found) = self.socketio(id).and_then(|s| s.known(namespace)) else {
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
            .encode(&seal, &place),
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
        let Some(found) = socketio.known(namespace) else {
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
        self.refuse_entering(id, namespace, refusal);
    }

    /// `connect_error`, with what the hub said.
    pub(crate) fn refuse_entering(&mut self, id: ConnId, namespace: &str, refusal: &Refusal) {
        let mut data = Vec::new();
        native::encode_refused(&mut data, None, refusal);
        self.say_refused(id, namespace, &refusal.to_string(), &data);
    }

    /// `connect_error`.
    pub(crate) fn refuse_namespace(
        &mut self,
        id: ConnId,
        namespace: &str,
        message: &str,
        code: &'static str,
        text: &str,
    ) {
        let mut data = Vec::new();
        encode_error(&mut data, code, None, text, None);
        self.say_refused(id, namespace, message, &data);
    }

    /// The same with whatever data there are.
    pub(crate) fn say_refused(&mut self, id: ConnId, namespace: &str, message: &str, data: &[u8]) {
        self.say(id, |out, framing| {
            encode_packet(out, &mut Vec::new(), framing, |out| {
                wire::encode_connect_error(out, namespace, message, Some(data));
            });
        });
    }
}

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
