//! From polling to a WebSocket (Engine.IO protocol v4, “Upgrade”): the client probes it, the server answers, the client stops polling and says so.
//!
//! Between our answer to the probe and the client's word every poll is answered with NOOP at once and the heartbeat rests: a client that waits for
//! its poll to come back cannot finish the move, and would be thought dead.

use taut_gate::Close;
use taut_hub::ConnId;
use taut_wire::Violation;
use taut_wire::engineio::{self, Packet};
use taut_wire::ws::{self, CloseCode, Event, handshake};

use super::super::{Socket, Step, Talk};
use super::{CLAUSE, Carrier};
use crate::core::{Core, Flag};

/// A WebSocket that a session is to move to.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(in super::super) socket: Socket,
    session: ConnId,
    /// The client has been told that the WebSocket works.
    answered: bool,
}

impl Core {
    /// A WebSocket for a session that there is already.
    pub(super) fn begin_probe(&mut self, id: ConnId, session: ConnId, answer: &handshake::Answer) {
        let upgrade_ms_max = self.limits.engine.upgrade_ms_max;
        let under_way = self.probe_of(session).is_some();
        let Some(engine) = self.engine(session) else {
            return;
        };
        let is_wanted = match &mut engine.carrier {
            Carrier::Polling(polling) if !under_way => {
                polling.probe = Some(id);
                true
            }
            _ => false,
        };
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        handshake::encode_answer(conn.answers(), answer);
        conn.talk = Talk::Probe(Box::new(Probe {
            socket: Socket::default(),
            session,
            answered: false,
        }));
        if !is_wanted {
            let text = "the session has a WebSocket, or is about to move to another one";
            return self.close_socket(id, CloseCode::POLICY, text);
        }
        self.set_alarm(id.slot, upgrade_ms_max);
        self.touch(id.slot);
    }

    /// One frame of a WebSocket that is not the session's own yet.
    pub(in super::super) fn probe_frame(&mut self, id: ConnId, data: &mut [u8]) -> Step {
        let settings = ws::Settings {
            role: ws::Role::Server,
            message_bytes_max: self.limits.engine.payload_bytes_max,
            deflate: false,
        };
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let Talk::Probe(probe) = &mut conn.talk else {
            return Step::More;
        };
        let decoded = match probe
            .socket
            .decoder
            .decode(&settings, data, &mut self.inflater)
        {
            Ok(decoded) => decoded,
            Err(error) => {
                return Step::End(
                    Close::Violation(error.code),
                    Some(error.violation.to_string()),
                );
            }
        };
        let consumed = decoded.consumed;
        let text = match decoded.event {
            None if consumed == 0 => return Step::More,
            None | Some(Event::Pong(_)) => return Step::Took(consumed),
            Some(Event::Text(text)) => text.into_owned(),
            Some(Event::Close(frame)) => {
                let code = frame.map(|frame| frame.code);
                return self.peer_closed(id, code);
            }
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
                return Step::Took(consumed);
            }
            Some(Event::Binary(_)) => String::new(),
        };
        let session = probe.session;
        match (engineio::decode_text(&text), probe.answered) {
            (Ok(Packet::Ping("probe")), false) => {
                probe.answered = true;
                let mut answer = Vec::new();
                engineio::encode_text(&mut answer, &Packet::Pong("probe"));
                ws::encode_frame(conn.answers(), true, false, ws::Opcode::Text, &answer, None);
                self.touch(id.slot);
                // A poll that waits is let go.
                self.touch(session.slot);
                Step::Took(consumed)
            }
            // What it posts would be lost between the two; it goes on polling.
            (Ok(Packet::Upgrade), true) if self.is_posting(session) => {
                Step::violation(&Violation::new(
                    CLAUSE,
                    "a client moves to a WebSocket when its POST has been answered",
                ))
            }
            (Ok(Packet::Upgrade), true) => {
                let rest = data.get(consumed..).unwrap_or_default().to_vec();
                self.upgraded(id, rest);
                Step::Took(data.len())
            }
            _ => Step::violation(&Violation::new(
                CLAUSE,
                "a WebSocket of a session that polls says `2probe`, then `5`",
            )),
        }
    }

    /// The client has moved: the session goes on over the WebSocket, and what waited for a poll goes out there.
    fn upgraded(&mut self, id: ConnId, rest: Vec<u8>) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let Talk::Probe(probe) = std::mem::replace(&mut conn.talk, Talk::Done) else {
            return;
        };
        let session = probe.session;
        let under_way = conn.take_answers();
        // A poll has nothing to wait for any more.
        self.let_go(session, &Packet::Noop);
        let Some(of_session) = self.conns.find(session) else {
            return self.close(id, Close::Asked, None);
        };
        let waiting = of_session.take_answers();
        let Talk::Engine(engine) = &mut of_session.talk else {
            return;
        };
        engine.carrier = Carrier::Socket(probe.socket);
        let out = of_session.answers();
        out.extend_from_slice(&under_way);
        in_frames(out, &waiting);
        self.attach(session, id, rest);
        self.beat_on(session);
        self.look_again(session);
    }

    /// Whether a POST is under way, or not all of one has been decoded.
    fn is_posting(&mut self, session: ConnId) -> bool {
        self.polling(session)
            .is_some_and(|polling| polling.post.is_some())
    }

    /// Whether a session is about to move, so that polls are answered at once.
    pub(super) fn is_moving(&mut self, session: ConnId) -> bool {
        self.probe_of(session).is_some_and(|probe| probe.answered)
    }

    /// The WebSocket that a session is about to move to, unless it has ended.
    fn probe_of(&mut self, session: ConnId) -> Option<&Probe> {
        let probe = self.polling(session)?.probe?;
        let conn = self.conns.find(probe)?;
        match &conn.talk {
            Talk::Probe(probe)
                if !conn.flags.has(Flag::Closing) && !conn.flags.has(Flag::Lingering) =>
            {
                Some(probe)
            }
            _ => None,
        }
    }

    /// A WebSocket that was about to be a session's own is gone; the session goes on as it was.
    pub(crate) fn probe_gone(&mut self, id: ConnId, probe: &Probe) {
        if let Some(polling) = self.polling(probe.session)
            && polling.probe == Some(id)
        {
            polling.probe = None;
        }
        self.touch(probe.session.slot);
        self.beat_on(probe.session);
    }
}

/// The packets of a payload that nobody polled for, a frame each.
fn in_frames(out: &mut Vec<u8>, payload: &[u8]) {
    let payload = std::str::from_utf8(payload).unwrap_or_default();
    if payload.is_empty() {
        return;
    }
    // Our own payload: it decodes, and has as many packets as we have written.
    for packet in engineio::payload(payload, usize::MAX).flatten() {
        match packet {
            Packet::Binary(bytes) => {
                ws::encode_frame(out, true, false, ws::Opcode::Binary, &bytes, None);
            }
            packet => {
                let mut text = Vec::new();
                engineio::encode_text(&mut text, &packet);
                ws::encode_frame(out, true, false, ws::Opcode::Text, &text, None);
            }
        }
    }
}
