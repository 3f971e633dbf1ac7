//! Engine.IO v4: one session over long-polling, WebSocket, or the first and then the second.
//!
//! The session is a Conn. While its client polls it has no stream: own answers wait in `output` as a payload, and room messages wait in their
//! rooms, like those of any Conn that cannot be written to (`blocked`). A poll ([`polling`]) is an HTTP Conn that waits for the session; what a
//! POST brings is the session's input, decoded packet by packet under the same bounds as a socket's. An upgrade ([`upgrade`]) ends with the
//! WebSocket's stream moving into the session's slot.

mod heartbeat;
mod polling;
mod upgrade;

use std::borrow::Cow;
use std::net::IpAddr;

use taut_gate::Close;
use taut_gate::http::{EngineDialect, EngineRequest, EngineWants, Problem, refused};
use taut_gate::socketio::Framing;
use taut_hub::{ConnId, Farewell};
use taut_wire::Violation;
use taut_wire::engineio::{self, Handshake, Packet, RequestError};
use taut_wire::http::Framing as BodyFraming;
use taut_wire::ws::{self, CloseCode, Event};

use super::http::is_bodyless;
use super::socketio::SocketIo;
use super::{Socket, Step, Talk};
use crate::core::{Core, Flag, Stream};
use crate::session::{SECRET_BYTES, SessionId};

pub(crate) use polling::Posting;
pub(super) use polling::push_packets;
pub(crate) use upgrade::Probe;

const CLAUSE: &str = "Engine.IO v4, protocol";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Engine {
    secret: [u8; SECRET_BYTES],
    pub(super) carrier: Carrier,
    heartbeat: heartbeat::Heartbeat,
    pub(super) dialect: Dialect,
}

// What a session costs more than a WebSocket, with a namespace and a view.
const _: () = assert!(size_of::<Engine>() <= 112);

/// How packets travel.
#[derive(Debug)]
pub(super) enum Carrier {
    /// The client polls and posts.
    Polling(Box<polling::Polling>),
    /// A frame each.
    Socket(Socket),
}

/// What messages mean.
#[derive(Debug)]
pub(super) enum Dialect {
    SocketIo(SocketIo),
    Echo,
}

impl Engine {
    /// How its packets become bytes.
    pub(super) fn framing(&self) -> Framing {
        match self.carrier {
            Carrier::Polling(_) => Framing::Payload,
            Carrier::Socket(_) => Framing::Frames,
        }
    }

    /// Whether requests wait for the hub.
    pub(super) fn is_waiting(&self) -> bool {
        match &self.dialect {
            Dialect::SocketIo(socketio) => socketio.is_waiting(),
            Dialect::Echo => false,
        }
    }

    /// Its WebSocket, where that is its carrier.
    pub(super) fn socket(&mut self) -> Option<&mut Socket> {
        match &mut self.carrier {
            Carrier::Socket(socket) => Some(socket),
            Carrier::Polling(_) => None,
        }
    }

    pub(super) fn socketio(&mut self) -> Option<&mut SocketIo> {
        match &mut self.dialect {
            Dialect::SocketIo(socketio) => Some(socketio),
            Dialect::Echo => None,
        }
    }

    /// The last words: what each namespace is told, and the carrier's own end.
    pub(super) fn farewell(
        &mut self,
        out: &mut Vec<u8>,
        close: Close,
        text: Option<&str>,
        seed: u32,
    ) {
        let framing = self.framing();
        if let Dialect::SocketIo(socketio) = &self.dialect {
            socketio.farewell(out, framing, close, text, seed);
        }
        match &mut self.carrier {
            Carrier::Polling(_) => engineio::push_payload(out, &Packet::Close),
            Carrier::Socket(socket) => socket.farewell(out, close, text),
        }
    }
}

impl Core {
    /// A request to a path of Engine.IO: opens a session, or goes to the core that has the one it names.
    pub(super) fn engine_request(
        &mut self,
        id: ConnId,
        request: EngineRequest,
        framing: BodyFraming,
        expects: bool,
        data: &[u8],
        length: usize,
    ) -> Step {
        if !matches!(request.wants, EngineWants::Post) && !is_bodyless(framing) {
            self.refuse_engine(id, RequestError::BadRequest, framing);
            return Step::Took(length);
        }
        let Some(sid) = &request.sid else {
            self.engine_handshake(id, request);
            return Step::Took(length);
        };
        let Some(sid) = SessionId::decode(sid).filter(|sid| sid.core < self.cores) else {
            self.refuse_engine(id, RequestError::UnknownSid, framing);
            return Step::Took(length);
        };
        if sid.core != self.id {
            self.hand_over(id, sid.core, data);
            return Step::Took(data.len());
        }
        let dialect = request.dialect;
        let known = self.engine(sid.conn).is_some_and(|engine| {
            same(&engine.secret, &sid.secret)
                && matches!(engine.dialect, Dialect::Echo) == (dialect == EngineDialect::Echo)
        });
        if !known {
            self.refuse_engine(id, RequestError::UnknownSid, framing);
            return Step::Took(length);
        }
        if self.is_overdue(sid.conn) {
            self.time_out(sid.conn);
            self.refuse_engine(id, RequestError::UnknownSid, framing);
            return Step::Took(length);
        }
        match request.wants {
            EngineWants::Socket(answer) => self.begin_probe(id, sid.conn, &answer),
            EngineWants::Poll => self.begin_poll(id, sid.conn),
            EngineWants::Post => self.begin_post(id, sid.conn, framing, expects),
        }
        Step::Took(length)
    }

    /// Opens a session for a client that polls, or of the connection itself.
    fn engine_handshake(&mut self, id: ConnId, request: EngineRequest) {
        let polls = !matches!(request.wants, EngineWants::Socket(_));
        if let Some((code, text)) = self.opens_none(polls) {
            let problem = Problem {
                retry_s: Some(10),
                ..Problem::new(503, code, text)
            };
            return self.answer_problem(id, &problem);
        }
        let bill = match polls.then(|| self.limiter.open_session(id.slot)) {
            Some(Err(over)) => {
                return self.answer_problem(id, &refused(&over.refusal()));
            }
            Some(Ok(bill)) => bill,
            None => None,
        };
        let secret = self.sessions.secret();
        let heartbeat = self.first_heartbeat(request.dialect);
        let dialect = match request.dialect {
            EngineDialect::SocketIo => Dialect::SocketIo(SocketIo::default()),
            EngineDialect::Echo => Dialect::Echo,
        };
        let mut engine = Engine {
            secret,
            carrier: Carrier::Polling(Box::new(polling::Polling::new(request.payload_packets_max))),
            heartbeat,
            dialect,
        };
        let session = match request.wants {
            EngineWants::Socket(answer) => {
                let Some(conn) = self.conns.find(id) else {
                    return;
                };
                ws::handshake::encode_answer(conn.answers(), &answer);
                engine.carrier = Carrier::Socket(Socket::default());
                conn.talk = Talk::Engine(Box::new(engine));
                id
            }
            EngineWants::Poll | EngineWants::Post => {
                let talk = Talk::Engine(Box::new(engine));
                let session = self.conns.insert(Stream::Nobody, talk, self.now.mono_ms);
                self.limiter.put(session.slot, bill);
                self.count_one_more();
                session
            }
        };
        if let Some(conn) = self.conns.find(session) {
            conn.flags.set(Flag::Touched, true);
            conn.flags.set(Flag::Blocked, session != id);
            if let Some(name) = &request.name {
                conn.name.set(name);
            }
        }
        self.note_door(session);
        if session != id {
            let client = self.identities.client(id);
            self.identities.set_client_of_request(session, client);
            if let Some(identity) = self.identities.of(id).cloned() {
                self.admit(session, identity);
            }
            self.move_head(id, session);
        }
        self.await_token(session);
        self.say_open(session, secret);
        self.beat_on(session);
        if session != id {
            self.begin_poll(id, session);
        }
    }

    /// Why no session is opened now: the server stops, and would not tell who comes that late; or this core has its share of all that may be
    /// open, where a session `polls` and has no socket by which the acceptor would count it.
    fn opens_none(&self, polls: bool) -> Option<(&'static str, &'static str)> {
        if self.is_draining() {
            let text = "the server is shutting down; another one will come";
            return Some(("restart", text));
        }
        let conns_max = self.limits.conns_max.div_ceil(usize::from(self.cores));
        let text = "the server has no room for a session now; come back later";
        let is_full = self.conns.len() >= conns_max || self.health.is_heavy();
        (polls && is_full).then_some(("full", text))
    }

    fn say_open(&mut self, session: ConnId, secret: [u8; SECRET_BYTES]) {
        let limits = self.limits.engine.clone();
        let is_socket = self
            .engine(session)
            .is_some_and(|engine| matches!(engine.carrier, Carrier::Socket(_)));
        let sid = SessionId {
            core: self.id,
            conn: session,
            secret,
        };
        let handshake = Handshake {
            sid: sid.encode().into(),
            upgrades: if is_socket {
                Vec::new()
            } else {
                vec![Cow::Borrowed("websocket")]
            },
            ping_interval_ms: limits.ping_ms,
            ping_timeout_ms: limits.pong_ms_max,
            max_payload_bytes: limits.payload_bytes_max as u64,
        };
        let mut text = Vec::new();
        handshake.encode(&mut text);
        let text = String::from_utf8_lossy(&text).into_owned();
        self.say_packet(session, &Packet::Open(&text));
    }

    /// One packet of our own.
    pub(super) fn say_packet(&mut self, id: ConnId, packet: &Packet<'_>) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let Talk::Engine(engine) = &conn.talk else {
            return;
        };
        let framing = engine.framing();
        let out = conn.answers();
        match (framing, packet) {
            (Framing::Payload, packet) => engineio::push_payload(out, packet),
            (Framing::Frames, Packet::Binary(bytes)) => {
                ws::encode_frame(out, true, false, ws::Opcode::Binary, bytes, None);
            }
            (Framing::Frames, packet) => {
                let mut text = Vec::new();
                engineio::encode_text(&mut text, packet);
                ws::encode_frame(out, true, false, ws::Opcode::Text, &text, None);
            }
        }
        self.touch(id.slot);
    }

    /// One step of a session's input: a frame, or a packet of what was posted.
    pub(super) fn engine_unit(&mut self, id: ConnId, data: &mut [u8]) -> Step {
        match self.engine(id).map(|engine| &engine.carrier) {
            Some(Carrier::Polling(_)) => self.posted_packet(id, data),
            Some(Carrier::Socket(_)) => self.engine_frame(id, data),
            None => Step::More,
        }
    }

    fn engine_frame(&mut self, id: ConnId, data: &mut [u8]) -> Step {
        let settings = ws::Settings {
            role: ws::Role::Server,
            message_bytes_max: self.limits.engine.payload_bytes_max,
            deflate: false,
        };
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let Talk::Engine(engine) = &mut conn.talk else {
            return Step::More;
        };
        let Carrier::Socket(socket) = &mut engine.carrier else {
            return Step::More;
        };
        let decoded = match socket.decoder.decode(&settings, data, &mut self.inflater) {
            Ok(decoded) => decoded,
            Err(error) => {
                return Step::End(
                    Close::Violation(error.code),
                    Some(error.violation.to_string()),
                );
            }
        };
        let consumed = decoded.consumed;
        let step = match decoded.event {
            None if consumed == 0 => return Step::More,
            None | Some(Event::Pong(_)) => Step::Took(consumed),
            Some(Event::Ping(payload)) => {
                let payload = payload.to_vec();
                ws::encode_frame(
                    conn.answers(),
                    true,
                    false,
                    ws::Opcode::Pong,
                    &payload,
                    None,
                );
                self.touch(id.slot);
                Step::Took(consumed)
            }
            Some(Event::Close(frame)) => {
                let code = frame.map(|frame| frame.code);
                return self.peer_closed(id, code);
            }
            Some(Event::Text(text)) => match engineio::decode_text(&text) {
                Ok(packet) => self.packet(id, packet),
                Err(violation) => Step::violation(&violation),
            },
            Some(Event::Binary(bytes)) => self.packet(id, Packet::Binary(bytes)),
        };
        match step {
            Step::Took(_) => Step::Took(consumed),
            step => step,
        }
    }

    /// One packet of the client.
    pub(super) fn packet(&mut self, id: ConnId, packet: Packet<'_>) -> Step {
        match packet {
            Packet::Message(text) => self.engine_message(id, text),
            Packet::Binary(bytes) => self.engine_binary(id, bytes),
            Packet::Pong(_) => {
                self.pong(id);
                Step::Took(0)
            }
            Packet::Close => self.client_closed(id),
            Packet::Noop => Step::Took(0),
            Packet::Open(_) | Packet::Ping(_) | Packet::Upgrade => {
                let text = "a packet came that only a server sends, or that belongs to an upgrade";
                Step::violation(&Violation::new(CLAUSE, text))
            }
        }
    }

    fn engine_message(&mut self, id: ConnId, text: &str) -> Step {
        match self.engine(id).map(|engine| &engine.dialect) {
            Some(Dialect::SocketIo(_)) => self.socketio_packet(id, text),
            Some(Dialect::Echo) => {
                self.say_packet(id, &Packet::Message(text));
                Step::Took(0)
            }
            None => Step::More,
        }
    }

    fn engine_binary(&mut self, id: ConnId, bytes: Cow<'_, [u8]>) -> Step {
        match self.engine(id).map(|engine| &engine.dialect) {
            Some(Dialect::SocketIo(_)) => self.socketio_attachment(id, bytes),
            Some(Dialect::Echo) => {
                self.say_packet(id, &Packet::Binary(bytes));
                Step::Took(0)
            }
            None => Step::More,
        }
    }

    /// The client has said that it goes. A poll that waits is let go.
    fn client_closed(&mut self, id: ConnId) -> Step {
        if self
            .engine(id)
            .is_some_and(|engine| matches!(engine.carrier, Carrier::Socket(_)))
        {
            return Step::End(Close::Asked, None);
        }
        self.polled_close(id);
        Step::Took(0)
    }

    /// Ends a session whose client polls, now: a poll that waits is answered with `last`, a POST under way with `ok`.
    fn end_session(&mut self, id: ConnId, farewell: Farewell, last: &Packet<'_>) {
        self.let_go(id, last);
        self.remove(id.slot, farewell);
    }

    /// A life of a session that goes on elsewhere ends.
    pub(crate) fn supersede(&mut self, id: ConnId) {
        if self.engine(id).is_none() {
            return;
        }
        if self
            .engine(id)
            .is_some_and(|engine| matches!(engine.carrier, Carrier::Socket(_)))
        {
            // Nobody listens at the other end, so there is nothing to say.
            return self.remove(id.slot, Farewell::Vanished);
        }
        self.end_session(id, Farewell::Vanished, &Packet::Close);
    }

    /// Where a session by polling has come from.
    pub(crate) fn polls_from(&mut self, id: ConnId) -> Option<IpAddr> {
        match &self.engine(id)?.carrier {
            Carrier::Polling(polling) => polling.from,
            Carrier::Socket(_) => None,
        }
    }

    pub(super) fn engine(&mut self, id: ConnId) -> Option<&mut Engine> {
        match &mut self.conns.find(id)?.talk {
            Talk::Engine(engine) => Some(engine),
            _ => None,
        }
    }

    /// A request that Engine.IO has a word against. What is not read of its body must not be taken for a request.
    pub(super) fn refuse_engine(&mut self, id: ConnId, error: RequestError, framing: BodyFraming) {
        if !is_bodyless(framing) {
            self.last_request(id);
        }
        self.answer(id, |responder, out, reply| {
            responder.engine_refused(out, reply, error);
        });
    }

    /// Its socket closes as a WebSocket does that carries too much or something else.
    pub(super) fn close_socket(&mut self, id: ConnId, code: CloseCode, text: &str) {
        self.close(id, Close::Violation(code), Some(text));
    }
}

/// Whether two secrets are the same, in a time that does not say where they differ.
fn same(one: &[u8; SECRET_BYTES], other: &[u8; SECRET_BYTES]) -> bool {
    one.iter()
        .zip(other)
        .fold(0, |differences, (a, b)| differences | (a ^ b))
        == 0
}
