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

/// The fastest level that still looks for matches; compression shares a core with the fan-out.
const LEVEL: Compression = Compression::new(3);

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
        stream.reset(false);
        let mut out = Vec::new();
        let mut rest = message;
        loop {
            let (consumed, ended) = inflate_some(stream, rest, &mut out, bytes_max)?;
            rest = &rest[consumed..];
            match (ended, rest.is_empty()) {
                (true, true) => return Ok(out),
                (true, false) => stream.reset(false),
                (false, _) => break,
            }
        }
        match inflate_some(stream, &INFLATE_TAIL, &mut out, bytes_max)? {
            (consumed, true) if consumed == INFLATE_TAIL.len() => Ok(out),
            _ => Err(bad_deflate()),
        }
    }
}

/// Inflates until the input is used up or a stream ended: how much was used, and whether one ended.
fn inflate_some(
    stream: &mut Decompress,
    input: &[u8],
    out: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(usize, bool), Violation> {
    let start = stream.total_in();
    loop {
        if out.len() == out.capacity() {
            grow(out, input.len(), bytes_max);
        }
        let consumed = usize::try_from(stream.total_in() - start).map_err(|_| bad_deflate())?;
        let status = stream
            .decompress_vec(&input[consumed..], out, FlushDecompress::None)
            .map_err(|_| bad_deflate())?;
        if out.len() > bytes_max {
            return Err(Violation::too_big(
                "a message inflates to more than this endpoint accepts",
            ));
        }
        let consumed = usize::try_from(stream.total_in() - start).map_err(|_| bad_deflate())?;
        if status == Status::StreamEnd {
            return Ok((consumed, true));
        }
        if out.len() < out.capacity() {
            // With room left, only the end of the input stops zlib.
            return Ok((consumed, false));
        }
    }
}

/// Doubles `out`, but not past one byte more than it may hold: that byte tells too much from just enough.
fn grow(out: &mut Vec<u8>, input_bytes: usize, bytes_max: usize) {
    let wanted = out
        .len()
        .max(input_bytes.saturating_mul(2))
        .max(GROWTH_BYTES_MIN);
    let allowed = bytes_max.saturating_add(1).saturating_sub(out.len());
    out.reserve_exact(wanted.min(allowed).max(1));
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
        if !compress_all(stream, payload, out, start) {
            out.truncate(start);
            return false;
        }
        out.truncate(out.len() - SYNC_TAIL.len());
        true
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

/// Compresses up to a sync flush; false when the result, without its tail, would not be smaller than the payload.
fn compress_all(stream: &mut Compress, payload: &[u8], out: &mut Vec<u8>, start: usize) -> bool {
    loop {
        if out.len() - start >= payload.len() + SYNC_TAIL.len() {
            return false;
        }
        out.reserve((payload.len() / 2).clamp(GROWTH_BYTES_MIN, 1 << 16));
        let Ok(consumed) = usize::try_from(stream.total_in()) else {
            return false;
        };
        let Ok(Status::Ok) = stream.compress_vec(&payload[consumed..], out, FlushCompress::Sync)
        else {
            return false;
        };
        if out.len() < out.capacity() {
            // With room left, the flush is whole.
            let compressed = &out[start..];
            return compressed.ends_with(&SYNC_TAIL)
                && compressed.len() < payload.len() + SYNC_TAIL.len();
        }
    }
}
