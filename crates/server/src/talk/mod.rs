//! What each Conn speaks: one file per carrier and dialect, from its bytes to hub commands.

mod clear;
mod datagram;
mod echo;
mod engineio;
mod file;
mod http;
mod lines;
mod native;
mod payload;
mod proxied;
mod sniff;
mod socketio;
mod streaming;
mod text;
mod turned;

use taut_gate::Close;
use taut_gate::http::Responder;
use taut_hub::{ConnId, Door, RoomName};
use taut_wire::ws;

use crate::core::Core;
use crate::listen::Speaks;
use crate::metrics::DoorAt;

pub(crate) use datagram::{Proofs, Unproven};
pub(crate) use engineio::{Engine, Probe};
pub(crate) use http::HttpTalk;
pub(crate) use native::{Asked, Session, Wants};
pub(crate) use payload::UNASKED;
pub(crate) use streaming::StreamTalk;
pub(crate) use text::TextTalk;

/// What a Conn speaks at the moment. It begins undecided and may change: HTTP becomes a WebSocket or a stream.
#[derive(Debug)]
pub(crate) enum Talk {
    /// Its first bytes will say.
    Undecided,
    /// Its first bytes must be those of TLS.
    Secret,
    /// HTTP/1.x, request by request.
    Http(Box<HttpTalk>),
    /// The answer to a GET that streams; nothing more is read.
    Stream(Box<StreamTalk>),
    /// Native JSON, a line each.
    Lines(Box<Session>),
    /// Native JSON, a datagram each.
    Datagrams(Box<Session>),
    /// Whatever datagram peers say before their address is proved; see [`datagram`].
    Unproven(Box<Unproven>),
    /// A person at `nc`.
    Text(Box<TextTalk>),
    /// A WebSocket that carries payload only. The hub knows the room that it is in.
    Payload(Socket, Option<Box<Aside>>),
    /// A WebSocket that carries native JSON.
    Native(Socket, Box<Session>),
    /// An Engine.IO session.
    Engine(Box<Engine>),
    /// A WebSocket that an Engine.IO session is about to move to.
    Probe(Box<Probe>),
    /// It has said its farewell.
    Done,
}

/// A WebSocket's own state.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    pub(crate) decoder: ws::Decoder,
    pub(crate) deflate: bool,
    /// We have said Close; the peer's own ends the connection.
    pub(crate) closed: bool,
}

/// What a WebSocket with payload only has for a moment, or in few rooms.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// The room that it waits to be in.
    awaited: Option<RoomName>,
    /// What it said and will hear, in a room that echoes.
    echo: Option<Box<echo::Echo>>,
}

const _: () = assert!(size_of::<Talk>() == 32);

/// What one step of decoding came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// One unit, or a part that is absorbed: this many bytes.
    Took(usize),
    /// More bytes are needed.
    More,
    /// The Conn ends, and why.
    End(Close, Option<String>),
}

impl Step {
    /// A Violation that ends the Conn.
    pub(crate) fn violation(violation: &taut_wire::Violation) -> Self {
        Self::End(
            Close::Violation(ws::CloseCode::PROTOCOL),
            Some(violation.to_string()),
        )
    }
}

impl Talk {
    pub(crate) fn begin(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Anything | Speaks::Proxied => Self::Undecided,
            Speaks::Text => Self::Text(Box::default()),
            Speaks::Tls | Speaks::ProxiedTls => Self::Secret,
        }
    }

    pub(crate) fn door(&self) -> Door {
        Door(self.door_at().name())
    }

    /// The same as it is counted.
    pub(crate) fn door_at(&self) -> DoorAt {
        match self {
            Self::Undecided | Self::Secret | Self::Done => DoorAt::NONE,
            Self::Http(_) => DoorAt::HTTP,
            Self::Stream(stream) => stream.door_at(),
            Self::Lines(_) => DoorAt::LINES,
            Self::Datagrams(_) | Self::Unproven(_) => DoorAt::UDP,
            Self::Text(_) => DoorAt::TEXT,
            Self::Payload(..) | Self::Native(..) => DoorAt::WEBSOCKET,
            Self::Engine(_) | Self::Probe(_) => DoorAt::SOCKETIO,
        }
    }

    /// The WebSocket that it is carried by, where it is.
    fn socket(&mut self) -> Option<&mut Socket> {
        match self {
            Self::Payload(socket, _) | Self::Native(socket, _) => Some(socket),
            Self::Engine(engine) => engine.socket(),
            Self::Probe(probe) => Some(&mut probe.socket),
            _ => None,
        }
    }

    /// A WebSocket that waits to be in its room.
    fn payload(socket: Socket, room: RoomName) -> Self {
        let aside = Aside {
            awaited: Some(room),
            echo: None,
        };
        Self::Payload(socket, Some(Box::new(aside)))
    }

    /// Says farewell in the Conn's own protocol. `text` is what a Violation was about; it goes out where the protocol can carry it.
    pub(crate) fn farewell(
        &mut self,
        out: &mut Vec<u8>,
        close: Close,
        text: Option<&str>,
        seed: u32,
    ) {
        match self {
            // HTTP says its own problem before it closes; the others have nothing to say it in.
            Self::Undecided | Self::Secret | Self::Http(_) | Self::Unproven(_) | Self::Done => {}
            Self::Stream(stream) => stream.farewell(out, close, seed),
            Self::Lines(_) | Self::Datagrams(_) => {
                native::farewell(out, close, text, seed);
                out.push(b'\n');
            }
            Self::Text(_) => taut_gate::text::farewell(out, close, text),
            Self::Payload(socket, _) => socket.farewell(out, close, text),
            Self::Engine(engine) => engine.farewell(out, close, text, seed),
            Self::Probe(probe) => probe.socket.farewell(out, close, text),
            Self::Native(socket, _) => {
                if !matches!(close, Close::Asked) {
                    let mut bye = Vec::new();
                    native::farewell(&mut bye, close, text, seed);
                    socket.text_frame(out, &bye);
                }
                socket.farewell(out, close, text);
            }
        }
    }
}

impl Socket {
    /// One text frame of our own. Answers are not worth compressing.
    pub(crate) fn text_frame(&self, out: &mut Vec<u8>, payload: &[u8]) {
        ws::encode_frame(out, true, false, ws::Opcode::Text, payload, None);
    }

    fn farewell(&mut self, out: &mut Vec<u8>, close: Close, text: Option<&str>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let words = close.words();
        ws::encode_close(out, words.code, text.unwrap_or(words.word), None);
    }
}

impl Core {
    /// Decodes one unit of whatever the Conn speaks.
    pub(crate) fn talk(&mut self, id: ConnId, data: &mut [u8]) -> Step {
        let Some(conn) = self.conns.find(id) else {
            return Step::Took(data.len());
        };
        match conn.talk {
            Talk::Undecided | Talk::Secret => self.sniff(id, data, false),
            Talk::Http(_) => self.http(id, data),
            Talk::Lines(_) => self.json_line(id, data),
            Talk::Text(_) => self.text_line(id, data),
            Talk::Payload(..) | Talk::Native(..) => self.frame(id, data),
            Talk::Engine(_) => self.engine_unit(id, data),
            Talk::Probe(_) => self.probe_frame(id, data),
            // A client that streams has nothing to say any more.
            Talk::Stream(_) | Talk::Done => Step::Took(data.len()),
            // Their bytes come another way.
            Talk::Datagrams(_) | Talk::Unproven(_) => Step::Took(data.len()),
        }
    }

    /// The peer said FIN; `rest` is what it left unfinished.
    pub(crate) fn talk_end(&mut self, id: ConnId, rest: &[u8]) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        match conn.talk {
            Talk::Undecided | Talk::Secret => self.sniff_end(id, rest),
            Talk::Lines(_) => self.json_end(id, rest),
            Talk::Text(_) => self.text_end(id, rest),
            // Between two requests is where a client of HTTP says goodbye.
            Talk::Http(ref talk) if rest.is_empty() && talk.rests() && conn.output.is_none() => {
                self.remove(id.slot, taut_hub::Farewell::Said);
            }
            // A client that ends an HTTP or WebSocket connection has gone; a farewell under way may still arrive.
            Talk::Http(_)
            | Talk::Stream(_)
            | Talk::Payload(..)
            | Talk::Native(..)
            | Talk::Engine(_)
            | Talk::Probe(_)
            | Talk::Done => self.leave(id),
            Talk::Datagrams(_) | Talk::Unproven(_) => {}
        }
    }

    /// The peer is gone, unless answers to it are still on their way out.
    fn leave(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if conn.output.is_some() {
            self.close_after_output(id);
        } else {
            self.remove(id.slot, taut_hub::Farewell::Vanished);
        }
    }

    /// What else depends on a Conn that has gone: the session that it polled for, or whoever polled for it.
    pub(crate) fn tell_of_end(&mut self, id: ConnId, talk: Talk) {
        if let Some(session) = talk.session() {
            return self.poll_gone(id, session);
        }
        match talk {
            Talk::Engine(mut engine) => self.session_gone(&mut engine),
            Talk::Probe(probe) => self.probe_gone(id, &probe),
            _ => {}
        }
    }

    /// The head of HTTP answers, with the date of this turn.
    pub(crate) fn responder(&mut self) -> &mut Responder {
        self.responder.look_at_clock(self.now.unix_ms / 1_000);
        &mut self.responder
    }
}
