//! The frames of one direction as they pass, for whoever shows or counts them.
//!
//! A follower judges nothing and answers nothing: what a [`Decoder`](super::Decoder) will refuse is shown all the same. It holds at most a frame's head and
//! [`BEGINNING_BYTES`] of its payload.

/// Bytes of a payload that a follower keeps.
pub const BEGINNING_BYTES: usize = 128;

/// The facts of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// FIN: it ends its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3, in this order from the highest of three bits.
    pub reserved: u8,
    /// The opcode, known or not.
    pub opcode: u8,
    /// The masking key, where the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload, as the head says.
    pub payload_bytes: u64,
    /// The first bytes of the payload, unmasked.
    pub beginning: Vec<u8>,
}

/// Follows one direction of a WebSocket after its handshake.
#[derive(Debug, Default)]
pub struct Follower {
    head: Vec<u8>,
    frame: Option<Seen>,
    /// Bytes of the frame's payload that have passed.
    passed: u64,
}

impl Follower {
    /// A follower that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they pass; hands out each frame when its payload has passed, or so much of it as is kept.
    pub fn follow(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            if self.frame.is_none() {
                self.head.push(bytes[0]);
                bytes = &bytes[1..];
                let Some(frame) = parse_head(&self.head) else {
                    continue;
                };
                self.head.clear();
                self.begin(frame, &mut tell);
                continue;
            }
            bytes = self.pass(bytes, &mut tell);
        }
    }

    fn begin(&mut self, frame: Seen, tell: &mut impl FnMut(Seen)) {
        if frame.payload_bytes == 0 {
            tell(frame);
        } else {
            self.frame = Some(frame);
        }
    }

    fn pass<'a>(&mut self, bytes: &'a [u8], tell: &mut impl FnMut(Seen)) -> &'a [u8] {
        let Some(frame) = &mut self.frame else {
            return &[];
        };
        let left = frame.payload_bytes - self.passed;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (now, rest) = bytes.split_at(count);
        let wanted = BEGINNING_BYTES - frame.beginning.len().min(BEGINNING_BYTES);
        for byte in now.iter().take(wanted) {
            let key = frame.mask.map_or(0, |mask| mask[frame.beginning.len() % 4]);
            frame.beginning.push(byte ^ key);
        }
        self.passed += count as u64;
        if self.passed == frame.payload_bytes {
            self.passed = 0;
            if let Some(frame) = self.frame.take() {
                tell(frame);
            }
        }
        rest
    }
}

/// The frame's head, once all of it is there.
fn parse_head(head: &[u8]) -> Option<Seen> {
    let (first, second) = (*head.first()?, *head.get(1)?);
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let is_masked = second & 0x80 != 0;
    let length = head.get(2..2 + extended)?;
    let payload_bytes = match extended {
        0 => u64::from(second & 0x7f),
        _ => length
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let mask = if is_masked {
        Some(*head.get(2 + extended..)?.first_chunk::<4>()?)
    } else {
        None
    };
    Some(Seen {
        fin: first & 0x80 != 0,
        reserved: first >> 4 & 0b111,
        opcode: first & 0x0f,
        mask,
        payload_bytes,
        beginning: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::{Opcode, encode_frame};

    fn followed(stream: &[u8], step: usize) -> Vec<Seen> {
        let mut follower = Follower::new();
        let mut seen = Vec::new();
        for piece in stream.chunks(step) {
            follower.follow(piece, |frame| seen.push(frame));
        }
        seen
    }

    #[test]
    fn frames_are_told_alike_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        encode_frame(
            &mut stream,
            true,
            false,
            Opcode::Text,
            b"hello",
            Some([1, 2, 3, 4]),
        );
        encode_frame(&mut stream, true, false, Opcode::Ping, b"", None);
        encode_frame(&mut stream, false, true, Opcode::Binary, &[7; 300], None);
        encode_frame(
            &mut stream,
            true,
            false,
            Opcode::Continuation,
            &[8; 70_000],
            Some([9; 4]),
        );
        let whole = followed(&stream, stream.len());
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[0].beginning, b"hello");
        assert_eq!(whole[0].mask, Some([1, 2, 3, 4]));
        assert_eq!((whole[2].fin, whole[2].reserved), (false, 0b100));
        assert_eq!(whole[3].payload_bytes, 70_000);
        assert_eq!(whole[3].beginning, [8; BEGINNING_BYTES]);
        for step in [1, 2, 3, 7, 1_000] {
            assert_eq!(followed(&stream, step), whole);
        }
    }
}
