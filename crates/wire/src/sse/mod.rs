//! Server-sent events, `text/event-stream` (the HTML Standard §9.2), both roles, without IO.
//!
//! The `encode_…` functions append whole blocks; a [`Parser`] takes chunks however they were cut and gives [`Event`]s.
//!
//! Invariants that a reader could break:
//!
//! - What is written can be read back as the same event: data is split at every line end that a reader knows (LF, CRLF, CR), and the
//!   one-line fields lose line ends and NUL, so that no value can begin a field of its own.
//! - A reader's memory is bounded by the size of one event, and it never depends on how the bytes were cut.
//! - An event that the stream's end cuts short is never given.
//!
//! Absent on purpose: reconnecting and its clock, which are the caller's; the parser only says what `retry` and `id` were.

mod encode;
mod parser;

pub use encode::{encode_comment, encode_event, encode_id, encode_retry};
pub use parser::{Event, Parser};
