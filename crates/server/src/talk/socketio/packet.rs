//! What a client says: packets, attachments, and what its events stand for.

use std::borrow::Cow;
use std::sync::Arc;

use taut_gate::socketio::{self as gate, Emitted, Heard, encode_ack, encode_event};
use taut_gate::{Close, Command, Speaker, native};
use taut_hub::{ConnId, Farewell, Input, Output, Refusal, RoomName};
use taut_wire::Violation;
use taut_wire::native::Rejected;
use taut_wire::socketio::{self as wire, Assembly, Content, Limits, Packet, Progress};

use super::super::{Step, Talk};
use super::{About, NAMESPACES_MAX, SocketIo, What};
use crate::application::{self, Application, Say};
use crate::core::{Asker, Core, Flag};

const CLAUSE: &str = "Socket.IO v5, exchange protocol";

/// What an event becomes.
struct Event<'a> {
    namespace: &'a str,
    ack: Option<u64>,
    name: &'a str,
    list: wire::List<'a>,
    attachments: &'a [Vec<u8>],
}

impl Core {
    /// One message of the carrier.
    pub(in super::super) fn socketio_packet(&mut self, id: ConnId, text: &str) -> Step {
        let Some(socketio) = self.socketio(id) else {
            return Step::More;
        };
        if socketio.is_assembling() {
            return Step::violation(&Assembly::interrupted());
        }
        let packet = match wire::decode(text, &Limits::default()) {
            Ok(packet) => packet,
            Err(violation) => return Step::violation(&violation),
        };
        let is_in = socketio.namespace(packet.namespace).is_some();
        match (&packet.content, is_in) {
            (Content::Connect(_), false) if socketio.namespaces.len() >= NAMESPACES_MAX => {
                let max = u32::try_from(NAMESPACES_MAX).unwrap_or(u32::MAX);
                self.refuse_entering(id, packet.namespace, &Refusal::TooManyRoomsPerConn { max });
                Step::Took(0)
            }
            (Content::Connect(auth), false) => {
                self.enter_namespace(id, packet.namespace, auth);
                self.pause_if_full(id);
                Step::Took(0)
            }
            (Content::Connect(_), true) => violated("a namespace is entered twice"),
            (Content::Disconnect, true) => {
                self.leave_namespace(id, packet.namespace);
                self.pause_if_full(id);
                Step::Took(0)
            }
            (_, false) => violated("something is said in a namespace that was not entered"),
            (Content::ConnectError(_), true) => {
                violated("a client refuses a namespace, which only a server does")
            }
            (Content::Event(_) | Content::Ack(_), true) if packet.attachments > 0 => {
                self.begin_assembly(id, &packet)
            }
            (Content::Event(event), true) => {
                self.event(
                    id,
                    &Event {
                        namespace: packet.namespace,
                        ack: packet.id,
                        name: &event.name,
                        list: event.arguments,
                        attachments: &[],
                    },
                );
                Step::Took(0)
            }
            // We ask for none, so there is nobody to hand it to.
            (Content::Ack(_), true) => Step::Took(0),
        }
    }

    fn begin_assembly(&mut self, id: ConnId, packet: &Packet<'_>) -> Step {
        let bytes_max = self.limits.engine.payload_bytes_max;
        match Assembly::begin(packet, bytes_max) {
            Ok(assembly) => {
                if let Some(socketio) = self.socketio(id) {
                    socketio.active.get_or_insert_default().assembly = Some(assembly);
                }
                self.await_attachments(id, true);
                Step::Took(0)
            }
            Err(violation) => Step::violation(&violation),
        }
    }

    /// One attachment of the packet under way.
    pub(in super::super) fn socketio_attachment(
        &mut self,
        id: ConnId,
        bytes: Cow<'_, [u8]>,
    ) -> Step {
        let Some(socketio) = self.socketio(id) else {
            return Step::More;
        };
        let Some(under_way) = socketio.active.as_mut().map(|active| &mut active.assembly) else {
            return Step::violation(&Assembly::unexpected());
        };
        let Some(assembly) = under_way else {
            return Step::violation(&Assembly::unexpected());
        };
        match assembly.attach(bytes) {
            Ok(Progress::Missing(_)) => return Step::Took(0),
            Ok(Progress::Whole) => {}
            Err(violation) => return Step::violation(&violation),
        }
        let Some(assembly) = under_way.take() else {
            return Step::Took(0);
        };
        self.await_attachments(id, false);
        let packet = assembly.packet();
        if let Content::Event(event) = &packet.content {
            let event = Event {
                namespace: packet.namespace,
                ack: packet.id,
                name: &event.name,
                list: event.arguments,
                attachments: assembly.attachments(),
            };
            self.event(id, &event);
        }
        Step::Took(0)
    }

    /// A whole event.
    fn event(&mut self, id: ConnId, event: &Event<'_>) {
        if let Some(application) = self.application.clone() {
            return self.event_application(id, event, &*application);
        }
        let name = self.name_of(id);
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(namespace) = socketio.namespace(event.namespace) else {
            return;
        };
        let (room, namespace) = (namespace.room.clone(), Arc::clone(&namespace.name));
        let Some(door) = self.conns.find(id).map(|conn| conn.door()) else {
            return;
        };
        // Where tokens mean something, none must reach a room because its client is in no other namespace.
        let is_token = event.name == "auth" && self.takes_tokens();
        let room = room.filter(|_| !is_token);
        let emitted = Emitted {
            name: event.name,
            arguments: event.list.values().collect(),
            attachments: event.attachments,
        };
        match gate::emitted(&emitted, room.as_ref(), &Speaker { name, door }) {
            Ok(Heard::Verb(command) | Heard::Said(command)) => {
                self.carry_out(id, &namespace, event.ack, command);
            }
            Err(rejected) => self.say_rejected(id, &namespace, event.ack, &rejected),
        }
    }

    /// Carries a command to the hub under a ticket that remembers whom to answer.
    fn carry_out(&mut self, id: ConnId, namespace: &Arc<str>, ack: Option<u64>, command: Command) {
        if let Command::Auth { token } = command {
            return self.auth_by_verb(id, namespace, ack, token);
        }
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let verb = |about| What::Verb { ack, about };
        let input = match command {
            Command::Publish { room, draft, taken } => Input::Publish {
                conn: id,
                ticket: socketio.ask(namespace, verb(About::Publish(taken))),
                room,
                draft,
            },
            Command::Join { room, join } => {
                let what = verb(About::Join(room.clone()));
                let ticket = match join.state {
                    true => socketio.read(namespace, what),
                    false => socketio.ask(namespace, what),
                };
                Input::Join {
                    conn: id,
                    ticket,
                    room,
                    join,
                }
            }
            Command::Leave { room } => return self.leave_by_verb(id, namespace, ack, room),
            Command::Read { room, range } => {
                let ticket = socketio.read(namespace, verb(About::Read));
                Input::Read {
                    conn: id,
                    ticket,
                    room,
                    range,
                }
            }
            Command::Who { room, counts } => {
                let ticket = socketio.read(namespace, verb(About::Read));
                Input::Who {
                    conn: id,
                    ticket,
                    room,
                    counts,
                }
            }
            // Not among the verbs.
            Command::PublishBatch { .. }
            | Command::ReadState { .. }
            | Command::Fetch { .. }
            | Command::Rename { .. }
            | Command::Auth { .. }
            | Command::Ping => return,
        };
        self.hub(input);
        self.pause_if_full(id);
    }

    /// Reads no more while as much waits for answers as may.
    fn pause_if_full(&mut self, id: ConnId) {
        if self.socketio(id).is_some_and(|socketio| socketio.is_full())
            && let Some(conn) = self.conns.find(id)
        {
            conn.flags.set(Flag::Paused, true);
        }
    }

    /// The client leaves a namespace, and the rooms that nothing else of it hears.
    pub(super) fn leave_namespace(&mut self, id: ConnId, namespace: &str) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let Some(index) = socketio
            .namespaces
            .iter()
            .position(|known| &*known.name == namespace)
        else {
            return;
        };
        let left = socketio.namespaces.remove(index);
        let gone: Vec<RoomName> = socketio
            .views
            .extract_if(.., |view| view.namespace == left.name)
            .map(|view| view.name)
            .collect();
        for room in gone {
            self.leave_room(id, &left.name, room, Farewell::Said);
        }
        self.release(id);
        self.choose_format(id);
    }

    /// Leaves a room, unless a namespace still hears it, or is about to.
    pub(super) fn leave_room(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        room: RoomName,
        farewell: Farewell,
    ) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        if socketio.hears(&room, None) {
            return;
        }
        let ticket = socketio.ask(namespace, What::Nothing);
        self.hub(Input::Leave {
            conn: id,
            ticket,
            room,
            farewell,
        });
    }

    /// `emit("leave", room)`.
    pub(super) fn leave_by_verb(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        ack: Option<u64>,
        room: RoomName,
    ) {
        let Some(socketio) = self.socketio(id) else {
            return;
        };
        let was_in = socketio.hide(namespace, &room);
        let elsewhere = socketio.hears(&room, Some(namespace));
        let about = About::Leave(room.clone());
        let ticket = socketio.ask(namespace, What::Verb { ack, about });
        self.choose_format(id);
        // Another namespace goes on hearing it, so the hub has nothing to do.
        match (elsewhere, was_in) {
            (false, _) => self.hub(Input::Leave {
                conn: id,
                ticket,
                room,
                farewell: Farewell::Said,
            }),
            (true, true) => self.settle(Output::Left {
                conn: id,
                ticket,
                room,
            }),
            (true, false) => self.settle(Output::Refused {
                conn: id,
                ticket,
                refusal: Refusal::NotJoined { room },
            }),
        }
    }

    /// `emit("auth", token)`. An open server takes no notice of tokens, where no application does.
    fn auth_by_verb(
        &mut self,
        id: ConnId,
        namespace: &Arc<str>,
        ack: Option<u64>,
        token: Box<str>,
    ) {
        if self.takes_tokens() {
            let asker = Asker::Verb(Arc::clone(namespace), ack);
            return self.show_token(id, token, asker);
        }
        let mut unit = Vec::new();
        native::encode_authed(&mut unit, None, None, 0);
        self.say_ack(id, namespace, ack, &unit);
    }

    /// What is wrong with an event: in its acknowledgement, or else as an event of its own.
    fn say_rejected(
        &mut self,
        id: ConnId,
        namespace: &str,
        ack: Option<u64>,
        rejected: &Rejected<'_>,
    ) {
        self.counts.refusals.count(rejected.code);
        let mut unit = Vec::new();
        rejected.encode(&mut unit);
        self.say_refusal(id, namespace, ack, &unit);
    }

    /// The acknowledgement of a verb, where it is wanted.
    pub(crate) fn say_ack(&mut self, id: ConnId, namespace: &str, ack: Option<u64>, unit: &[u8]) {
        if let Some(ack) = ack {
            self.say(id, |out, framing| {
                encode_ack(out, framing, namespace, ack, unit);
            });
        }
    }

    pub(crate) fn say_refusal(
        &mut self,
        id: ConnId,
        namespace: &str,
        ack: Option<u64>,
        unit: &[u8],
    ) {
        self.say(id, |out, framing| match ack {
            Some(ack) => encode_ack(out, framing, namespace, ack, unit),
            None => encode_event(out, framing, namespace, "taut:error", unit, None),
        });
    }

    /// A client enters a namespace of an application.
    pub(super) fn enter_application(
        &mut self,
        id: ConnId,
        namespace: &str,
        auth: &str,
        application: &dyn Application,
    ) {
        let Some(says) = application.enter(namespace, auth) else {
            self.say(id, |out, framing| {
                gate::encode_packet(out, &mut Vec::new(), framing, |out| {
                    wire::encode_connect_error(out, namespace, "Invalid namespace", None);
                });
            });
            return;
        };
        let public_id = self.sessions.secret();
        if let Some(socketio) = self.socketio(id) {
            socketio.namespaces.push(super::Namespace {
                name: namespace.into(),
                room: None,
                public_id,
                entering: None,
            });
        }
        self.entered(id);
        let sid = crate::session::encode_public_id(&public_id);
        self.say(id, |out, framing| {
            gate::encode_packet(out, &mut Vec::new(), framing, |out| {
                wire::encode_connected(out, namespace, &sid, None);
            });
        });
        self.say_all(id, namespace, None, says);
    }

    fn event_application(&mut self, id: ConnId, event: &Event<'_>, application: &dyn Application) {
        let heard = application::Heard {
            name: event.name,
            arguments: event.list.json,
            attachments: event.attachments,
            wants_ack: event.ack.is_some(),
        };
        let says = application.hear(event.namespace, &heard);
        self.say_all(id, event.namespace, event.ack, says);
    }

    /// What an application says.
    fn say_all(&mut self, id: ConnId, namespace: &str, ack: Option<u64>, says: Vec<Say>) {
        for said in says {
            let count = u32::try_from(said.attachments.len()).unwrap_or(u32::MAX);
            let arguments = [wire::Argument::Json(said.arguments.as_bytes())];
            self.say(id, |out, framing| {
                gate::encode_packet(out, &mut Vec::new(), framing, |out| {
                    match (&said.event, ack) {
                        (Some(event), _) => {
                            wire::encode_event(out, namespace, count, event, &arguments);
                        }
                        (None, Some(ack)) => {
                            wire::encode_ack(out, namespace, count, ack, &arguments);
                        }
                        (None, None) => {}
                    }
                });
                for attachment in &said.attachments {
                    gate::encode_attachment(out, framing, attachment);
                }
            });
        }
    }

    /// Writes something of our own to a session.
    pub(super) fn say(&mut self, id: ConnId, encode: impl FnOnce(&mut Vec<u8>, gate::Framing)) {
        let Some(framing) = self.framing(id) else {
            return;
        };
        if let Some(conn) = self.conns.find(id) {
            encode(conn.answers(), framing);
        }
        self.touch(id.slot);
    }

    /// How a session's packets become bytes.
    pub(super) fn framing(&mut self, id: ConnId) -> Option<gate::Framing> {
        match &self.conns.find(id)?.talk {
            Talk::Engine(engine) => Some(engine.framing()),
            _ => None,
        }
    }

    pub(in super::super) fn socketio(&mut self, id: ConnId) -> Option<&mut SocketIo> {
        match &mut self.conns.find(id)?.talk {
            Talk::Engine(engine) => engine.socketio(),
            _ => None,
        }
    }
}

fn violated(text: &'static str) -> Step {
    let violation = Violation::new(CLAUSE, text);
    Step::End(
        Close::Violation(taut_wire::ws::CloseCode::PROTOCOL),
        Some(violation.to_string()),
    )
}
