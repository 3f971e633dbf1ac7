//! permessage-deflate (RFC 7692): compressing and inflating whole messages, and agreeing on it.
//!
//! No context takeover in either direction, always: every message is compressed for itself, so one [`Inflater`] and one
//! [`Deflater`] per core serve all its connections, and the bytes of a broadcast are the same for everybody.
//!
//! Window sizes are honoured although bytes are shared, because a message of at most `2^bits` bytes cannot look back
//! further than its own beginning: only larger messages need a compressor of their own window.

use std::borrow::Cow;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

pub use super::extension::{OFFER, Params, accept_offer, check_answer, encode_params};
use super::{Event, Settings, Violation, utf8};

/// The end that every sync-flushed stream has and that no message carries (RFC 7692 §7.2.1).
const SYNC_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// [`SYNC_TAIL`] and an empty final block, which is reached only if the message ended where a block ends.
const INFLATE_TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];

/// Where a vector starts to grow from, in bytes.
const GROWTH_BYTES_MIN: usize = 256;

/// Compression shares a core with the fan-out. On JSON messages the level below makes a third more bytes in half the
/// time; the levels above save less than a tenth and take up to twice as long.
const LEVEL: Compression = Compression::new(2);

const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window that zlib compresses with; 8 bits are honoured by compressing only what fits them.
const WINDOW_BITS_MIN: u8 = 9;

/// Inflates messages; one per core, about 40 KiB once it has been used.
#[derive(Debug, Default)]
pub struct Inflater {
    stream: Option<Decompress>,
}

impl Inflater {
    /// An inflater that takes no memory before its first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Inflates one whole message, given without its tail.
    ///
    /// A message may be of several streams, each ended by a final block (RFC 7692 §7.2.1); a sender that forgot the
    /// byte after the last of them (§7.2.3.4), or that compressed nothing to nothing, is understood.
    ///
    /// # Errors
    ///
    /// 1009 when it would pass `bytes_max`, found without inflating further; 1007 when it is no deflate stream or
    /// ends inside a block.
    pub fn inflate(&mut self, message: &[u8], bytes_max: usize) -> Result<Vec<u8>, Violation> {
        if message.is_empty() {
            return Ok(Vec::new());
        }
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let mut out = Inflated::new(bytes_max);
        let mut rest = message;
        while !rest.is_empty() {
            stream.reset(false);
            let (consumed, ended) = out.inflate(stream, rest)?;
            rest = &rest[consumed..];
            if !ended {
                let (consumed, ended) = out.inflate(stream, &INFLATE_TAIL)?;
                if !ended || consumed < INFLATE_TAIL.len() {
                    return Err(bad_deflate());
                }
                break;
            }
        }
        Ok(out.finish())
    }
}

/// A message as it grows.
struct Inflated {
    /// Zeroed room behind what has been written, so that no byte is cleared twice however many streams follow.
    bytes: Vec<u8>,
    written_bytes: usize,
    bytes_max: usize,
}

impl Inflated {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            written_bytes: 0,
            bytes_max,
        }
    }

    /// Inflates until the input is used up or a stream ended: how much was used, and whether one ended.
    fn inflate(
        &mut self,
        stream: &mut Decompress,
        input: &[u8],
    ) -> Result<(usize, bool), Violation> {
        let mut consumed = 0;
        loop {
            self.grow(input.len());
            let (in_before, out_before) = (stream.total_in(), stream.total_out());
            let room = &mut self.bytes[self.written_bytes..];
            let status = stream
                .decompress(&input[consumed..], room, FlushDecompress::None)
                .map_err(|_| bad_deflate())?;
            consumed += count(stream.total_in() - in_before);
            self.written_bytes += count(stream.total_out() - out_before);
            if self.written_bytes > self.bytes_max {
                return Err(Violation::too_big(
                    "a message inflates to more than this endpoint accepts",
                ));
            }
            if status == Status::StreamEnd {
                return Ok((consumed, true));
            }
            if self.written_bytes < self.bytes.len() {
                // With room left, only the end of the input stops zlib.
                return Ok((consumed, false));
            }
        }
    }

    /// Doubles a full vector, but not past one byte more than it may hold: that byte tells too much from just enough.
    fn grow(&mut self, input_bytes: usize) {
        if self.written_bytes < self.bytes.len() {
            return;
        }
        let wanted = self
            .bytes
            .len()
            .max(input_bytes)
            .saturating_mul(2)
            .max(GROWTH_BYTES_MIN);
        let bytes = wanted.min(self.bytes_max.saturating_add(1));
        self.bytes.reserve_exact(bytes - self.bytes.len());
        self.bytes.resize(bytes, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.written_bytes);
        self.bytes
    }
}

/// A number of bytes that lie in memory, which therefore fits.
fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn bad_deflate() -> Violation {
    Violation::invalid_data(
        "RFC 7692 §7.2.2",
        "the compressed message is no whole deflate stream",
    )
}

/// Inflates a message into its event.
pub(super) fn inflate_event(
    is_text: bool,
    message: &[u8],
    settings: &Settings,
    inflater: &mut Inflater,
) -> Result<Event<'static>, Violation> {
    let bytes = inflater.inflate(message, settings.message_bytes_max)?;
    if is_text {
        return utf8::check_whole_owned(bytes).map(|text| Event::Text(Cow::Owned(text)));
    }
    Ok(Event::Binary(Cow::Owned(bytes)))
}

/// How large the compressed form of a message may be: what does not compress grows a little, by 5 bytes for each
/// stored block.
pub(super) fn compressed_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max
        .saturating_add(message_bytes_max / 64)
        .saturating_add(64)
}

/// Compresses messages; one per core, about 300 KiB once it has been used.
#[derive(Debug, Default)]
pub struct Deflater {
    /// By window size, from 9 bits to 15; all but the last stay empty unless a peer asked for a small window.
    streams: [Option<Compress>; 7],
}

impl Deflater {
    /// A deflater that takes no memory before its first message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `payload` compressed, without the tail, looking back at most `2^window_bits` bytes
    /// ([`Params::window_bits`]), and returns true; or leaves `out` as it is and returns false when that would not
    /// make it smaller or the window is one that zlib does not have. Then it is sent uncompressed, with RSV1 clear,
    /// which is every sender's right for every message (RFC 7692 §7.2.1).
    pub fn deflate(&mut self, payload: &[u8], window_bits: u8, out: &mut Vec<u8>) -> bool {
        let Some(stream) = self.stream(payload.len(), window_bits) else {
            return false;
        };
        stream.reset();
        let start = out.len();
        // Room for the payload's own size and the tail: filling it would mean that nothing was won.
        out.resize(start + payload.len() + SYNC_TAIL.len(), 0);
        let done = stream.compress(payload, &mut out[start..], FlushCompress::Sync);
        let written = count(stream.total_out());
        let is_smaller = done.is_ok()
            && written < payload.len() + SYNC_TAIL.len()
            && out[start..start + written].ends_with(&SYNC_TAIL);
        out.truncate(if is_smaller {
            start + written - SYNC_TAIL.len()
        } else {
            start
        });
        is_smaller
    }

    /// The compressor whose output fits the window: the widest, shared one if the payload itself does.
    fn stream(&mut self, payload_bytes: usize, window_bits: u8) -> Option<&mut Compress> {
        let fits = payload_bytes >> window_bits.min(WINDOW_BITS_MAX) == 0;
        let bits = if fits {
            WINDOW_BITS_MAX
        } else {
            window_bits.min(WINDOW_BITS_MAX)
        };
        let index = usize::from(bits.checked_sub(WINDOW_BITS_MIN)?);
        let slot = self.streams.get_mut(index)?;
        Some(slot.get_or_insert_with(|| Compress::new_with_window_bits(LEVEL, false, bits)))
    }
}
