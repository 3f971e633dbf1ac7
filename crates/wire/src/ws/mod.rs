//! WebSocket (RFC 6455) and permessage-deflate (RFC 7692), both roles, without IO.
//!
//! A [`Decoder`] takes the front of whatever bytes have arrived and gives at most one [`Event`]; [`encode_frame`]
//! and [`encode_close`] append whole frames; [`handshake`] speaks the HTTP part over heads that [`crate::http`] parsed.
//!
//! Invariants that a reader could break:
//!
//! - A whole unfragmented frame is borrowed from the input, unmasked in place, and never copied; only what is split by
//!   the network or by its sender is assembled, in one box that an idle decoder does not have.
//! - Payload bytes are always taken, so the caller keeps at most an unfinished frame head (13 bytes) between reads.
//! - What was decided never depends on how the bytes were cut: the same stream gives the same events and the same
//!   violation, one byte at a time or all at once. UTF-8 is judged as the bytes come, so that a bad byte ends the
//!   connection before its frame is complete.
//! - Everything is linear in the bytes that arrived, however many fragments they came in, and memory is bounded by
//!   [`Settings::message_bytes_max`] because a frame head that would pass it is refused before its payload.
//! - After a violation, and after [`Event::Close`], the decoder must not be asked again: RFC 6455 §7.1.4 and §5.5.1 say
//!   that whatever follows is not looked at.
//!
//! Absent on purpose: context takeover (a compressor per connection costs 300 KiB; without it one per core serves
//! all, and a broadcast is compressed once), any other extension, mask keys and nonces (randomness is handed in),
//! the closing handshake's timers, and answering pings, which are the caller's to schedule between its own frames.

mod assembly;
mod close;
mod decoder;
pub mod deflate;
mod event;
mod extension;
mod follow;
mod frame;
pub mod handshake;
mod mask;
mod utf8;

use std::fmt;

pub use close::{CloseCode, CloseFrame, encode_close};
pub use decoder::{Decoded, Decoder};
pub use event::Event;
pub use follow::{BEGINNING_BYTES, Follower, Seen};
pub use frame::{FRAME_HEAD_BYTES_MAX, Opcode, encode_frame, encode_frame_head};

/// Which side of the connection we are.
///
/// RFC 6455 §5.1 masks one direction only: a server refuses unmasked frames, a client masked ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We accepted the connection: what comes in is masked, what goes out is not.
    Server,
    /// We opened the connection: what comes in is not masked, what goes out is.
    Client,
}

/// What a [`Decoder`] has to know; one value serves every connection with the same terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which side we are.
    pub role: Role,
    /// The largest message accepted, in bytes, after inflating; more is [`CloseCode::TOO_BIG`].
    pub message_bytes_max: usize,
    /// Whether the handshake agreed on permessage-deflate; without it the RSV1 bit is a violation.
    pub deflate: bool,
}

/// The peer broke the WebSocket protocol, and with which code the connection is to be failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The code for the close frame: [`CloseCode::PROTOCOL`], [`CloseCode::INVALID_DATA`] or [`CloseCode::TOO_BIG`].
    pub code: CloseCode,
    /// The broken clause and what the peer did.
    pub violation: crate::Violation,
}

impl Violation {
    fn protocol(clause: &'static str, text: &'static str) -> Self {
        Self::with_code(CloseCode::PROTOCOL, clause, text)
    }

    fn invalid_data(clause: &'static str, text: &'static str) -> Self {
        Self::with_code(CloseCode::INVALID_DATA, clause, text)
    }

    fn too_big(text: &'static str) -> Self {
        Self::with_code(CloseCode::TOO_BIG, "RFC 6455 §10.4", text)
    }

    fn with_code(code: CloseCode, clause: &'static str, text: &'static str) -> Self {
        Self {
            code,
            violation: crate::Violation::new(clause, text),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violation.fmt(f)
    }
}

impl std::error::Error for Violation {}
