//! The opening handshake (RFC 6455 §4) over heads that [`crate::http`] has parsed, both roles.
//!
//! The server side gives an [`Answer`] to encode, or a [`Refused`] to send as any other HTTP error with
//! [`Refused::headers`]; the client side writes an [`Opening`] and checks what came back.
//!
//! Absent on purpose: the checks of Host and Origin, which are the same for every door and belong to the HTTP path;
//! where a path leads; the nonce, which is the caller's randomness.

mod answer;
mod opening;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub use answer::{Answer, AnswerSettings, Refused, answer, encode_answer, wants_upgrade};
pub use opening::{Agreed, Opening, Unsendable, check_response, encode_request};

/// The number that makes an answer one of a WebSocket server (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` as it stands in the request (RFC 6455 §4.2.2).
pub fn accept_key(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// The step between: the SHA-1 of the key with the fixed GUID behind it, which is `joined`.
#[must_use]
pub fn accept_digest(joined: &str) -> [u8; 20] {
    Sha1::digest(joined).into()
}

/// The value of `Sec-WebSocket-Key` for a nonce.
pub fn encode_key(nonce: &[u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// The members of a list field that may be spread over several lines (RFC 9110 §5.6.1); empty ones are skipped.
fn list_members<'v>(values: impl Iterator<Item = &'v str>) -> impl Iterator<Item = &'v str> {
    values
        .flat_map(|value| value.split(','))
        .map(|member| member.trim_matches([' ', '\t']))
        .filter(|member| !member.is_empty())
}
