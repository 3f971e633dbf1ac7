//! HTTP long-polling: at most one poll and one POST of a session at a time (Engine.IO protocol v4, “HTTP long-polling”).

use std::net::IpAddr;

use taut_gate::Close;
use taut_hub::{ConnId, Farewell};
use taut_wire::Violation;
use taut_wire::engineio::{self, Packet, RequestError};
use taut_wire::http::{BodyDecoder, Framing};

use super::super::http::Phase;
use super::super::{Step, Talk};
use super::{CLAUSE, Carrier, Engine};
use crate::core::{Core, Flag};

/// Bytes of room messages that one answer to a poll brings, beside own answers and one whole message.
const PAYLOAD_BYTES: usize = 64 << 10;

/// How long the last poll of a client that goes is waited for, in milliseconds.
const LAST_POLL_MS_MAX: u64 = 50;

/// A session's polls and POSTs.
#[derive(Debug)]
pub(in super::super) struct Polling {
    /// The HTTP Conn that waits for packets.
    poll: Option<ConnId>,
    /// The HTTP Conn that sends some.
    pub(super) post: Option<ConnId>,
    /// Where its first poll came from: between two polls there is no socket that would tell.
    pub(super) from: Option<IpAddr>,
    /// The client has said that it goes.
    closed: bool,
    /// Packets that one answer may have.
    packets_max: usize,
    /// The WebSocket that the session is about to move to.
    pub(super) probe: Option<ConnId>,
}

impl Polling {
    pub(super) fn new(packets_max: usize) -> Self {
        Self {
            poll: None,
            post: None,
            from: None,
            closed: false,
            packets_max,
            probe: None,
        }
    }

    /// Where a payload ends that has as many packets as one answer may have; what is behind it begins with a separator.
    fn end_of(&self, payload: &[u8]) -> usize {
        if self.packets_max == usize::MAX {
            return payload.len();
        }
        let mut ends = memchr::memchr_iter(engineio::SEPARATOR, payload);
        ends.nth(self.packets_max - 1).unwrap_or(payload.len())
    }
}

/// The body of a POST that comes in.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(super) session: ConnId,
    pub(super) decoder: BodyDecoder,
    pub(super) bytes: Vec<u8>,
}

impl Core {
    /// A poll: it waits until the session has something to say.
    pub(super) fn begin_poll(&mut self, id: ConnId, session: ConnId) {
        let Some(polling) = self.polling(session) else {
            // It has a WebSocket already.
            return self.refuse_engine(id, RequestError::BadRequest, Framing::None);
        };
        if polling.poll.is_some() {
            self.end_session(session, Farewell::Vanished, &Packet::Close);
            return self.refuse_engine(id, RequestError::BadRequest, Framing::None);
        }
        polling.poll = Some(id);
        if polling.from.is_none() {
            let from = self.client_address(id);
            if let Some(polling) = self.polling(session) {
                polling.from = from;
            }
        }
        if let Some(talk) = self.http_talk(id) {
            talk.phase = Phase::Polling(session);
        }
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Paused, true);
        }
        // The session's own clock tells when nobody waits any more.
        self.set_alarm_off(id.slot);
        if let Some(conn) = self.conns.find(session) {
            conn.flags.set(Flag::Blocked, false);
            conn.flags.set(Flag::Stalling, false);
        }
        self.touch(session.slot);
        self.beat_on(session);
    }

    /// Answers the session's poll with whatever there is for its client; while it moves to a WebSocket, with nothing, so that the move does
    /// not wait for the next message.
    pub(crate) fn flush_poll(&mut self, session: ConnId) {
        let Some(poll) = self.polling(session).and_then(|polling| polling.poll) else {
            return;
        };
        if self.is_moving(session) {
            return self.answer_poll(session, poll, b"6");
        }
        let Some(conn) = self.conns.find(session) else {
            return;
        };
        let mut payload = conn.take_answers();
        let mut gathered = Vec::new();
        while payload.len() < PAYLOAD_BYTES {
            gathered.clear();
            let more = self.gather(session, &mut gathered);
            push_packets(&mut payload, &gathered);
            if !more || gathered.is_empty() {
                break;
            }
        }
        if payload.is_empty() {
            return;
        }
        let polling = self.polling(session);
        let end = polling.map_or(payload.len(), |polling| polling.end_of(&payload));
        if let Some(rest) = payload.get(end + 1..)
            && let Some(conn) = self.conns.find(session)
        {
            let later = conn.take_answers();
            let out = conn.answers();
            out.extend_from_slice(rest);
            push_packets(out, &later);
        }
        self.answer_poll(session, poll, &payload[..end]);
        let Some(conn) = self.conns.find(session) else {
            return;
        };
        if conn.flags.has(Flag::Closing) && conn.output.is_none() {
            return self.remove(session.slot, Farewell::Said);
        }
        if conn.flags.replace(Flag::Choked, false) {
            self.ready_again(session.slot);
        }
    }

    fn answer_poll(&mut self, session: ConnId, poll: ConnId, payload: &[u8]) {
        if let Some(polling) = self.polling(session) {
            polling.poll = None;
        }
        if let Some(conn) = self.conns.find(session) {
            conn.flags.set(Flag::Blocked, true);
        }
        self.answer(poll, |responder, out, reply| {
            responder.packets(out, reply, payload);
        });
        self.beat_on(session);
    }

    /// Lets go whoever waits for the session: a poll with `last`, a POST with its `ok`.
    pub(super) fn let_go(&mut self, session: ConnId, last: &Packet<'_>) {
        let Some(polling) = self.polling(session) else {
            return;
        };
        let (poll, post) = (polling.poll.take(), polling.post.take());
        if let Some(poll) = poll {
            let mut payload = Vec::new();
            engineio::encode_text(&mut payload, last);
            self.answer(poll, |responder, out, reply| {
                responder.packets(out, reply, &payload);
            });
        }
        if let Some(post) = post {
            self.answer(post, |responder, out, reply| {
                responder.packets(out, reply, b"ok");
            });
        }
    }

    /// A POST: its body is the session's input.
    pub(super) fn begin_post(
        &mut self,
        id: ConnId,
        session: ConnId,
        framing: Framing,
        expects: bool,
    ) {
        let bytes_max = self.limits.engine.payload_bytes_max as u64;
        let Some(polling) = self.polling(session) else {
            return self.refuse_engine(id, RequestError::BadRequest, framing);
        };
        if polling.post.is_some() {
            self.end_session(session, Farewell::Vanished, &Packet::Close);
            return self.refuse_engine(id, RequestError::BadRequest, framing);
        }
        let decoder = match BodyDecoder::new(framing, bytes_max) {
            Ok(decoder) => decoder,
            Err(error) => return self.http_violation_now(id, &error),
        };
        polling.post = Some(id);
        if let Some(talk) = self.http_talk(id) {
            talk.phase = Phase::Posting(Box::new(Posting {
                session,
                decoder,
                bytes: Vec::new(),
            }));
        }
        if expects && let Some(conn) = self.conns.find(id) {
            conn.answers()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.touch(id.slot);
        }
        self.finish_post(id);
    }

    /// A part of a POST's body.
    pub(in super::super) fn posted(&mut self, id: ConnId, data: &[u8]) -> Step {
        let Some(talk) = self.http_talk(id) else {
            return Step::More;
        };
        let Phase::Posting(posting) = &mut talk.phase else {
            return Step::More;
        };
        match posting.decoder.decode(data) {
            Err(error) => {
                self.post_given_up(id);
                self.http_violation(id, &error)
            }
            Ok(step) => {
                posting.bytes.extend_from_slice(step.data);
                let consumed = step.consumed;
                if consumed == 0 && !step.done {
                    return Step::More;
                }
                self.finish_post(id);
                Step::Took(consumed)
            }
        }
    }

    /// A POST is answered before its body is whole: the session takes the next one, and what still comes of this one is no request.
    pub(in super::super) fn post_given_up(&mut self, id: ConnId) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let Phase::Posting(posting) = &talk.phase else {
            return;
        };
        let session = posting.session;
        self.last_request(id);
        if let Some(polling) = self.polling(session)
            && polling.post == Some(id)
        {
            polling.post = None;
        }
    }

    /// Hands the body to the session when it is whole. The answer comes when the session has decoded it.
    fn finish_post(&mut self, id: ConnId) {
        let Some(talk) = self.http_talk(id) else {
            return;
        };
        let Phase::Posting(posting) = &mut talk.phase else {
            return;
        };
        if !posting.decoder.is_done() {
            return;
        }
        let session = posting.session;
        let bytes = std::mem::take(&mut posting.bytes);
        talk.phase = Phase::Polling(session);
        if let Some(conn) = self.conns.find(id) {
            conn.flags.set(Flag::Paused, true);
        }
        self.set_alarm_off(id.slot);
        if bytes.is_empty() || std::str::from_utf8(&bytes).is_err() {
            let violation = Violation::new("Engine.IO v4, packet encoding", "a payload is no text");
            return self.fail_post(session, &violation);
        }
        let now_ms = self.now.mono_ms;
        if let Some(conn) = self.conns.find(session) {
            conn.input.put(bytes);
            conn.hear(now_ms);
            self.ready_again(session.slot);
        }
    }

    /// The next packet of what was posted.
    pub(super) fn posted_packet(&mut self, session: ConnId, data: &[u8]) -> Step {
        let end = memchr::memchr(engineio::SEPARATOR, data);
        let packet = data.get(..end.unwrap_or(data.len())).unwrap_or_default();
        // Checked when it was whole; separators are ASCII, so each part is text too.
        let packet = std::str::from_utf8(packet).unwrap_or_default();
        let consumed = end.map_or(data.len(), |end| end + 1);
        let step = match engineio::decode_text(packet) {
            Ok(packet) => self.packet(session, packet),
            Err(violation) => Step::violation(&violation),
        };
        let step = match step {
            Step::Took(_) if end.is_some() && consumed == data.len() => {
                let text = "a payload ends with a separator, and the packet behind it is empty";
                Step::violation(&Violation::new(CLAUSE, text))
            }
            step => step,
        };
        if let Step::End(Close::Violation(_), Some(text)) = &step {
            tell!(self, session, INFO, reason = "violation", violation = %text, "a peer broke its protocol");
            self.fail(session);
            return Step::Took(data.len());
        }
        if end.is_none() {
            self.post_done(session);
        }
        match step {
            Step::Took(_) => Step::Took(consumed),
            step => step,
        }
    }

    /// The client goes, by a POST. Where its poll is not here it may be on its way, over another connection: it is waited for before the POST is
    /// answered, so that it finds a session that ends and not one that never was.
    pub(super) fn polled_close(&mut self, session: ConnId) {
        let Some(polling) = self.polling(session) else {
            return;
        };
        if polling.poll.is_some() {
            return self.end_session(session, Farewell::Said, &Packet::Noop);
        }
        polling.closed = true;
        if let Some(conn) = self.conns.find(session) {
            drop(conn.take_answers());
            engineio::encode_text(conn.answers(), &Packet::Noop);
        }
        self.close_after_output(session);
        self.set_alarm(session.slot, LAST_POLL_MS_MAX);
    }

    /// Everything posted is decoded.
    fn post_done(&mut self, session: ConnId) {
        let polling = self.polling(session).filter(|polling| !polling.closed);
        let post = polling.and_then(|polling| polling.post.take());
        if let Some(post) = post {
            self.answer(post, |responder, out, reply| {
                responder.packets(out, reply, b"ok");
            });
        }
    }

    fn fail_post(&mut self, session: ConnId, violation: &Violation) {
        tell!(self, session, INFO, reason = "violation", %violation, "a peer broke its protocol");
        self.fail(session);
    }

    /// A client that polls broke the protocol: its POST is refused, its poll is told that the session has ended.
    fn fail(&mut self, session: ConnId) {
        let post = self
            .polling(session)
            .and_then(|polling| polling.post.take());
        if let Some(post) = post {
            self.answer(post, |responder, out, reply| {
                responder.engine_refused(out, reply, RequestError::BadRequest);
            });
        }
        self.end_session(session, Farewell::Said, &Packet::Close);
    }

    /// An HTTP Conn that waited for a session, or brought it something, is gone: nobody hears the session any more.
    pub(crate) fn poll_gone(&mut self, id: ConnId, session: ConnId) {
        let is_its = |polling: &mut Polling| [polling.poll, polling.post].contains(&Some(id));
        if self.polling(session).is_some_and(is_its) {
            self.remove(session.slot, Farewell::Vanished);
        }
    }

    /// A session is gone: whoever waits for it is told so, and a WebSocket that was about to take it over closes.
    pub(crate) fn session_gone(&mut self, engine: &mut Engine) {
        if let Carrier::Polling(polling) = &mut engine.carrier {
            if let Some(poll) = polling.poll.take() {
                self.answer(poll, |responder, out, reply| {
                    responder.packets(out, reply, b"1");
                });
            }
            let closed = polling.closed;
            if let Some(post) = polling.post.take() {
                self.answer(post, |responder, out, reply| {
                    if closed {
                        responder.packets(out, reply, b"ok");
                    } else {
                        responder.engine_refused(out, reply, RequestError::UnknownSid);
                    }
                });
            }
            if let Some(probe) = polling.probe.take() {
                self.close(probe, Close::Asked, None);
            }
        }
    }

    pub(super) fn polling(&mut self, session: ConnId) -> Option<&mut Polling> {
        match &mut self.engine(session)?.carrier {
            Carrier::Polling(polling) => Some(polling.as_mut()),
            Carrier::Socket(_) => None,
        }
    }

    /// Whether a Conn is a session whose client polls.
    pub(crate) fn polls(&mut self, id: ConnId) -> bool {
        self.polling(id).is_some()
    }
}

/// Appends packets of a payload to another one.
pub(in super::super) fn push_packets(out: &mut Vec<u8>, packets: &[u8]) {
    if !out.is_empty() && !packets.is_empty() {
        out.push(engineio::SEPARATOR);
    }
    out.extend_from_slice(packets);
}

impl Talk {
    /// Whether an HTTP Conn waits for a session, so that its end is heard at once.
    pub(crate) fn waits_for_session(&self) -> bool {
        matches!(self, Self::Http(talk) if matches!(talk.phase, Phase::Polling(_)))
    }

    /// The session that an HTTP Conn waits for or brings something to.
    pub(crate) fn session(&self) -> Option<ConnId> {
        match self {
            Self::Http(talk) => match &talk.phase {
                Phase::Polling(session) => Some(*session),
                Phase::Posting(posting) => Some(posting.session),
                _ => None,
            },
            _ => None,
        }
    }
}
