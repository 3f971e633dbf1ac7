use taut_hub::{Body, Effect, Lane, Message, Origin, Position, Room};
use taut_wire::native::{
    Delivery, Payload, Stamp, encode_announcement, encode_delivery, encode_string,
};
use taut_wire::text::known_as;
use taut_wire::ws::{self, Opcode};
use taut_wire::{arguments, http, sse, text};

use crate::socketio::{Framing, View, Way, encode_message};

/// A (carrier, dialect, version): the key of encode-once. Members of one Format get the very same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Reads no room.
    None,
    /// WebSocket, payload only.
    Payload,
    /// The same, compressed.
    PayloadDeflated,
    /// WebSocket, native JSON.
    Native,
    /// The same, compressed.
    NativeDeflated,
    /// Native JSON, a line each.
    Lines,
    /// Native JSON, a datagram each; here a line each, since no unit holds a line end. What is too long for a datagram is announced.
    Datagrams,
    /// The same in HTTP chunks.
    LinesChunked,
    /// For a terminal.
    Text,
    /// Server-sent events.
    Sse,
    /// The same in HTTP chunks.
    SseChunked,
    /// Socket.IO over WebSocket, in the namespace `/ROOM`.
    SocketIoRoom,
    /// The same in the namespace `/r/ROOM`.
    SocketIoUrl,
    /// The same in the namespace `/`, of the lobby.
    SocketIoLobby,
    /// The same in the namespace `/`, of the one room that the Conn joined by the verb.
    SocketIoJoined,
    /// Socket.IO in any other case: each Conn writes its own.
    SocketIo,
    /// Server-sent events of several rooms: each Conn writes its own.
    Events,
    /// A poll that waits: it is told, and reads.
    Poll,
}

impl Format {
    /// How many Formats have shared bytes: the first so many, in their order.
    pub const SHARED: usize = 15;

    /// The Format of a WebSocket.
    #[must_use]
    pub fn socket(native: bool, deflated: bool) -> Self {
        match (native, deflated) {
            (false, false) => Self::Payload,
            (false, true) => Self::PayloadDeflated,
            (true, false) => Self::Native,
            (true, true) => Self::NativeDeflated,
        }
    }

    /// Its place among those that share bytes; `None` where every Conn has its own.
    #[must_use]
    pub fn shared_index(self) -> Option<usize> {
        let index = self as usize;
        (1..Self::SHARED).contains(&index).then_some(index)
    }
}

/// Encodes messages for all Formats; one per core, with its scratch.
#[derive(Debug)]
pub struct Encoder {
    scratch: Vec<u8>,
    deflater: ws::deflate::Deflater,
    datagram_bytes_max: usize,
}

impl Encoder {
    /// An encoder whose datagrams hold at most so many bytes.
    #[must_use]
    pub fn new(datagram_bytes_max: usize) -> Self {
        Self {
            scratch: Vec::new(),
            deflater: ws::deflate::Deflater::new(),
            datagram_bytes_max,
        }
    }

    /// Appends `message` down to its final bytes, WebSocket header or chunk head included.
    pub fn encode(&mut self, format: Format, room: &Room, message: &Message, out: &mut Vec<u8>) {
        match format {
            // Whose bytes are not the same for any two Conns, encodes where the Conn is.
            Format::None | Format::Poll | Format::SocketIo => {}
            Format::SocketIoRoom
            | Format::SocketIoUrl
            | Format::SocketIoLobby
            | Format::SocketIoJoined => self.socketio(format, room, message, out),
            // It has no words for a key that ends, and an empty payload would be a message like any other.
            Format::Payload | Format::PayloadDeflated if ends_key(message) => {}
            Format::Payload | Format::PayloadDeflated => match &message.body {
                Body::Args(packed) => {
                    let mut json = std::mem::take(&mut self.scratch);
                    json.clear();
                    arguments::encode_packed(&mut json, packed);
                    self.frame(format, Opcode::Text, &json, out);
                    self.scratch = json;
                }
                body => self.frame(format, opcode(body), body.bytes(), out),
            },
            Format::Lines => {
                native(room, message, out);
                out.push(b'\n');
            }
            Format::Datagrams => {
                let start = out.len();
                native(room, message, out);
                let bytes = out.len() - start;
                if bytes > self.datagram_bytes_max {
                    out.truncate(start);
                    let at = room.position(message.offset).to_string();
                    let by = stamp(message);
                    let head = delivery(room.name().as_str(), &at, by.as_ref(), message);
                    encode_announcement(out, &head, bytes);
                }
                out.push(b'\n');
            }
            Format::Text => {
                said(message, out);
                out.push(b'\n');
            }
            Format::Sse => event(room, message, out),
            Format::Native
            | Format::NativeDeflated
            | Format::LinesChunked
            | Format::SseChunked
            | Format::Events => {
                let mut unit = std::mem::take(&mut self.scratch);
                unit.clear();
                self.wrapped(format, room, message, &mut unit, out);
                self.scratch = unit;
            }
        }
    }

    /// Formats whose head needs to know how long the rest is.
    fn wrapped(
        &mut self,
        format: Format,
        room: &Room,
        message: &Message,
        unit: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        if format == Format::SseChunked {
            event(room, message, unit);
            return http::encode_chunk(out, unit);
        }
        native(room, message, unit);
        match format {
            Format::LinesChunked => {
                unit.push(b'\n');
                http::encode_chunk(out, unit);
            }
            Format::Events => out.extend_from_slice(unit),
            _ => self.frame(format, Opcode::Text, unit, out),
        }
    }

    /// One frame as the Format has it.
    fn frame(&mut self, format: Format, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        match format {
            Format::PayloadDeflated | Format::NativeDeflated => {
                self.deflated(opcode, payload, out);
            }
            _ => ws::encode_frame(out, true, false, opcode, payload, None),
        }
    }

    /// The event that the members of one namespace see.
    fn socketio(&mut self, format: Format, room: &Room, message: &Message, out: &mut Vec<u8>) {
        let name = room.name();
        let at = room.position(message.offset).to_string();
        let (namespace, way, offset) = match format {
            Format::SocketIoRoom => (format!("/{name}"), Way::Room, at.clone()),
            Format::SocketIoUrl => (format!("/r/{name}"), Way::Room, at.clone()),
            Format::SocketIoLobby => ("/".to_owned(), Way::Lobby, format!("{at}:")),
            _ => ("/".to_owned(), Way::Joined, format!("{at}:{name}")),
        };
        let view = View {
            namespace: &namespace,
            way,
            offset: (message.lane == Lane::Reliable).then_some(offset.as_str()),
        };
        self.socketio_view(Framing::Frames, &view, room, message, out);
    }

    /// Appends `message` as one view of one Socket.IO client shows it.
    pub fn socketio_view(
        &mut self,
        framing: Framing,
        view: &View<'_>,
        room: &Room,
        message: &Message,
        out: &mut Vec<u8>,
    ) {
        let at = room.position(message.offset).to_string();
        let at = (message.lane == Lane::Reliable).then_some(at.as_str());
        encode_message(
            out,
            &mut self.scratch,
            framing,
            view,
            room.name(),
            at,
            message,
        );
    }

    /// One frame, compressed where that makes it smaller. Once per broadcast, without context takeover.
    fn deflated(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        let mut compressed = Vec::new();
        if self.deflater.deflate(payload, WINDOW_BITS, &mut compressed) {
            ws::encode_frame(out, true, true, opcode, &compressed, None);
        } else {
            ws::encode_frame(out, true, false, opcode, payload, None);
        }
    }
}

/// The window that shared compressed frames are made with. A peer that asks for a smaller one gets its messages uncompressed.
pub const WINDOW_BITS: u8 = 15;

fn opcode(body: &Body) -> Opcode {
    match body {
        Body::Text(_) | Body::Json(_) | Body::Args(_) => Opcode::Text,
        Body::Binary(_) => Opcode::Binary,
    }
}

pub(crate) fn payload(body: &Body) -> Payload<'_> {
    match body {
        Body::Text(bytes) => Payload::Text(bytes),
        Body::Json(bytes) => Payload::Json(bytes),
        Body::Binary(bytes) => Payload::Binary(bytes),
        Body::Args(packed) => Payload::Args(packed),
    }
}

/// Whether a message says that a key is not set any more.
pub(crate) fn ends_key(message: &Message) -> bool {
    matches!(message.effect, Effect::Deleted | Effect::Expired)
}

/// A message for a person, without the end of its last line.
pub(crate) fn said(message: &Message, out: &mut Vec<u8>) {
    let key = message.key.as_deref().unwrap_or_default();
    match message.effect {
        Effect::Deleted => text::encode_notice(out, &format!("{key} deleted")),
        Effect::Expired => text::encode_notice(out, &format!("{key} expired")),
        Effect::None | Effect::Set { .. } => text::encode_message(
            out,
            &text::Said {
                from: &known_as(message.from.name(), message.from.user()),
                event: message.event(),
                body: payload(&message.body),
            },
        ),
    }
}

fn native(room: &Room, message: &Message, out: &mut Vec<u8>) {
    let at = room.position(message.offset).to_string();
    let by = stamp(message);
    encode_delivery(
        out,
        &delivery(room.name().as_str(), &at, by.as_ref(), message),
    );
}

/// Whether a message has a position.
fn is_numbered(message: &Message) -> bool {
    message.lane == Lane::Reliable
}

/// A message as the native protocol writes it. On the lane `latest` its position is left out.
pub(crate) fn delivery<'a>(
    room: &'a str,
    at: &'a str,
    by: Option<&'a Stamp<'a>>,
    message: &'a Message,
) -> Delivery<'a> {
    Delivery {
        room,
        at: is_numbered(message).then_some(at),
        from: message.from.name(),
        by,
        event: message.event(),
        key: message.key.as_deref(),
        id: message.id.as_deref(),
        time_ms: message.time_ms,
        body: payload(&message.body),
    }
}

/// What the server has verified of who said it. The Conn of an earlier run may be somebody else's by now, and is not said.
pub(crate) fn stamp(message: &Message) -> Option<Stamp<'_>> {
    message.from.user().map(|user| Stamp {
        user: user.into(),
        door: message.door.0.into(),
        conn: message.origin.map(|origin| origin_id(origin).into()),
    })
}

/// A server-sent event: text and JSON as they are, binary as a `data:` URL, which `fetch` understands; of a key that ends, which one.
fn event(room: &Room, message: &Message, out: &mut Vec<u8>) {
    let at = is_numbered(message).then(|| position(room.position(message.offset)));
    let made;
    let data = match &message.body {
        _ if ends_key(message) => {
            let mut key = b"{\"key\":".to_vec();
            encode_string(&mut key, message.key.as_deref().unwrap_or_default());
            key.push(b'}');
            made = String::from_utf8_lossy(&key).into_owned();
            made.into()
        }
        // Bodies are checked where they come in; nothing is lost on the way out.
        Body::Text(bytes) | Body::Json(bytes) => String::from_utf8_lossy(bytes),
        Body::Binary(bytes) => {
            use base64::Engine as _;
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            made = format!("data:application/octet-stream;base64,{encoded}");
            made.into()
        }
        Body::Args(packed) => {
            let mut json = Vec::new();
            arguments::encode_packed(&mut json, packed);
            made = String::from_utf8_lossy(&json).into_owned();
            made.into()
        }
    };
    sse::encode_event(out, at.as_deref(), message.event.as_deref(), &data);
}

/// A position as it goes out.
pub(crate) fn position(position: Position) -> String {
    position.to_string()
}

/// A Conn's id as logs, rosters and presence show it.
#[must_use]
pub fn conn_id(core: u16, conn: taut_hub::ConnId) -> String {
    format!("c{core}-{}-{}", conn.slot, conn.generation)
}

pub(crate) fn origin_id(origin: Origin) -> String {
    conn_id(origin.core, origin.conn)
}
