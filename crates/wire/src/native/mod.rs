//! The native protocol: one JSON object a unit, a line on raw sockets, a text frame on WebSocket; both roles.
//!
//! A server decodes [`Request`]s and encodes [`Reply`]s, a client does the reverse. PROTOCOL.md is the specification,
//! its examples are the test vectors.
//!
//! Invariants:
//! - A unit never holds a raw line end, whatever was published: encoders append no newline, and JSON bodies lose theirs.
//! - JSON bodies keep their bytes as they came (but for raw line ends, which JSON knows only as white space): numbers,
//!   key order and escapes are never parsed and written again.
//! - What a peer sends wrong is a [`Rejected`], never the end of its connection.
//! - Decoding is linear in the unit, allocates nothing for values without escapes, and never recurses.
//!
//! Absent on purpose: the rules of room names and display names, and what a position means. Here they are strings.

mod body;
pub mod codes;
mod decode_publish;
mod decode_reply;
mod decode_request;
mod delivery;
mod duration;
mod encode_reply;
mod encode_request;
mod escape;
mod label;
mod object;
mod rejected;
mod reply;
mod request;
mod suggest;
mod value;

pub use body::{Body, Payload, check_json};
pub(crate) use decode_publish::BASE64;
pub use decode_publish::{decode_batch, decode_batch_lines};
pub use decode_reply::decode_reply;
pub use decode_request::decode_request;
pub(crate) use delivery::encode_base64;
pub use delivery::{Delivery, Stamp, encode_announcement, encode_delivery, encode_stamp};
pub use duration::{decode_duration, encode_duration};
pub use encode_reply::{
    JoinHead, PageHead, Piece, encode_bare_error, encode_error, encode_expelled, encode_fetched,
    encode_gap, encode_got, encode_history, encode_joined, encode_list, encode_page, encode_prove,
    encode_receipt, encode_roster, encode_set_keys, encode_state, encode_taken,
};
pub use escape::{encode_json, encode_string};
pub(crate) use escape::{number, quote};
pub use label::{BadLabel, LABEL_BYTES_MAX, SOCKET_IO_EVENTS, check_event, check_id, check_key};
pub use object::DEPTH_MAX;
pub(crate) use object::is_too_deep;
pub use rejected::Rejected;
pub use reply::{Announcement, Member, Message, Place, Recovery, Reply, Roster, Taken};
pub use request::{
    BATCH_MESSAGES_MAX, BatchMessage, Expect, Lane, REFERENCE_BYTES_MAX, Request, Rewind, Verb,
    Watch,
};
pub(crate) use suggest::nearest;
