use super::Violation;
use super::chunked::Chunked;
use super::framing::Framing;

/// Takes one body off the stream, part by part, and finds its end.
///
/// It holds no bytes: data is borrowed from the input, and whatever only frames it is taken at once, so the caller never has to keep a
/// remainder of a body.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Length { left: u64 },
    Chunked(Chunked),
    ToEnd { left: u64 },
}

/// What one call to [`BodyDecoder::decode`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyStep<'a> {
    /// Bytes of the input that are done with.
    pub consumed: usize,
    /// The part of the body among them.
    pub data: &'a [u8],
    /// Whether the body is whole; what follows is the next message.
    pub done: bool,
}

impl BodyDecoder {
    /// A decoder for the body that a head announced, of at most `body_bytes_max` bytes.
    ///
    /// # Errors
    /// A 413 at once when the announced length is larger.
    pub fn new(framing: Framing, body_bytes_max: u64) -> Result<Self, Violation> {
        let state = match framing {
            Framing::None => State::Length { left: 0 },
            Framing::Length(length) if length > body_bytes_max => return Err(too_large()),
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(Chunked::new(body_bytes_max)),
            Framing::ToEnd => State::ToEnd {
                left: body_bytes_max,
            },
        };
        Ok(Self { state })
    }

    /// Takes the front of `input`, with at most one part of data. Call it again with the rest until `done`, or until nothing is left.
    ///
    /// # Errors
    /// A 413 when the body grows over its limit, a 400 when its chunks or trailers are malformed, a 431 when these are too large.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<BodyStep<'a>, Violation> {
        match &mut self.state {
            State::Length { left } => {
                let data = take(left, input);
                Ok(BodyStep {
                    consumed: data.len(),
                    data,
                    done: *left == 0,
                })
            }
            State::Chunked(chunked) => chunked.decode(input),
            State::ToEnd { left: 0 } if !input.is_empty() => Err(too_large()),
            State::ToEnd { left } => {
                let data = take(left, input);
                Ok(BodyStep {
                    consumed: data.len(),
                    data,
                    done: false,
                })
            }
        }
    }

    /// Whether the body is whole. Never true of one that goes on to the connection's end.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Length { left } => *left == 0,
            State::Chunked(chunked) => chunked.is_done(),
            State::ToEnd { .. } => false,
        }
    }
}

/// Splits off what `left` still allows.
pub(super) fn take<'a>(left: &mut u64, input: &'a [u8]) -> &'a [u8] {
    let count = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= count as u64;
    &input[..count]
}

pub(super) fn too_large() -> Violation {
    Violation::new(
        413,
        "RFC 9110 §15.5.14",
        "the body is larger than this server takes",
    )
}
