//! Engine.IO protocol v4, both roles: the carrier under Socket.IO, over HTTP long-polling and WebSocket.
//!
//! A WebSocket text frame is one packet ([`decode_text`], [`encode_text`]) and a binary frame is a [`Packet::Binary`] as it is.
//! A polling body is a *payload*, packets with [`SEPARATOR`] between them ([`payload()`], [`push_payload`]), in which binary is base64.
//!
//! A decoder copies nothing but base64, gives at most as many packets as its caller allows, and ends with the first violation.
//!
//! Absent on purpose: the heartbeat's timers and the order of probe and upgrade, which are the session's, and Engine.IO v3.

mod handshake;
mod packet;
mod payload;
mod request_error;

pub use handshake::{Handshake, decode_handshake};
pub use packet::{MESSAGE, Packet, decode_text, encode_text};
pub use payload::{Payload, SEPARATOR, payload, push_payload};
pub use request_error::RequestError;
