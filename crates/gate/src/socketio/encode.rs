use taut_hub::{Body, Message, Position, RoomName};
use taut_wire::socketio::{self, Argument};
use taut_wire::ws::{self, Opcode};
use taut_wire::{arguments, engineio, native};

use crate::format::{ends_key, stamp};

/// How packets become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A WebSocket frame each.
    Frames,
    /// Joined to one payload, for a client that polls.
    Payload,
}

/// Why a namespace hears of a room, and so how its messages look there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The namespace is the room.
    Room,
    /// The namespace is `/`, which named no room.
    Lobby,
    /// The namespace came into it besides, by the verb or by the server API: each message says which room it is of.
    Joined,
}

/// How a room's messages are shown to one namespace.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Why it hears of the room.
    pub way: Way,
    /// What the client is to keep as its offset when it has this message; `None` for what has no place.
    pub offset: Option<&'a str>,
}

/// Appends a message as the event that `view` shows: its name, its arguments, where it was joined by the verb what is known of it, and the offset.
pub fn encode_message(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    framing: Framing,
    view: &View<'_>,
    room: &RoomName,
    at: Option<&str>,
    message: &Message,
) {
    let unpacked;
    let mut attachments: Vec<&[u8]> = Vec::new();
    let mut key = Vec::new();
    let body = match &message.body {
        _ if ends_key(message) => {
            key.extend_from_slice(b"{\"key\":");
            native::encode_string(&mut key, message.key.as_deref().unwrap_or_default());
            key.push(b'}');
            Argument::Json(&key)
        }
        Body::Text(text) => Argument::Text(text),
        Body::Json(json) => Argument::Json(json),
        Body::Binary(bytes) => {
            attachments.push(bytes);
            Argument::Attachment(0)
        }
        Body::Args(packed) => {
            unpacked = arguments::unpack(packed);
            match &unpacked {
                Some(list) => {
                    attachments.extend(&list.attachments);
                    Argument::Json(inside(list.json))
                }
                None => Argument::Json(b""),
            }
        }
    };
    let mut detail = Vec::new();
    if view.way == Way::Joined {
        encode_detail(&mut detail, room, at, message);
    }
    let offset = match view.offset {
        Some(offset) => Argument::Text(offset.as_bytes()),
        // No string, which the client would keep.
        None => Argument::Json(b"null"),
    };
    let arguments = [body, Argument::Json(&detail), offset];
    let count = u32::try_from(attachments.len()).unwrap_or(u32::MAX);
    encode_packet(out, scratch, framing, |out| {
        socketio::encode_event(out, view.namespace, count, message.event(), &arguments);
    });
    for attachment in attachments {
        encode_attachment(out, framing, attachment);
    }
}

/// `{"room":…,"at":…,"from":…,…}`.
fn encode_detail(out: &mut Vec<u8>, room: &RoomName, at: Option<&str>, message: &Message) {
    field(out, "room", room.as_str());
    match at {
        Some(at) => field(out, "at", at),
        None => field(out, "lane", "latest"),
    }
    field(out, "from", message.from.name());
    native::encode_stamp(out, stamp(message).as_ref());
    if let Some(key) = &message.key {
        field(out, "key", key);
    }
    if let Some(id) = &message.id {
        field(out, "id", id);
    }
    out.extend_from_slice(format!(",\"time\":{}}}", message.time_ms).as_bytes());
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(if out.is_empty() { b"{\"" } else { b",\"" });
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    native::encode_string(out, value);
}

/// An event of the server's own, with one argument that is no string.
pub fn encode_event(
    out: &mut Vec<u8>,
    framing: Framing,
    namespace: &str,
    name: &str,
    json: &[u8],
    offset: Option<&str>,
) {
    let offset = offset.map_or(Argument::Json(b""), |offset| {
        Argument::Text(offset.as_bytes())
    });
    encode_packet(out, &mut Vec::new(), framing, |out| {
        socketio::encode_event(out, namespace, 0, name, &[Argument::Json(json), offset]);
    });
}

/// `taut:gap`: what lies between is lost to the client.
pub fn encode_gap(
    out: &mut Vec<u8>,
    framing: Framing,
    namespace: &str,
    room: &RoomName,
    after: Position,
    at: Position,
) {
    let mut json = b"{\"room\":".to_vec();
    native::encode_string(&mut json, room.as_str());
    json.extend_from_slice(format!(",\"after\":\"{after}\",\"at\":\"{at}\"}}").as_bytes());
    encode_event(out, framing, namespace, "taut:gap", &json, None);
}

/// The acknowledgement of the client's event `id`, with one argument.
pub fn encode_ack(out: &mut Vec<u8>, framing: Framing, namespace: &str, id: u64, json: &[u8]) {
    encode_packet(out, &mut Vec::new(), framing, |out| {
        socketio::encode_ack(out, namespace, 0, id, &[Argument::Json(json)]);
    });
}

/// One packet of text, as the carrier wants it.
pub fn encode_packet(
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    framing: Framing,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    match framing {
        Framing::Payload => {
            if !out.is_empty() {
                out.push(engineio::SEPARATOR);
            }
            out.push(engineio::MESSAGE);
            encode(out);
        }
        Framing::Frames => {
            scratch.clear();
            scratch.push(engineio::MESSAGE);
            encode(scratch);
            ws::encode_frame(out, true, false, Opcode::Text, scratch, None);
        }
    }
}

/// One attachment, as the carrier wants it.
pub fn encode_attachment(out: &mut Vec<u8>, framing: Framing, bytes: &[u8]) {
    match framing {
        Framing::Payload => engineio::push_payload(out, &engineio::Packet::Binary(bytes.into())),
        Framing::Frames => ws::encode_frame(out, true, false, Opcode::Binary, bytes, None),
    }
}

/// What is between the brackets of a JSON array.
fn inside(array: &str) -> &[u8] {
    let inner = array
        .trim()
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'));
    inner.unwrap_or_default().trim().as_bytes()
}
