//! What a walk over a room's members writes: the messages pending, joined, once per Format.

use taut_gate::{Encoder, Format};
use taut_hub::Room;

/// Bytes of messages that one window may hold. A member farther behind reads by itself, in bounded pieces.
const WINDOW_BYTES: u64 = 256 << 10;

/// The windows of the room being walked. Their buffers are kept for the next room.
#[derive(Debug, Default)]
pub(super) struct Windows {
    formats: Vec<Window>,
    /// The offset before the first message of all windows; `None` until a member has said where to begin.
    start: Option<u64>,
    head: u64,
}

#[derive(Debug, Default)]
struct Window {
    bytes: Vec<u8>,
    /// Where each message ends. Empty: not encoded yet.
    ends: Vec<usize>,
}

impl Windows {
    /// Turns to another room.
    pub(super) fn begin(&mut self, room: &Room) {
        self.formats.resize_with(Format::SHARED, Window::default);
        for window in &mut self.formats {
            window.bytes.clear();
            window.ends.clear();
        }
        self.start = None;
        self.head = room.log().head();
    }

    /// Whether a member at `cursor` can be served from here. The first one asked says where the windows begin.
    pub(super) fn covers(&mut self, room: &Room, cursor: u64) -> bool {
        match self.start {
            Some(start) => cursor >= start,
            // Whose bytes are in the log is asked last: the message may have left the processor's caches.
            None if cursor + 1 == self.head
                || room.log().distance_bytes(cursor) <= WINDOW_BYTES =>
            {
                self.start = Some(cursor);
                true
            }
            None => false,
        }
    }

    /// Where the windows begin.
    pub(super) fn start(&self) -> Option<u64> {
        self.start
    }

    /// The bytes behind `cursor`, encoded now if nobody of this Format came before.
    pub(super) fn behind(
        &mut self,
        cursor: u64,
        index: usize,
        format: Format,
        room: &Room,
        encoder: &mut Encoder,
    ) -> &[u8] {
        let Some(start) = self.start else {
            return &[];
        };
        let window = &mut self.formats[index];
        if window.ends.is_empty() {
            for message in room.log().after(start) {
                encoder.encode(format, room, message, &mut window.bytes);
                window.ends.push(window.bytes.len());
            }
        }
        let from = window.end_of(start, cursor);
        &window.bytes[from..]
    }

    /// After `written` bytes behind `cursor`: the offset of the last message that has begun to go out, and the rest of it.
    pub(super) fn cut(&self, cursor: u64, index: usize, written: usize) -> (u64, &[u8]) {
        let Some(start) = self.start else {
            return (cursor, &[]);
        };
        let window = &self.formats[index];
        let at = window.end_of(start, cursor) + written;
        // Messages that end at or before the cut are out; one that is cut goes on from the Conn's own output.
        let whole = window.ends.partition_point(|end| *end <= at);
        let whole_end = whole.checked_sub(1).map_or(0, |last| window.ends[last]);
        if whole_end == at || written == 0 {
            return ((start + whole as u64).max(cursor), &[]);
        }
        let end = window.ends.get(whole).copied().unwrap_or(at);
        (start + whole as u64 + 1, &window.bytes[at..end])
    }
}

impl Window {
    fn end_of(&self, start: u64, offset: u64) -> usize {
        match usize::try_from(offset - start) {
            Ok(0) | Err(_) => 0,
            Ok(count) => self
                .ends
                .get(count - 1)
                .copied()
                .unwrap_or(self.bytes.len()),
        }
    }
}
