//! HTTP/1.x, request by request on one kept-alive connection: pages, POSTs, reads and polls; streams and WebSockets end it.

mod answer;
mod api;
mod body;
mod deeds;
mod forwarded;

use std::sync::Arc;

use taut_files::Conditions;
use taut_gate::Format;
use taut_gate::http::{
    self as gate_http, Action, LibraryFile, Poll, Problem, Publish, Reply, Routed,
};
use taut_hub::{ConnId, Door, Farewell, Input, Join, Ticket, Watch};
use taut_wire::http::{self, BodyDecoder, Framing, Version};
use taut_wire::native::Taken;

use super::engineio::Posting;
use super::file::Errand;
use super::{Session, Socket, Step, Talk};
use crate::core::{Core, Flag};
use crate::files::Wanted;
use crate::library;
use crate::limits::Cost;
use crate::page;

/// Bytes of a request head.
pub(super) const HEAD: http::Limits = http::Limits {
    head_bytes_max: 16 << 10,
    headers_max: 100,
    target_bytes_max: 8 << 10,
};
/// The ticket of an HTTP request: there is never more than one at a time.
const THE_REQUEST: Ticket = Ticket(1);
/// The ticket of the membership that a waiting poll holds.
const THE_WAIT: Ticket = Ticket(2);

/// Where a connection stands within a request.
#[derive(Debug, Default)]
pub(crate) struct HttpTalk {
    pub(crate) phase: Phase,
    reply: Reply,
    /// Whether its first request has come: the later ones have their own clock.
    served: bool,
    /// It may do everything, until the request to the API under way is answered.
    is_lifted: bool,
    /// That request came with a key of the API: no rate holds for it.
    has_key: bool,
    /// The request under way has waited for a key that did not come.
    pub(crate) is_impatient: bool,
}

impl HttpTalk {
    /// Whether it is between two requests.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.phase, Phase::Head)
    }
}

#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// A head comes next.
    #[default]
    Head,
    /// The body of a POST comes in.
    Body {
        decoder: BodyDecoder,
        publish: Box<Publish>,
        bytes: Vec<u8>,
    },
    /// A list over all cores is on its way.
    Surveying,
    /// The hub is asked.
    Asked(Question),
    /// A poll waits for a message.
    Waiting(Poll),
    /// A file is read and sent.
    File(Errand),
    /// An Engine.IO session's: waits for its packets, or for it to have decoded some.
    Polling(ConnId),
    /// The body of a POST to an Engine.IO session comes in.
    Posting(Box<Posting>),
}

/// What the hub is asked, as far as its answer depends on it.
#[derive(Debug)]
pub(crate) enum Question {
    /// Who is there, or what is set.
    Plain,
    /// For messages, and perhaps to wait for them.
    Page(Poll),
    /// For one key, and which versions of it the client has.
    Key(Option<String>),
    /// To take something.
    Take(Taken),
}

impl Core {
    /// One step: a head, or a part of a body.
    pub(super) fn http(&mut self, id: ConnId, data: &[u8]) -> Step {
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let Talk::Http(talk) = &mut conn.talk else {
            return Step::More;
        };
        match &mut talk.phase {
            Phase::Head => self.head(id, data),
            Phase::Body { .. } => self.body(id, data),
            // Paused: what is pipelined behind the request waits.
            Phase::Posting(_) => self.posted(id, data),
            Phase::Surveying
            | Phase::Asked(_)
            | Phase::Waiting(_)
            | Phase::File(_)
            | Phase::Polling(_) => Step::More,
        }
    }

    fn head(&mut self, id: ConnId, data: &[u8]) -> Step {
        let parsed = http::parse_request(data, &HEAD);
        let (request, length) = match parsed {
            Ok(Some(parsed)) => parsed,
            Ok(None) => {
                self.time_request(id);
                return Step::More;
            }
            Err(error) => return self.http_violation(id, &error),
        };
        let Routed {
            action,
            origin,
            head_only,
            credentials,
        } = gate_http::route(&request, &self.site);
        let reply = Reply {
            keep_alive: request.keep_alive,
            http10: request.version == Version::Http10,
            head_only,
            origin,
            credentials,
        };
        let framing = request.framing;
        let expects = request.expects_continue;
        self.time_request(id);
        if let Some(talk) = self.http_talk(id) {
            talk.reply = reply;
        }
        if let Some(problem) = self.turned_problem(id, &action) {
            self.answer_problem(id, &problem);
            return Step::Took(length);
        }
        if let Err(problem) = self.hear_proxy(id, &request.headers) {
            self.last_request(id);
            self.answer_problem(id, &problem);
            return Step::Took(length);
        }
        if self.takes_tokens() && stands_for_somebody(&action) {
            let shown = gate_http::shown(&request, &self.site);
            match self.identify_request(
                id,
                shown.as_ref().map(|shown| &*shown.token),
                &request.headers,
            ) {
                None => {}
                Some(None) => return Step::More,
                Some(Some(problem)) => return self.turn_down(id, &problem, framing, length),
            }
            match self.ask_about_request(id, &request, &action, shown.as_ref()) {
                None => {}
                Some(None) => return Step::More,
                Some(Some(problem)) => return self.turn_down(id, &problem, framing, length),
            }
        }
        match action {
            Action::File(asked) if is_bodyless(framing) => {
                let wanted = Wanted {
                    method: request.method.into(),
                    path: asked.path.clone(),
                    query: asked.query.clone(),
                    conditions: Conditions::from_headers(&request.headers),
                    now_unix_s: self.now.unix_ms / 1_000,
                };
                self.ask_for_file(id, &asked, wanted);
            }
            Action::Engine(asked) => {
                if asked.sid.is_none() {
                    self.keep_head(id, &request);
                }
                return self.engine_request(id, asked, framing, expects, data, length);
            }
            Action::RefuseEngine(error) => self.refuse_engine(id, error, framing),
            Action::Library(name) if is_bodyless(framing) => {
                let known = request.headers.first("if-none-match").map(str::to_owned);
                self.answer_library(id, &name, known.as_deref());
            }
            action => self.begin(id, action, framing, expects),
        }
        Step::Took(length)
    }

    /// Who asks is not let in. A body is not worth reading; closing keeps it from being taken for a request.
    fn turn_down(
        &mut self,
        id: ConnId,
        problem: &Problem,
        framing: Framing,
        length: usize,
    ) -> Step {
        if !is_bodyless(framing) {
            self.last_request(id);
        }
        self.answer_problem(id, problem);
        Step::Took(length)
    }

    /// The head is read: what has a body waits for it, the rest is done at once.
    fn begin(&mut self, id: ConnId, action: Action, framing: Framing, expects: bool) {
        let bodyless = is_bodyless(framing);
        match action {
            Action::Api(asked) => self.api(id, *asked, framing, expects),
            Action::Publish(publish) => self.expect_body(id, publish, framing, expects),
            Action::Refuse(problem) => {
                if problem.code == "host-refused" || problem.code == "origin-refused" {
                    tell!(self, id, WARN, reason = problem.code, "{}", problem.detail);
                }
                if !bodyless {
                    // Its body is not worth reading; closing keeps it from being taken for a request.
                    self.last_request(id);
                }
                self.answer_problem(id, &problem);
            }
            action if bodyless => self.act(id, action),
            _ => {
                self.last_request(id);
                let detail = "only POST and PUT have a body here; send this request without one";
                self.answer_problem(id, &Problem::new(400, "unexpected-body", detail));
            }
        }
    }

    /// Everything that needs no body.
    fn act(&mut self, id: ConnId, action: Action) {
        match action {
            Action::Page => self.answer(id, |responder, out, reply| {
                responder.page(out, reply, page::HTML);
            }),
            Action::Icon => self.answer(id, |responder, out, reply| {
                responder.icon(out, reply, page::ICON);
            }),
            Action::Live => self.answer(id, |responder, out, reply| responder.well(out, reply)),
            Action::Ready => self.answer_ready(id),
            Action::Preflight { allow } => self.answer(id, |responder, out, reply| {
                responder.preflight(out, reply, allow);
            }),
            Action::Read(poll) => self.read_room(id, poll),
            Action::Who { room, counts } => {
                self.ask_hub(id, Question::Plain, |conn, _| Input::Who {
                    conn,
                    ticket: THE_REQUEST,
                    room,
                    counts,
                });
            }
            Action::State(room) => {
                self.ask_hub(id, Question::Plain, |conn, _| Input::ReadState {
                    conn,
                    ticket: THE_REQUEST,
                    room,
                    key: None,
                });
            }
            Action::Get(get) => {
                self.ask_hub(id, Question::Key(get.known), |conn, _| Input::ReadState {
                    conn,
                    ticket: THE_REQUEST,
                    room: get.room,
                    key: Some(get.key),
                });
            }
            Action::Delete(deletion) => self.delete(id, deletion),
            Action::Stream(streams) => self.stream(id, streams),
            Action::Socket(socket) => self.upgrade(id, socket),
            Action::Refuse(problem) => self.answer_problem(id, &problem),
            // Handled where their body and their head are.
            Action::Publish(_)
            | Action::Api(_)
            | Action::File(_)
            | Action::Engine(_)
            | Action::RefuseEngine(_)
            | Action::Library(_) => {}
        }
    }

    fn stream(&mut self, id: ConnId, streams: gate_http::Streams) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let reply = talk.reply.clone();
        let mut head = Vec::new();
        self.responder()
            .stream_head(&mut head, &reply, streams.streaming);
        if reply.head_only {
            return self.answer(id, |_, out, _| out.extend_from_slice(&head));
        }
        self.begin_stream(id, streams, !reply.http10, head);
    }

    /// A file of the client library, or what to do where it was not built in.
    fn answer_library(&mut self, id: ConnId, name: &str, known: Option<&str>) {
        let Some(file) = library::file(name) else {
            let detail = if library::NAMES.contains(&name) {
                library::MISSING
            } else {
                "the client library has no such file; it is at /socket.io/socket.io.js"
            };
            return self.answer_problem(id, &Problem::new(404, "not-found", detail));
        };
        self.answer(id, |responder, out, reply| {
            let file = LibraryFile {
                bytes: file.bytes,
                content_type: file.content_type,
                tag: &file.etag,
                is_known: known.is_some_and(|known| known.contains(&file.etag)),
            };
            responder.library(out, reply, &file);
        });
    }

    fn upgrade(&mut self, id: ConnId, socket: gate_http::Socket) {
        if socket.room.is_some()
            && let Some(over) = self.limiter.wait(id.slot, Cost::Join)
        {
            return self.answer_problem(id, &gate_http::refused(&over.refusal()));
        }
        self.open(id);
        if let (Some(name), Some(conn)) = (&socket.name, self.conns.find(id)) {
            conn.name.set(name);
        }
        let room = socket.room.map(|room| self.shard.shared_name(room));
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        taut_wire::ws::handshake::encode_answer(conn.answers(), &socket.answer);
        let state = Socket {
            deflate: socket.answer.deflate.is_some(),
            ..Socket::default()
        };
        // Shared frames are made with the largest window; a peer that asked for a smaller one is sent plain ones.
        let shares = socket
            .answer
            .deflate
            .is_some_and(|params| params.window_bits == taut_gate::WINDOW_BITS);
        conn.format = Format::socket(socket.native, shares);
        conn.talk = match (&room, socket.native) {
            (Some(room), false) => Talk::payload(state, room.clone()),
            _ => Talk::Native(state, Box::<Session>::default()),
        };
        self.set_alarm(id.slot, self.limits.ping_ms);
        self.touch(id.slot);
        if socket.native {
            self.await_token(id);
        }
        let Some(room) = room else {
            return;
        };
        let name = self.name_once(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let join = Join {
            name,
            door: conn.door(),
            start: socket.start,
            presence: match socket.native {
                true => socket.presence,
                false => Watch::Nothing,
            },
            data: None,
            state: socket.native && socket.state,
        };
        if socket.native {
            self.command(id, taut_gate::Command::Join { room, join }, None);
        } else {
            self.hub(Input::Join {
                conn: id,
                ticket: THE_REQUEST,
                room,
                join,
            });
        }
    }

    fn read_room(&mut self, id: ConnId, poll: Poll) {
        let (room, range) = (poll.room.clone(), poll.range);
        self.ask_hub(id, Question::Page(poll), |conn, _| Input::Read {
            conn,
            ticket: THE_REQUEST,
            room,
            range,
        });
    }

    /// Asks the hub and pauses until it has answered, which is at once where this core is the room's home.
    fn ask_hub(
        &mut self,
        id: ConnId,
        about: Question,
        question: impl FnOnce(ConnId, Door) -> Input,
    ) {
        self.open(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let door = conn.door();
        conn.flags.set(Flag::Paused, true);
        if let Talk::Http(talk) = &mut conn.talk {
            talk.phase = Phase::Asked(about);
        }
        self.set_alarm_off(id.slot);
        self.hub(question(id, door));
    }

    /// Becomes a member that is told of the next message and then reads again.
    fn wait(&mut self, id: ConnId, poll: Poll) {
        let name = match &poll.name {
            Some(name) => Arc::clone(name),
            None => self.name_once(id),
        };
        let join = Join {
            name,
            door: Door("http"),
            start: poll.range.start,
            presence: Watch::Nothing,
            data: None,
            state: false,
        };
        let (room, wait_ms) = (poll.room.clone(), poll.wait_ms);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.format = Format::Poll;
        if let Talk::Http(talk) = &mut conn.talk {
            talk.phase = Phase::Waiting(poll);
        }
        self.set_alarm(id.slot, wait_ms);
        self.hub(Input::Join {
            conn: id,
            ticket: THE_WAIT,
            room,
            join,
        });
    }

    /// A message has come, or the time is up: leave, and answer with whatever there is.
    pub(crate) fn end_wait(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.format = Format::None;
        let Talk::Http(talk) = &mut conn.talk else {
            return;
        };
        let Phase::Waiting(mut poll) = std::mem::take(&mut talk.phase) else {
            return;
        };
        poll.wait_ms = 0;
        self.hub(Input::Leave {
            conn: id,
            ticket: THE_WAIT,
            room: poll.room.clone(),
            // The next poll is about to come: until then it is there.
            farewell: Farewell::Vanished,
        });
        self.read_room(id, poll);
    }

    /// Whether the Conn waits in a poll.
    pub(crate) fn is_waiting(&mut self, id: ConnId) -> bool {
        self.http_talk(id)
            .is_some_and(|talk| matches!(talk.phase, Phase::Waiting(_)))
    }

    /// Whether the Conn is between two requests.
    pub(crate) fn is_between_requests(&mut self, id: ConnId) -> bool {
        let unread = self
            .conns
            .find(id)
            .is_some_and(|conn| !conn.input.is_empty());
        !unread
            && self
                .http_talk(id)
                .is_some_and(|talk| matches!(talk.phase, Phase::Head))
    }

    /// The clock of a request starts at its first byte, also on a connection kept alive.
    fn time_request(&mut self, id: ConnId) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        if std::mem::take(&mut talk.served) {
            self.set_alarm(id.slot, self.limits.handshake_ms_max);
        }
    }

    /// How the answer to the request under way is written.
    pub(super) fn reply(&mut self, id: ConnId) -> Reply {
        self.http_talk(id)
            .map_or_else(Reply::last, |talk| talk.reply.clone())
    }

    pub(crate) fn http_talk(&mut self, id: ConnId) -> Option<&mut HttpTalk> {
        match &mut self.conns.find(id)?.talk {
            Talk::Http(talk) => Some(talk),
            _ => None,
        }
    }

    /// The connection ends with the answer to the request under way.
    pub(crate) fn last_request(&mut self, id: ConnId) {
        if let Some(talk) = self.http_talk(id) {
            talk.reply.keep_alive = false;
        }
    }
}

/// Who says something without a name and without a connection to tell it by.
fn guest() -> Arc<str> {
    Arc::from("guest")
}

/// Whether it matters who asks. A page and the files are for everybody, and what an Engine.IO session brings is whoever's the session is.
fn stands_for_somebody(action: &Action) -> bool {
    match action {
        Action::Publish(_)
        | Action::Delete(_)
        | Action::State(_)
        | Action::Get(_)
        | Action::Stream(_)
        | Action::Read(_)
        | Action::Who { .. }
        | Action::Socket(_) => true,
        Action::Engine(asked) => asked.sid.is_none(),
        _ => false,
    }
}

pub(super) fn is_bodyless(framing: Framing) -> bool {
    matches!(framing, Framing::None | Framing::Length(0))
}
