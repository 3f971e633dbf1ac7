//! Frame heads (RFC 6455 §5.2): parsed as far as they have come, so that the first wrong bit is noticed; and appended.

use super::mask::apply_mask;
use super::{Role, Settings, Violation, close};

/// The most bytes that a frame head takes: 2, a length of 8, a mask of 4.
pub const FRAME_HEAD_BYTES_MAX: usize = 14;

/// The most payload that a control frame may have (RFC 6455 §5.5).
pub(super) const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The last frame of a direction.
    Close = 0x8,
    /// Are you there?
    Ping = 0x9,
    /// I am here.
    Pong = 0xa,
}

impl Opcode {
    /// Whether it may stand between the fragments of a message, and must not be fragmented itself.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    /// The opcode of a frame head's four bits; `None` for those that RFC 6455 §5.2 keeps for later.
    #[must_use]
    pub fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }
}

/// A frame head that has wholly arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHead {
    pub(super) fin: bool,
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) payload_bytes: u64,
    /// How long the head itself is.
    pub(super) head_bytes: usize,
}

impl FrameHead {
    /// Reads the head at the front of `input`; `None` when more bytes are needed to see all of it.
    ///
    /// `in_message` says that an unfinished message is open, so that only its continuation or a control frame may
    /// come (§5.4). Every rule is judged as soon as the bytes that break it are there, in the order of the bytes.
    pub(super) fn parse(
        input: &[u8],
        settings: &Settings,
        in_message: bool,
    ) -> Result<Option<Self>, Violation> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        let fin = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        let opcode = parse_opcode(first, settings.deflate, in_message)?;
        let Some(&second) = input.get(1) else {
            return Ok(None);
        };
        check_mask_bit(second & MASKED != 0, settings.role)?;
        let Some((payload_bytes, head_bytes)) = parse_length(input, second & !MASKED, opcode)?
        else {
            return Ok(None);
        };
        let mut head = Self {
            fin,
            compressed,
            opcode,
            mask: None,
            payload_bytes,
            head_bytes,
        };
        if second & MASKED != 0 {
            let Some(key) = input[head_bytes..].first_chunk() else {
                return Ok(None);
            };
            head.mask = Some(*key);
            head.head_bytes += key.len();
        }
        Ok(Some(head))
    }
}

/// Judges everything that the first byte of a frame tells.
fn parse_opcode(first: u8, deflate: bool, in_message: bool) -> Result<Opcode, Violation> {
    if first & RSV2_AND_3 != 0 || (first & RSV1 != 0 && !deflate) {
        return Err(Violation::protocol(
            "RFC 6455 §5.2",
            "a reserved bit is set that no extension gave a meaning",
        ));
    }
    let Some(opcode) = Opcode::of(first & 0x0f) else {
        return Err(Violation::protocol(
            "RFC 6455 §5.2",
            "the opcode is reserved",
        ));
    };
    if opcode.is_control() && first & FIN == 0 {
        return Err(Violation::protocol(
            "RFC 6455 §5.5",
            "a control frame is fragmented",
        ));
    }
    if first & RSV1 != 0 && (opcode.is_control() || opcode == Opcode::Continuation) {
        return Err(Violation::protocol(
            "RFC 7692 §6.1",
            "the compression bit is set elsewhere than on a message's first frame",
        ));
    }
    match opcode {
        Opcode::Continuation if !in_message => Err(Violation::protocol(
            "RFC 6455 §5.4",
            "a continuation came without a message to continue",
        )),
        Opcode::Text | Opcode::Binary if in_message => Err(Violation::protocol(
            "RFC 6455 §5.4",
            "a new message began inside a fragmented one",
        )),
        _ => Ok(opcode),
    }
}

fn check_mask_bit(masked: bool, role: Role) -> Result<(), Violation> {
    match (role, masked) {
        (Role::Server, false) => Err(Violation::protocol(
            "RFC 6455 §5.1",
            "the client sent a frame without a mask",
        )),
        (Role::Client, true) => Err(Violation::protocol(
            "RFC 6455 §5.1",
            "the server sent a masked frame",
        )),
        _ => Ok(()),
    }
}

/// The payload's length and where the length ends; `None` when more bytes are needed.
fn parse_length(
    input: &[u8],
    short: u8,
    opcode: Opcode,
) -> Result<Option<(u64, usize)>, Violation> {
    if opcode.is_control() && usize::from(short) > CONTROL_PAYLOAD_BYTES_MAX {
        return Err(Violation::protocol(
            "RFC 6455 §5.5",
            "a control frame is longer than 125 bytes",
        ));
    }
    if opcode == Opcode::Close && short == 1 {
        return Err(close::half_code());
    }
    let (length, end, length_min) = match short {
        126 => match input[2..].first_chunk() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 4, 126),
            None => return Ok(None),
        },
        127 => match input[2..].first_chunk() {
            Some(length) => (u64::from_be_bytes(*length), 10, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short), 2, 0),
    };
    if length < length_min {
        return Err(Violation::protocol(
            "RFC 6455 §5.2",
            "the payload length is not in its shortest form",
        ));
    }
    if length >> 63 != 0 {
        return Err(Violation::protocol(
            "RFC 6455 §5.2",
            "the top bit of the payload length is set",
        ));
    }
    Ok(Some((length, end)))
}

/// Appends one whole frame.
///
/// `mask` is for clients, a fresh and unpredictable key for each frame (§5.3). `compressed` sets RSV1 and belongs on
/// the first frame of a message that [`super::deflate::Deflater`] compressed. A control frame's payload must be at
/// most 125 bytes and `fin` set; [`encode_close`](super::encode_close) sees to it for close frames, and a pong repeats
/// a ping that was.
pub fn encode_frame(
    out: &mut Vec<u8>,
    fin: bool,
    compressed: bool,
    opcode: Opcode,
    payload: &[u8],
    mask: Option<[u8; 4]>,
) {
    out.reserve(FRAME_HEAD_BYTES_MAX + payload.len());
    encode_frame_head(out, fin, compressed, opcode, payload.len(), mask);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = mask {
        apply_mask(&mut out[start..], key, 0);
    }
}

/// Appends the head alone of a frame whose payload, masked already if it is to be, follows from elsewhere.
pub fn encode_frame_head(
    out: &mut Vec<u8>,
    fin: bool,
    compressed: bool,
    opcode: Opcode,
    payload_bytes: usize,
    mask: Option<[u8; 4]>,
) {
    let fin = if fin { FIN } else { 0 };
    let rsv1 = if compressed { RSV1 } else { 0 };
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.push(fin | rsv1 | opcode as u8);
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(short @ 0..=125), _) => out.push(masked | short),
        (_, Ok(length)) => {
            out.push(masked | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
}
