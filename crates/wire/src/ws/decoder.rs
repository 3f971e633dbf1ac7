//! Bytes to events, one connection's worth.

use super::assembly::{Assembly, OpenFrame, OpenMessage};
use super::deflate::{self, Inflater};
use super::frame::FrameHead;
use super::mask::apply_mask;
use super::{Event, Opcode, Settings, Violation};

/// The reading half of one WebSocket: 8 bytes while nothing is half received.
#[derive(Debug, Default)]
pub struct Decoder {
    assembly: Option<Box<Assembly>>,
}

/// What [`Decoder::decode`] made of the front of its input.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// How many bytes of the input are done with. 0 means that more bytes are needed; what was not consumed is to be
    /// given again, with more behind it.
    pub consumed: usize,
    /// What those bytes completed, if anything; `None` with bytes consumed means to go on with the rest.
    pub event: Option<Event<'a>>,
}

impl Decoder {
    /// A decoder at the start of a stream, right after the handshake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes at most one event from the front of `input`, unmasking in place.
    ///
    /// Never leaves payload bytes behind: all that can be left, when nothing was consumed, is an incomplete frame head
    /// of at most 13 bytes.
    ///
    /// # Errors
    ///
    /// The peer's violation, with the code to fail the connection with. The decoder must not be asked again then, nor
    /// after [`Event::Close`].
    pub fn decode<'a>(
        &mut self,
        settings: &Settings,
        input: &'a mut [u8],
        inflater: &mut Inflater,
    ) -> Result<Decoded<'a>, Violation> {
        let mut message = None;
        if let Some(assembly) = self.assembly.as_deref() {
            if assembly.frame.is_some() {
                return self.continue_frame(settings, input, inflater);
            }
            message = assembly.message.as_ref();
        }
        let Some(head) = FrameHead::parse(input, settings, message.is_some())? else {
            return Ok(Decoded {
                consumed: 0,
                event: None,
            });
        };
        let payload_bytes = check_size(&head, message, settings)?;
        let rest = &mut input[head.head_bytes..];
        if rest.len() < payload_bytes {
            return self.open_frame(&head, payload_bytes, rest);
        }
        let payload = &mut rest[..payload_bytes];
        if let Some(key) = head.mask {
            apply_mask(payload, key, 0);
        }
        let consumed = head.head_bytes + payload_bytes;
        let event = self.whole_frame(&head, payload, settings, inflater)?;
        Ok(Decoded { consumed, event })
    }

    /// Whether the stream stands between messages, with nothing half received (but perhaps a frame head's first bytes,
    /// which the caller keeps).
    pub fn is_idle(&self) -> bool {
        self.assembly.is_none()
    }

    /// A frame that is all there; only a fragment has to be copied.
    fn whole_frame<'a>(
        &mut self,
        head: &FrameHead,
        payload: &'a [u8],
        settings: &Settings,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'a>>, Violation> {
        let is_first = head.opcode != Opcode::Continuation;
        if head.opcode.is_control() || (is_first && head.fin && !head.compressed) {
            return Event::of_whole_frame(head.opcode, payload).map(Some);
        }
        if is_first && head.fin {
            let is_text = head.opcode == Opcode::Text;
            return deflate::inflate_event(is_text, payload, settings, inflater).map(Some);
        }
        let assembly = self.assembly.get_or_insert_default();
        assembly.open(head);
        assembly.absorb(head.opcode, payload)?;
        self.finish_frame(head.opcode, head.fin, settings, inflater)
    }

    /// A frame of which only the head and a part of the payload, `arrived`, are there.
    fn open_frame(
        &mut self,
        head: &FrameHead,
        payload_bytes: usize,
        arrived: &mut [u8],
    ) -> Result<Decoded<'static>, Violation> {
        if let Some(key) = head.mask {
            apply_mask(arrived, key, 0);
        }
        let assembly = self.assembly.get_or_insert_default();
        assembly.open(head);
        assembly.absorb(head.opcode, arrived)?;
        assembly.frame = Some(OpenFrame {
            opcode: head.opcode,
            fin: head.fin,
            mask: head.mask,
            arrived_bytes: arrived.len(),
            missing_bytes: payload_bytes - arrived.len(),
        });
        Ok(Decoded {
            consumed: head.head_bytes + arrived.len(),
            event: None,
        })
    }

    /// More payload of the frame that is open.
    fn continue_frame(
        &mut self,
        settings: &Settings,
        input: &mut [u8],
        inflater: &mut Inflater,
    ) -> Result<Decoded<'static>, Violation> {
        let mut decoded = Decoded {
            consumed: 0,
            event: None,
        };
        let Some(assembly) = self.assembly.as_deref_mut() else {
            return Ok(decoded);
        };
        let Some(frame) = assembly.frame.as_mut() else {
            return Ok(decoded);
        };
        let (opcode, fin) = (frame.opcode, frame.fin);
        decoded.consumed = frame.missing_bytes.min(input.len());
        let payload = &mut input[..decoded.consumed];
        if let Some(key) = frame.mask {
            apply_mask(payload, key, frame.arrived_bytes);
        }
        frame.arrived_bytes += payload.len();
        frame.missing_bytes -= payload.len();
        let is_whole = frame.missing_bytes == 0;
        assembly.absorb(opcode, payload)?;
        if is_whole {
            decoded.event = self.finish_frame(opcode, fin, settings, inflater)?;
        }
        Ok(decoded)
    }

    /// Ends the current frame and lets go of the assembly when nothing is left in it.
    fn finish_frame(
        &mut self,
        opcode: Opcode,
        fin: bool,
        settings: &Settings,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'static>>, Violation> {
        let Some(assembly) = self.assembly.as_deref_mut() else {
            return Ok(None);
        };
        let event = assembly.finish_frame(opcode, fin, settings, inflater);
        if assembly.is_empty() {
            self.assembly = None;
        }
        event
    }
}

/// Refuses a frame whose message would become too big, and gives its length as memory counts.
fn check_size(
    head: &FrameHead,
    message: Option<&OpenMessage>,
    settings: &Settings,
) -> Result<usize, Violation> {
    let too_big = || Violation::too_big("a message is larger than this endpoint accepts");
    let payload_bytes = usize::try_from(head.payload_bytes).map_err(|_| too_big())?;
    if head.opcode.is_control() {
        return Ok(payload_bytes);
    }
    let compressed = head.compressed || message.is_some_and(OpenMessage::is_compressed);
    let bytes_max = if compressed {
        deflate::compressed_bytes_max(settings.message_bytes_max)
    } else {
        settings.message_bytes_max
    };
    let arrived_bytes = message.map_or(0, OpenMessage::len);
    if payload_bytes > bytes_max.saturating_sub(arrived_bytes) {
        return Err(too_big());
    }
    Ok(payload_bytes)
}
