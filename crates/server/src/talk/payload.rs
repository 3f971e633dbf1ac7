//! WebSocket frames, of payload only or of native JSON.

use bytes::Bytes;
use taut_gate::Close;
use taut_hub::{Body, ConnId, Draft, Input, RoomName, Ticket};
use taut_wire::ws::{self, CloseCode, Event};

use super::echo::Ending;
use super::{Aside, Step, Talk};
use crate::core::{Conn, Core, Flag};

/// A publish that nobody waits for: only a refusal comes back.
pub(crate) const UNASKED: Ticket = Ticket(0);

/// One event of the codec, borrowed no longer than needed.
enum Unit<'a> {
    Nothing,
    Text(std::borrow::Cow<'a, str>),
    Binary(std::borrow::Cow<'a, [u8]>),
    Closed(Option<CloseCode>),
}

impl Core {
    /// One frame, or a part of one.
    pub(super) fn frame(&mut self, id: ConnId, data: &mut [u8]) -> Step {
        let message_bytes_max = self.limits.message_bytes_max;
        let is_payload = |conn: &mut Conn| matches!(conn.talk, Talk::Payload(..));
        if self.limiter.bill(id.slot).is_some()
            && self.conns.find(id).is_some_and(is_payload)
            && self.owes(id)
        {
            return Step::More;
        }
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let (Talk::Payload(socket, _) | Talk::Native(socket, _)) = &mut conn.talk else {
            return Step::More;
        };
        let settings = ws::Settings {
            role: ws::Role::Server,
            message_bytes_max,
            deflate: socket.deflate,
        };
        let decoded = match socket.decoder.decode(&settings, data, &mut self.inflater) {
            Ok(decoded) => decoded,
            Err(error) => {
                let ending = Ending::Violation(error.code, error.violation.to_string());
                return self.end_behind_echoes(id, ending);
            }
        };
        let consumed = decoded.consumed;
        let unit = match decoded.event {
            None if consumed == 0 => return Step::More,
            None | Some(Event::Pong(_)) => Unit::Nothing,
            Some(Event::Ping(payload)) => {
                ws::encode_frame(
                    conn.answers(),
                    true,
                    false,
                    ws::Opcode::Pong,
                    &payload,
                    None,
                );
                self.touch(id.slot);
                Unit::Nothing
            }
            Some(Event::Text(text)) => Unit::Text(text),
            Some(Event::Binary(bytes)) => Unit::Binary(bytes),
            Some(Event::Close(frame)) => Unit::Closed(frame.map(|frame| frame.code)),
        };
        match unit {
            Unit::Nothing => {}
            Unit::Closed(code) => return self.end_behind_echoes(id, Ending::Closed(code)),
            Unit::Text(text) => self.message(id, &text, None),
            Unit::Binary(bytes) => self.message(id, "", Some(&bytes)),
        }
        Step::Took(consumed)
    }

    /// A whole message: a native unit, or the payload of a publish to the Conn's room.
    fn message(&mut self, id: ConnId, text: &str, binary: Option<&[u8]>) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        if matches!(conn.talk, Talk::Native(..)) {
            match binary {
                None => self.native_unit(id, text.as_bytes()),
                Some(_) => self.close(
                    id,
                    Close::Violation(CloseCode::UNSUPPORTED),
                    Some("native JSON goes in text frames; send binary as \"base64\""),
                ),
            }
            return;
        }
        let Talk::Payload(_, aside) = &conn.talk else {
            return;
        };
        let awaited = aside.as_ref().and_then(|aside| aside.awaited.clone());
        let Some(room) = awaited.or_else(|| self.room_of(id)) else {
            return;
        };
        self.publish_payload(id, room, text, binary);
    }

    /// The room has let the Conn in.
    pub(crate) fn payload_joined(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.find(id)
            && let Talk::Payload(_, aside) = &mut conn.talk
        {
            let echo = aside.take().and_then(|aside| aside.echo);
            *aside = echo.map(|echo| {
                Box::new(Aside {
                    awaited: None,
                    echo: Some(echo),
                })
            });
        }
        self.touch(id.slot);
    }

    /// The one room that a Conn is in.
    fn room_of(&self, id: ConnId) -> Option<RoomName> {
        let membership = self.shard.memberships(id).first()?;
        Some(self.shard.room(membership.room)?.name().clone())
    }

    /// Publishes what came in a frame.
    fn publish_payload(&mut self, id: ConnId, room: RoomName, text: &str, binary: Option<&[u8]>) {
        let from = self.name_of(id);
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let body = match binary {
            Some(bytes) => Body::Binary(Bytes::copy_from_slice(bytes)),
            None => Body::Text(Bytes::copy_from_slice(text.as_bytes())),
        };
        let draft = Draft::new(from, conn.door(), body);
        if self.hears_itself(id, &room) {
            self.echo_begins(id);
        }
        self.hub(Input::Publish {
            conn: id,
            ticket: UNASKED,
            room,
            draft,
        });
    }

    /// The peer said Close: we answer with the same code (RFC 6455 §5.5.1), unless ours went first, and the server closes the socket.
    pub(super) fn peer_closed(&mut self, id: ConnId, code: Option<CloseCode>) -> Step {
        let Some(conn) = self.conns.find(id) else {
            return Step::More;
        };
        let mut frame = Vec::new();
        if let Some(socket) = conn.talk.socket()
            && !std::mem::replace(&mut socket.closed, true)
        {
            match code {
                Some(code) => ws::encode_close(&mut frame, code, "", None),
                None => ws::encode_frame(&mut frame, true, false, ws::Opcode::Close, &[], None),
            }
        }
        conn.answers().extend_from_slice(&frame);
        // It has said its last word (RFC 6455 §5.5.1), so there is no end of it to wait for.
        conn.flags.set(Flag::Ended, true);
        Step::End(Close::Asked, None)
    }
}
