//! Close frames and their codes (RFC 6455 §5.5.1 and §7.4).

use std::borrow::Cow;

use super::frame::{CONTROL_PAYLOAD_BYTES_MAX, Opcode, encode_frame};
use super::{Violation, utf8};

/// Why a WebSocket ends, as a number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a protocol error.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of data that the endpoint cannot accept.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005: the close frame had no code. Never on the wire: [`encode_close`] makes it an empty close frame.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection was lost without a close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy of the endpoint was violated.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client needs an extension that the server did not agree to.
    pub const EXTENSION_NEEDED: Self = Self(1010);
    /// 1011: a fault of the endpoint's own.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts; come back after a random delay.
    pub const RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; come back later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// Whether a close frame may carry this code: 1000 to 1014 without the reserved 1004, 1005 and 1006, and the
    /// libraries' and applications' 3000 to 4999 (RFC 6455 §7.4.2 and the IANA registry).
    pub fn is_valid_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// What a close frame said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// The code, valid on the wire.
    pub code: CloseCode,
    /// The reason, for people; up to 123 bytes.
    pub reason: Cow<'a, str>,
}

impl CloseFrame<'_> {
    /// The same frame with a reason of its own.
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame {
            code: self.code,
            reason: Cow::Owned(self.reason.into_owned()),
        }
    }
}

/// Reads the payload of a close frame; an empty one has neither code nor reason.
pub(super) fn parse_close(payload: &[u8]) -> Result<Option<CloseFrame<'_>>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Some((code, reason)) = payload.split_first_chunk() else {
        return Err(half_code());
    };
    let code = CloseCode(u16::from_be_bytes(*code));
    if !code.is_valid_on_wire() {
        return Err(Violation::protocol(
            "RFC 6455 §7.4",
            "the close frame's code is reserved or unassigned",
        ));
    }
    let reason = Cow::Borrowed(utf8::check_whole(reason)?);
    Ok(Some(CloseFrame { code, reason }))
}

/// A close frame of one byte, which its head alone gives away.
pub(super) fn half_code() -> Violation {
    Violation::protocol("RFC 6455 §5.5.1", "the close frame holds half a code")
}

/// Appends one close frame. The mask is for clients.
///
/// The reason is cut at 123 bytes, on a character's boundary, because a control frame holds 125. A code that must not
/// be on the wire (such as [`CloseCode::NO_STATUS`], to answer a close frame without one) makes an empty close frame.
pub fn encode_close(out: &mut Vec<u8>, code: CloseCode, reason: &str, mask: Option<[u8; 4]>) {
    let mut payload = [0; CONTROL_PAYLOAD_BYTES_MAX];
    let mut payload_bytes = 0;
    if code.is_valid_on_wire() {
        let reason = &reason[..reason.floor_char_boundary(CONTROL_PAYLOAD_BYTES_MAX - 2)];
        payload_bytes = 2 + reason.len();
        payload[..2].copy_from_slice(&code.0.to_be_bytes());
        payload[2..payload_bytes].copy_from_slice(reason.as_bytes());
    }
    encode_frame(
        out,
        true,
        false,
        Opcode::Close,
        &payload[..payload_bytes],
        mask,
    );
}
