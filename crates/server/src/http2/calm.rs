//! Frames that cost the server work and bring it nothing: counted as they come, before anybody acts on them.
//!
//! A PING or SETTINGS wants an answer, a RST_STREAM throws a request away that has begun (CVE-2023-44487), an empty DATA, an empty CONTINUATION, PRIORITY and frames of
//! unknown types are looked at for nothing. Each of them is right now and then, and a flood of them is an attack. What has a bound of its own is not counted: HEADERS
//! by the streams that may be open, DATA by the window, WINDOW_UPDATE by costing as little as reading it.

use taut_hub::rate::Rate;

/// Idle frames that a connection may send in a second over time, and at once.
const FRAMES_PER_S: u64 = 100;
const FRAMES_BURST: u64 = 1_000;
/// What a client says before its first frame (RFC 9113 §3.4).
const PREFACE_BYTES: u32 = 24;
/// Length, type, flags and stream of a frame (RFC 9113 §4.1).
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const ACK_OR_END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Follows a connection's frames and says when it sends too many idle ones.
#[derive(Debug)]
pub(super) struct Calm {
    rate: Option<Rate>,
    spent: u64,
    head: [u8; HEAD_BYTES],
    filled: usize,
    /// Bytes until the next head.
    skip: u32,
}

impl Calm {
    pub(super) fn new() -> Self {
        Self {
            rate: Rate::new(FRAMES_PER_S, FRAMES_BURST),
            spent: 0,
            head: [0; HEAD_BYTES],
            filled: 0,
            skip: PREFACE_BYTES,
        }
    }

    /// Looks at bytes that came; false when there was too much in them.
    pub(super) fn look(&mut self, mut bytes: &[u8], now_ns: u64) -> bool {
        let mut idle = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = bytes
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= u32::try_from(skipped).unwrap_or(u32::MAX);
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(HEAD_BYTES - self.filled);
            self.head[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == HEAD_BYTES {
                self.filled = 0;
                idle += u64::from(self.begin_frame());
            }
        }
        match self.rate.map(|rate| rate.take(self.spent, now_ns, idle)) {
            Some(Ok(spent)) => {
                self.spent = spent;
                true
            }
            Some(Err(_)) => false,
            None => true,
        }
    }

    /// A head is whole: notes where the next one begins, and says whether this frame is idle.
    fn begin_frame(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.skip = u32::from_be_bytes([0, a, b, c]);
        match kind {
            DATA => self.skip == 0 && flags & ACK_OR_END_STREAM == 0,
            CONTINUATION => self.skip == 0 && flags & END_HEADERS == 0,
            HEADERS | WINDOW_UPDATE => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    fn after_preface() -> Calm {
        let mut calm = Calm::new();
        assert!(calm.look(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0));
        calm
    }

    /// How many of a frame pass at one moment, cut into parts of `step` bytes.
    fn passed(frame: &[u8], step: usize) -> u64 {
        let mut calm = after_preface();
        (0..3 * FRAMES_BURST)
            .find(|_| !frame.chunks(step).all(|part| calm.look(part, 1)))
            .unwrap_or(3 * FRAMES_BURST)
    }

    #[test]
    fn floods_of_idle_frames_are_seen_however_they_are_cut() {
        let idle = [
            ("PING", frame(0x6, 0, &[0; 8])),
            ("PING, acknowledged", frame(0x6, 1, &[0; 8])),
            ("SETTINGS", frame(0x4, 0, &[0; 6])),
            ("RST_STREAM", frame(0x3, 0, &[0, 0, 0, 8])),
            ("PRIORITY", frame(0x2, 0, &[0; 5])),
            ("unknown", frame(0xbe, 0, b"grease")),
            ("empty DATA", frame(0x0, 0, b"")),
            ("empty CONTINUATION", frame(0x9, 0, b"")),
        ];
        for (name, frame) in idle {
            for step in [1, 2, 7, 100] {
                assert_eq!(passed(&frame, step), FRAMES_BURST, "{name} in {step}s");
            }
        }
    }

    #[test]
    fn frames_that_carry_something_are_not_counted() {
        let useful = [
            frame(0x0, 0, b"data"),
            frame(0x0, 1, b""),
            frame(0x1, 4, b"\x82"),
            frame(0x8, 0, &[0, 0, 0, 1]),
            frame(0x9, 0, b"\x82"),
        ];
        for frame in useful {
            assert_eq!(passed(&frame, 5), 3 * FRAMES_BURST, "{frame:?}");
        }
    }

    #[test]
    fn who_rests_may_go_on() {
        let mut calm = after_preface();
        let ping = frame(0x6, 0, &[0; 8]);
        let mut many = Vec::new();
        (0..FRAMES_BURST).for_each(|_| many.extend_from_slice(&ping));
        assert!(calm.look(&many, 1));
        assert!(!calm.look(&ping, 1));
        assert!(calm.look(&ping, 2_000_000_000));
    }
}
