use std::borrow::Cow;

use base64::Engine as _;

use crate::Violation;
use crate::native::{self, BASE64};

/// The first character of a packet that carries a message, for those who write one by hand.
pub const MESSAGE: u8 = b'4';

const CLAUSE: &str = "Engine.IO v4, packet encoding";

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: the session is open. The text is a [`Handshake`](super::Handshake).
    Open(&'a str),
    /// `1`: the session ends.
    Close,
    /// `2`: the server asks whether the client is alive; `probe` where a client tries a WebSocket.
    Ping(&'a str),
    /// `3`: the answer, with the same text.
    Pong(&'a str),
    /// `4`: text for the layer above.
    Message(&'a str),
    /// Bytes for the layer above: a binary frame on WebSocket, `b` and base64 where only text can be sent.
    Binary(Cow<'a, [u8]>),
    /// `5`: the client moves to the WebSocket on which it says so.
    Upgrade,
    /// `6`: nothing, so that a waiting poll can be answered.
    Noop,
}

/// Reads one packet from a text frame, or from between two separators.
///
/// Text behind `1`, `5` and `6` is passed over, as the official parser does. Base64 may lack its padding; unlike Node's reader we skip no
/// characters that are not base64.
///
/// # Errors
/// A violation when the packet is empty, has no known type, or is not base64 behind `b`.
pub fn decode_text(text: &str) -> Result<Packet<'_>, Violation> {
    let Some(kind) = text.bytes().next() else {
        return Err(Violation::new(CLAUSE, "a packet is empty"));
    };
    // Only an ASCII byte is compared below, so `rest` begins on a character's boundary wherever it is used.
    let rest = text.get(1..).unwrap_or_default();
    match kind {
        b'0' => Ok(Packet::Open(rest)),
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(rest)),
        b'3' => Ok(Packet::Pong(rest)),
        MESSAGE => Ok(Packet::Message(rest)),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        b'b' => match BASE64.decode(rest) {
            Ok(bytes) => Ok(Packet::Binary(Cow::Owned(bytes))),
            Err(error) => Err(Violation::new(
                CLAUSE,
                format!("a binary packet is not base64: {error}"),
            )),
        },
        _ => Err(Violation::new(CLAUSE, "a packet has no known type")),
    }
}

/// Appends a packet as text: what goes into a text frame. Binary becomes `b` and base64, which only polling needs.
pub fn encode_text(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let (kind, text) = match packet {
        Packet::Open(text) => (b'0', *text),
        Packet::Close => (b'1', ""),
        Packet::Ping(text) => (b'2', *text),
        Packet::Pong(text) => (b'3', *text),
        Packet::Message(text) => (MESSAGE, *text),
        Packet::Upgrade => (b'5', ""),
        Packet::Noop => (b'6', ""),
        Packet::Binary(bytes) => {
            out.push(b'b');
            native::encode_base64(out, bytes);
            return;
        }
    };
    out.reserve(1 + text.len());
    out.push(kind);
    out.extend_from_slice(text.as_bytes());
}
