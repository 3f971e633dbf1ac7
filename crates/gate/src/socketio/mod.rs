//! The Socket.IO dialect: events become commands, and what the hub says becomes events and acknowledgements again.
//!
//! Invariants:
//! - Every event without an acknowledgement id whose last argument could be a string ends with a position: the client keeps the last string as
//!   where it stands (`socket.io-client`, `Socket#emitEvent`), and would otherwise keep the user's own.
//! - The answers to verbs are the native protocol's, to the letter.

mod auth;
mod encode;
mod offset;
mod verb;

pub use auth::{Auth, namespace_room};
pub use encode::{
    Framing, View, Way, encode_ack, encode_attachment, encode_event, encode_gap, encode_message,
    encode_packet,
};
pub use offset::{NOWHERE, OFFSET_ROOMS_MAX, Offset, Stand};
pub use verb::{Emitted, Heard, emitted};
