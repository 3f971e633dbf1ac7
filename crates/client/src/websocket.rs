//! The WebSocket carrier: one JSON text a message, after the handshake in [`taut_dial::open_websocket`].

use std::borrow::Cow;

use taut_wire::ws::deflate::{Deflater, Inflater, Params};
use taut_wire::ws::{
    CloseCode, CloseFrame, Decoder, Event, Opcode, Role, Settings, encode_close, encode_frame,
};

use crate::carrier::Step;
use crate::error::Error;
use crate::random::Random;

/// Below so many bytes compression would not spare a packet.
const DEFLATE_BYTES_MIN: usize = 1_024;

/// The state of a WebSocket after its handshake.
pub(crate) struct WebSocket {
    settings: Settings,
    decoder: Decoder,
    inflater: Inflater,
    deflater: Option<(Deflater, Params)>,
    compressed: Vec<u8>,
}

impl WebSocket {
    /// A socket whose messages may be `message_bytes_max` long, compressed on the terms of `deflate`.
    pub(crate) fn new(message_bytes_max: usize, deflate: Option<Params>) -> Self {
        Self {
            settings: Settings {
                role: Role::Client,
                message_bytes_max,
                deflate: deflate.is_some(),
            },
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            deflater: deflate.map(|params| (Deflater::new(), params)),
            compressed: Vec::new(),
        }
    }

    /// Takes the front of `input`. Pongs go to `output`.
    pub(crate) fn step<'a>(
        &mut self,
        input: &'a mut [u8],
        output: &mut Vec<u8>,
        random: &mut Random,
    ) -> Result<Step<'a>, Error> {
        let decoded = match self
            .decoder
            .decode(&self.settings, input, &mut self.inflater)
        {
            Ok(decoded) => decoded,
            Err(violation) => {
                encode_close(
                    output,
                    violation.code,
                    &violation.to_string(),
                    Some(random.bytes()?),
                );
                return Err(Error::Violation(violation.to_string()));
            }
        };
        let unit = match decoded.event {
            Some(Event::Text(text)) => Some(match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }),
            Some(Event::Binary(bytes)) => Some(bytes),
            Some(Event::Ping(payload)) => {
                let mask = Some(random.bytes()?);
                encode_frame(output, true, false, Opcode::Pong, &payload, mask);
                None
            }
            Some(Event::Close(close)) => {
                let code = close
                    .as_ref()
                    .map_or(CloseCode::NO_STATUS, |close| close.code);
                encode_close(output, code, "", Some(random.bytes()?));
                return Err(closed(close));
            }
            Some(Event::Pong(_)) | None => None,
        };
        Ok(Step {
            consumed: decoded.consumed,
            unit,
        })
    }

    /// Appends one message.
    pub(crate) fn send(
        &mut self,
        unit: &[u8],
        output: &mut Vec<u8>,
        random: &mut Random,
    ) -> Result<(), Error> {
        let mask = Some(random.bytes()?);
        match &mut self.deflater {
            Some((deflater, params)) if unit.len() >= DEFLATE_BYTES_MIN => {
                self.compressed.clear();
                if deflater.deflate(unit, params.window_bits, &mut self.compressed) {
                    encode_frame(output, true, true, Opcode::Text, &self.compressed, mask);
                    return Ok(());
                }
            }
            _ => {}
        }
        encode_frame(output, true, false, Opcode::Text, unit, mask);
        Ok(())
    }

    /// Appends the close frame of a client that is done.
    pub(crate) fn send_close(output: &mut Vec<u8>, random: &mut Random) -> Result<(), Error> {
        encode_close(output, CloseCode::NORMAL, "", Some(random.bytes()?));
        Ok(())
    }
}

/// What a close frame without a `bye` before it means: some codes say that the same would happen again.
fn closed(close: Option<CloseFrame<'_>>) -> Error {
    let Some(CloseFrame { code, reason }) = close else {
        return Error::Lost {
            text: "the server closed the socket".into(),
        };
    };
    let text = if reason.is_empty() {
        format!("the server closed the socket with {}", code.0)
    } else {
        format!("the server closed the socket with {}: {reason}", code.0)
    };
    match code {
        CloseCode::PROTOCOL
        | CloseCode::UNSUPPORTED
        | CloseCode::INVALID_DATA
        | CloseCode::POLICY
        | CloseCode::EXTENSION_NEEDED => Error::Bye {
            code: code.0.to_string(),
            text,
            retry_ms: None,
        },
        _ => Error::Lost { text },
    }
}
