//! The answer to a GET that streams: server-sent events or NDJSON, of one room or of several.

use std::sync::Arc;

use taut_gate::http::{Streaming, Streams};
use taut_gate::{Close, Format, native};
use taut_hub::{
    ConnId, Door, Input, Join, Message, Position, Recovery, RoomId, Start, Ticket, Watch,
};
use taut_wire::sse;

use super::Talk;
use crate::core::{Core, Flag};

/// A stream's own state.
#[derive(Debug)]
pub(crate) struct StreamTalk {
    streaming: Streaming,
    /// HTTP/1.1: each write is a chunk. HTTP/1.0 ends with the connection.
    chunked: bool,
    /// `/events`: data names its room, and `id` holds every room's position.
    many: bool,
    rooms: Vec<StreamRoom>,
    /// The head of the answer, kept until every room has been joined, so that a refusal can still be a status.
    head: Option<Vec<u8>>,
    awaited: usize,
}

#[derive(Debug)]
struct StreamRoom {
    room: Option<RoomId>,
    since: Option<Position>,
    position: Option<Position>,
    /// Where the view is whole again, when what was asked for is not.
    whole_from: Option<Position>,
    /// What is set there, until it is said.
    state: Option<Vec<Arc<Message>>>,
    name: taut_hub::RoomName,
}

impl StreamTalk {
    pub(crate) fn door(&self) -> &'static str {
        match self.streaming {
            Streaming::Sse => "sse",
            Streaming::Ndjson => "ndjson",
        }
    }

    pub(super) fn farewell(&mut self, out: &mut Vec<u8>, close: Close, seed: u32) {
        if self.head.is_some() {
            return;
        }
        let retry_ms = close.retry_ms(seed);
        let mut unit = Vec::new();
        match self.streaming {
            Streaming::Sse => {
                if let Some(retry_ms) = retry_ms {
                    sse::encode_retry(&mut unit, u64::from(retry_ms));
                }
                let mut bye = Vec::new();
                native::encode_bye(&mut bye, close, None, retry_ms);
                let bye = String::from_utf8_lossy(&bye).into_owned();
                sse::encode_event(&mut unit, None, Some("taut:bye"), &bye);
            }
            Streaming::Ndjson => {
                native::encode_bye(&mut unit, close, None, retry_ms);
                unit.push(b'\n');
            }
        }
        self.frame(out, &unit);
        if self.chunked {
            taut_wire::http::encode_last_chunk(out);
        }
    }

    /// Appends a unit as the connection frames it.
    fn frame(&self, out: &mut Vec<u8>, unit: &[u8]) {
        if self.chunked {
            taut_wire::http::encode_chunk(out, unit);
        } else {
            out.extend_from_slice(unit);
        }
    }

    /// One room has been joined; true when it was the last one awaited.
    fn joined(
        &mut self,
        ticket: Ticket,
        room: RoomId,
        after: Position,
        recovery: Recovery,
        state: Option<Vec<Arc<Message>>>,
    ) -> bool {
        let Some(entry) = self.rooms.get_mut(ticket.0 as usize) else {
            return false;
        };
        entry.room = Some(room);
        entry.state = state;
        let from = match recovery {
            Recovery::Complete => None,
            Recovery::From(from) => Some(from),
        };
        entry.whole_from = from;
        // What was missed follows as ordinary events, so the stream begins where the reader does.
        entry.position = Some(after);
        self.awaited -= 1;
        self.awaited == 0
    }

    /// What the stream opens with: the head, a lone `id`, and what could not be recovered.
    fn open(&mut self, out: &mut Vec<u8>) {
        if let Some(head) = self.head.take() {
            out.extend_from_slice(&head);
        }
        let mut unit = Vec::new();
        match self.streaming {
            Streaming::Sse => sse::encode_id(&mut unit, &self.positions()),
            Streaming::Ndjson => {
                for room in &mut self.rooms {
                    let state = room.state.take();
                    native::encode_streaming(
                        &mut unit,
                        &room.name,
                        room.position,
                        room.whole_from,
                        state.as_deref(),
                    );
                    unit.push(b'\n');
                }
            }
        }
        self.frame(out, &unit);
        if self.streaming == Streaming::Sse {
            for index in 0..self.rooms.len() {
                let room = &self.rooms[index];
                if let (Some(since), Some(whole)) = (room.since, room.whole_from) {
                    self.gap_at(out, index, since, whole);
                }
                self.state_of(out, index);
            }
        }
    }

    /// The `id` of the next event: every room's position, in the order of the request.
    fn positions(&self) -> String {
        let mut id = String::new();
        for (index, room) in self.rooms.iter().enumerate() {
            if index > 0 {
                id.push(',');
            }
            if let Some(position) = room.position {
                id.push_str(&position.to_string());
            }
        }
        id
    }

    /// Says that messages of `room` are lost to this stream.
    pub(crate) fn gap(&mut self, out: &mut Vec<u8>, room: RoomId, after: Position, at: Position) {
        if let Some(index) = self.rooms.iter().position(|r| r.room == Some(room)) {
            self.rooms[index].position = Some(at);
            self.gap_at(out, index, after, at);
        }
    }

    fn gap_at(&self, out: &mut Vec<u8>, index: usize, after: Position, at: Position) {
        let name = &self.rooms[index].name;
        let mut unit = Vec::new();
        match self.streaming {
            Streaming::Sse => {
                let mut data = Vec::new();
                native::encode_gap(&mut data, self.many.then_some(name), after, at);
                let data = String::from_utf8_lossy(&data).into_owned();
                sse::encode_event(&mut unit, Some(&self.positions()), Some("taut:gap"), &data);
            }
            Streaming::Ndjson => {
                native::encode_gap(&mut unit, Some(name), after, at);
                unit.push(b'\n');
            }
        }
        self.frame(out, &unit);
    }

    /// Says what is set in a room, where the stream is to begin with it. It has no `id`: where the stream stands does not change.
    fn state_of(&mut self, out: &mut Vec<u8>, index: usize) {
        let room = &mut self.rooms[index];
        let (Some(state), Some(at)) = (room.state.take(), room.position) else {
            return;
        };
        let mut data = Vec::new();
        native::encode_list(&mut data, &room.name, at, &state, self.many);
        let data = String::from_utf8_lossy(&data).into_owned();
        let mut unit = Vec::new();
        sse::encode_event(&mut unit, None, Some("taut:state"), &data);
        self.frame(out, &unit);
    }

    /// One event of `/events`: its data is the shared native message, its `id` this stream's own. On the lane `latest` it has no position, and
    /// the event no `id`: where the stream stands does not change.
    pub(crate) fn event(
        &mut self,
        out: &mut Vec<u8>,
        room: RoomId,
        position: Option<Position>,
        event: Option<&str>,
        message: &str,
    ) {
        if let Some(entry) = self.rooms.iter_mut().find(|r| r.room == Some(room))
            && position.is_some()
        {
            entry.position = position;
        }
        let id = position.map(|_| self.positions());
        let mut unit = Vec::new();
        sse::encode_event(&mut unit, id.as_deref(), event, message);
        self.frame(out, &unit);
    }

    /// Something to keep proxies from thinking that the stream is dead.
    pub(crate) fn comment(&self, out: &mut Vec<u8>) {
        let mut unit = Vec::new();
        match self.streaming {
            Streaming::Sse => sse::encode_comment(&mut unit, ""),
            Streaming::Ndjson => unit.push(b'\n'),
        }
        self.frame(out, &unit);
    }
}

impl Core {
    /// Begins a stream: joins its rooms; the answer's head goes out when all have said yes.
    pub(super) fn begin_stream(
        &mut self,
        id: ConnId,
        streams: Streams,
        chunked: bool,
        head: Vec<u8>,
    ) {
        self.open(id);
        if let (Some(name), Some(conn)) = (&streams.name, self.conns.find(id)) {
            conn.name.set(name);
        }
        let name = self.name_once(id);
        let talk = StreamTalk {
            streaming: streams.streaming,
            chunked,
            many: streams.many,
            awaited: streams.rooms.len(),
            head: Some(head),
            rooms: streams
                .rooms
                .iter()
                .map(|(room, start)| StreamRoom {
                    room: None,
                    since: match start {
                        Start::After(position) => Some(*position),
                        Start::Now | Start::Rewind(_) | Start::RewindMs(_) => None,
                    },
                    position: None,
                    whole_from: None,
                    state: None,
                    name: self.shard.shared_name(room.clone()),
                })
                .collect(),
        };
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        conn.format = match (streams.streaming, streams.many, chunked) {
            (Streaming::Sse, true, _) => Format::Events,
            (Streaming::Sse, false, true) => Format::SseChunked,
            (Streaming::Sse, false, false) => Format::Sse,
            (Streaming::Ndjson, _, true) => Format::LinesChunked,
            (Streaming::Ndjson, _, false) => Format::Lines,
        };
        conn.flags.set(Flag::Held, true);
        conn.talk = Talk::Stream(Box::new(talk));
        let door = conn.door();
        for (index, (room, start)) in streams.rooms.into_iter().enumerate() {
            if self
                .conns
                .find(id)
                .is_none_or(|conn| conn.flags.has(Flag::Closing))
            {
                // One of them has refused, and that is the answer.
                break;
            }
            self.hub(Input::Join {
                conn: id,
                ticket: Ticket(u32::try_from(index).unwrap_or(u32::MAX)),
                room,
                join: Join {
                    name: name.clone(),
                    door: Door(door.0),
                    start,
                    presence: Watch::Nothing,
                    data: None,
                    state: streams.state,
                },
            });
        }
        self.set_alarm(id.slot, self.limits.ping_ms);
    }

    /// The hub has let the stream into one of its rooms.
    pub(crate) fn stream_joined(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        room: RoomId,
        after: Position,
        recovery: Recovery,
        state: Option<Vec<Arc<Message>>>,
    ) {
        let Some(conn) = self.conns.find(id) else {
            return;
        };
        let mut talk = std::mem::replace(&mut conn.talk, Talk::Done);
        if let Talk::Stream(stream) = &mut talk
            && stream.joined(ticket, room, after, recovery, state)
        {
            conn.flags.set(Flag::Held, false);
            stream.open(conn.answers());
        }
        conn.talk = talk;
        self.touch(id.slot);
    }

    /// The hub has refused one of the stream's rooms, so the whole answer is that refusal.
    pub(crate) fn stream_refused(&mut self, id: ConnId, refusal: &taut_hub::Refusal) {
        let problem = taut_gate::http::refused(refusal);
        let mut answer = Vec::new();
        self.responder()
            .problem(&mut answer, &taut_gate::http::Reply::last(), &problem);
        if let Some(conn) = self.conns.find(id)
            && let Talk::Stream(stream) = &mut conn.talk
            && stream.head.is_some()
            && !conn.flags.has(Flag::Closing)
        {
            conn.answers().extend_from_slice(&answer);
            self.close(id, Close::Refused, None);
        }
    }
}
