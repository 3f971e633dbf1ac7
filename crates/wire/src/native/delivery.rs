use std::borrow::Cow;

use base64::Engine as _;

use crate::arguments;

use super::body::Payload;
use super::decode_publish::BASE64;
use super::escape::{encode_json, number, quote};

/// One message of a room as a server hands it out: borrowed, because its bytes are written once per room and Format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The room.
    pub room: &'a str,
    /// Its position; `None` on the lane `latest`.
    pub at: Option<&'a str>,
    /// Who said it: a name that anybody may choose.
    pub from: &'a str,
    /// Who said it, as the server has verified it; `None` where nobody is verified.
    pub by: Option<&'a Stamp<'a>>,
    /// What kind of message it is.
    pub event: &'a str,
    /// The key whose latest value it is.
    pub key: Option<&'a str>,
    /// The publisher's own id.
    pub id: Option<&'a str>,
    /// When the room's home took it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// What it says.
    pub body: Payload<'a>,
}

/// Who said a message, as nobody but the server can write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The user that its credentials named.
    pub user: Cow<'a, str>,
    /// The door it came by.
    pub door: Cow<'a, str>,
    /// Its Conn, as `who` shows it; `None` where the server that it was connected to has ended.
    pub conn: Option<Cow<'a, str>>,
}

/// Appends the message object, without a line end.
pub fn encode_delivery(out: &mut Vec<u8>, delivery: &Delivery<'_>) {
    out.push(b'{');
    delivery_fields(out, delivery);
    out.push(b'}');
}

/// Appends the fields of a message object.
pub(super) fn delivery_fields(out: &mut Vec<u8>, delivery: &Delivery<'_>) {
    text_field(out, b"\"room\":", delivery.room);
    out.push(b',');
    place_field(out, delivery.at);
    text_field(out, b",\"from\":", delivery.from);
    encode_stamp(out, delivery.by);
    text_field(out, b",\"event\":", delivery.event);
    if let Some(key) = delivery.key {
        text_field(out, b",\"key\":", key);
    }
    if let Some(id) = delivery.id {
        text_field(out, b",\"id\":", id);
    }
    out.extend_from_slice(b",\"time\":");
    number(out, delivery.time_ms);
    out.push(b',');
    payload(out, delivery.body);
}

/// Appends the object that stands for a message which is too long for a datagram: its head, and how many `bytes` the whole object has.
pub fn encode_announcement(out: &mut Vec<u8>, delivery: &Delivery<'_>, bytes: usize) {
    out.extend_from_slice(b"{\"room\":");
    quote(out, delivery.room.as_bytes());
    out.push(b',');
    place_field(out, delivery.at);
    text_field(out, b",\"from\":", delivery.from);
    encode_stamp(out, delivery.by);
    text_field(out, b",\"event\":", delivery.event);
    out.extend_from_slice(b",\"bytes\":");
    number(out, bytes as u64);
    out.push(b'}');
}

/// Appends `,"by":{"user":…}`, where there is one.
pub fn encode_stamp(out: &mut Vec<u8>, by: Option<&Stamp<'_>>) {
    if let Some(by) = by {
        text_field(out, b",\"by\":{\"user\":", &by.user);
        text_field(out, b",\"door\":", &by.door);
        if let Some(conn) = &by.conn {
            text_field(out, b",\"conn\":", conn);
        }
        out.push(b'}');
    }
}

/// Appends `"at":"…"`, or the lane on which there are no positions.
pub(super) fn place_field(out: &mut Vec<u8>, at: Option<&str>) {
    match at {
        Some(at) => text_field(out, b"\"at\":", at),
        None => out.extend_from_slice(b"\"lane\":\"latest\""),
    }
}

/// Appends a name, already in its punctuation, and a string.
pub(super) fn text_field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    quote(out, value.as_bytes());
}

/// Appends `"data":…`, `"base64":"…"` or `"args":[…]`.
pub(super) fn payload(out: &mut Vec<u8>, body: Payload<'_>) {
    match body {
        Payload::Text(text) => {
            out.extend_from_slice(b"\"data\":");
            quote(out, text);
        }
        Payload::Json(json) => {
            out.extend_from_slice(b"\"data\":");
            encode_json(out, json);
        }
        Payload::Binary(bytes) => {
            out.extend_from_slice(b"\"base64\":\"");
            encode_base64(out, bytes);
            out.push(b'"');
        }
        Payload::Args(packed) => {
            out.extend_from_slice(b"\"args\":");
            arguments::encode_packed(out, packed);
        }
    }
}

/// Appends `bytes` as base64, into space made for exactly that.
pub(crate) fn encode_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let encoded = base64::encoded_len(bytes.len(), true).unwrap_or(0);
    out.resize(start + encoded, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}
