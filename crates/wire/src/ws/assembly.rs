//! What has arrived of a frame that the network cut, or of a message that its sender fragmented.

use std::borrow::Cow;

use super::deflate::{self, Inflater};
use super::frame::FrameHead;
use super::utf8::TextStream;
use super::{Event, Opcode, Settings, Violation};

/// The unfinished part of a stream; a decoder between messages has none.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The frame whose payload has not wholly arrived.
    pub(super) frame: Option<OpenFrame>,
    /// What has arrived of that frame if it is a control frame, at most 125 bytes.
    control: Vec<u8>,
    /// The message whose last fragment has not wholly arrived.
    pub(super) message: Option<OpenMessage>,
}

impl Assembly {
    /// Opens a message with its first frame; a control frame opens none.
    pub(super) fn open(&mut self, head: &FrameHead) {
        match head.opcode {
            Opcode::Text | Opcode::Binary => self.message = Some(OpenMessage::new(head)),
            _ => {}
        }
    }

    /// Takes unmasked payload bytes of the current frame.
    pub(super) fn absorb(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Violation> {
        if opcode.is_control() {
            self.control.extend_from_slice(payload);
            return Ok(());
        }
        match &mut self.message {
            Some(message) => message.absorb(payload),
            None => Ok(()),
        }
    }

    /// The current frame is complete: gives the event that it completes, if it does.
    pub(super) fn finish_frame(
        &mut self,
        opcode: Opcode,
        fin: bool,
        settings: &Settings,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'static>>, Violation> {
        self.frame = None;
        if opcode.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Event::of_whole_frame(opcode, &payload).map(|event| Some(event.into_owned()));
        }
        if !fin {
            return Ok(None);
        }
        match self.message.take() {
            Some(message) => message.finish(settings, inflater).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frame.is_none() && self.message.is_none()
    }
}

/// A frame whose head has been read.
#[derive(Debug)]
pub(super) struct OpenFrame {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: Option<[u8; 4]>,
    /// Payload bytes that have arrived, which is also where the mask stands.
    pub(super) arrived_bytes: usize,
    /// Payload bytes that have not.
    pub(super) missing_bytes: usize,
}

/// What has arrived of a message.
#[derive(Debug)]
pub(super) enum OpenMessage {
    Text(TextStream),
    Binary(Vec<u8>),
    /// Inflated in one go when it is whole, since the inflater is shared by all connections of a core.
    Deflated {
        is_text: bool,
        bytes: Vec<u8>,
    },
}

impl OpenMessage {
    fn new(head: &FrameHead) -> Self {
        let is_text = head.opcode == Opcode::Text;
        if head.compressed {
            let bytes = Vec::new();
            Self::Deflated { is_text, bytes }
        } else if is_text {
            Self::Text(TextStream::default())
        } else {
            Self::Binary(Vec::new())
        }
    }

    fn absorb(&mut self, payload: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Text(text) => text.absorb(payload)?,
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.extend_from_slice(payload),
        }
        Ok(())
    }

    /// Bytes that have arrived, compressed if the message is.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Deflated { bytes, .. } => bytes.len(),
        }
    }

    pub(super) fn is_compressed(&self) -> bool {
        matches!(self, Self::Deflated { .. })
    }

    fn finish(
        self,
        settings: &Settings,
        inflater: &mut Inflater,
    ) -> Result<Event<'static>, Violation> {
        match self {
            Self::Text(text) => Ok(Event::Text(Cow::Owned(text.finish()?))),
            Self::Binary(bytes) => Ok(Event::Binary(Cow::Owned(bytes))),
            Self::Deflated { is_text, bytes } => {
                deflate::inflate_event(is_text, &bytes, settings, inflater)
            }
        }
    }
}
