//! HTTP/1.1 messages (RFC 9110, RFC 9112), both roles, without IO.
//!
//! [`parse_request`] and [`parse_response`] take a whole head from the front of what has arrived and borrow it;
//! [`BodyDecoder`] takes the body that the head announced, part by part; the `encode_…` functions append what we say.
//!
//! Invariants that a reader could break:
//!
//! - What is accepted has one meaning only: one Host, one way to know where the body ends, lines that end in CRLF and
//!   nothing else. Whatever two programs in a row could read differently (request smuggling, RFC 9112 §11.2) is refused,
//!   also where the RFC would let a lenient recipient repair it.
//! - After a [`Violation`] the connection ends: nobody knows where the next request would begin.
//! - The answer never depends on how the bytes were cut: a violation that is found early is found again, as the same
//!   one, when more bytes follow.
//! - A request head is parsed without allocation: its header fields lie in a fixed array and borrow the input.
//! - Each call looks at each byte a fixed number of times, and nothing is looked at beyond [`Limits::head_bytes_max`].
//!
//! Absent on purpose: obsolete line folding, content codings, trailers handed out (they are checked and dropped),
//! multipart bodies, ranges, CONNECT (a tunnel is not a room) and every transfer coding but `chunked`.

mod accept;
mod body;
mod chunked;
pub mod date;
mod encode;
mod forwarded;
mod framing;
mod head;
mod headers;
mod host;
mod method;
pub mod problem;
mod request;
mod response;
pub mod target;
mod violation;

pub use accept::accepts;
pub use body::{BodyDecoder, BodyStep};
pub use encode::{
    encode_chunk, encode_last_chunk, encode_request, encode_response_head, reason_phrase,
};
pub use forwarded::{HOPS_MAX, Hop, Hops, Unclear};
pub use framing::Framing;
pub use head::{Limits, Version};
pub use headers::{HEADERS_MAX, Headers};
pub use host::Host;
pub use method::{METHOD_BYTES_MAX, Method};
pub use request::{Request, parse_request};
pub use response::{Response, parse_response};
pub use violation::Violation;
