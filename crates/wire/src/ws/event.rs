//! What a peer said, after framing, masking, fragments and compression are gone.

use std::borrow::Cow;

use super::{CloseFrame, Opcode, Violation, close, utf8};

/// One message or control frame.
///
/// Borrowed where one whole frame brought it, owned where it had to be assembled or inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping, up to 125 bytes, to be answered by a pong with the same bytes (RFC 6455 §5.5.2).
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not.
    Pong(Cow<'a, [u8]>),
    /// The peer's last frame, to be answered by a close frame if ours has not gone out; without a code it is `None`.
    Close(Option<CloseFrame<'a>>),
}

impl<'a> Event<'a> {
    /// The same event with bytes of its own.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Event::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Event::Ping(bytes) => Event::Ping(Cow::Owned(bytes.into_owned())),
            Event::Pong(bytes) => Event::Pong(Cow::Owned(bytes.into_owned())),
            Event::Close(close) => Event::Close(close.map(CloseFrame::into_owned)),
        }
    }

    /// The event of one whole, unmasked, uncompressed frame that is no part of a longer message.
    pub(super) fn of_whole_frame(opcode: Opcode, payload: &'a [u8]) -> Result<Self, Violation> {
        Ok(match opcode {
            Opcode::Text => Event::Text(Cow::Borrowed(utf8::check_whole(payload)?)),
            Opcode::Binary | Opcode::Continuation => Event::Binary(Cow::Borrowed(payload)),
            Opcode::Close => Event::Close(close::parse_close(payload)?),
            Opcode::Ping => Event::Ping(Cow::Borrowed(payload)),
            Opcode::Pong => Event::Pong(Cow::Borrowed(payload)),
        })
    }
}
