//! Bytes to units, one connection's worth, for each carrier.

use taut_wire::http::{self, BodyDecoder, Method};
use taut_wire::lines::Splitter;
use taut_wire::sse;
use taut_wire::ws::deflate::Inflater;
use taut_wire::ws::handshake::{self, Opening};
use taut_wire::ws::{self, Role};

use crate::dialect::Carrier;
use crate::failure::{Failure, Kind};

/// The largest unit that is taken.
pub(crate) const UNIT_BYTES_MAX: usize = 16 << 20;
/// It has not to be unpredictable here: no proxy stands between, and every run sends the same bytes.
const NONCE: [u8; 16] = *b"taut bench nonce";

const WS_SETTINGS: ws::Settings = ws::Settings {
    role: Role::Client,
    message_bytes_max: UNIT_BYTES_MAX,
    deflate: false,
};
const LINES: Splitter = Splitter {
    line_bytes_max: UNIT_BYTES_MAX,
};

/// What a server said.
#[derive(Clone, Copy)]
pub(crate) enum Said<'a> {
    /// The opening request was granted.
    Opened,
    /// A whole unit.
    Unit(&'a [u8]),
    /// A WebSocket's ping, to be answered.
    Ping(&'a [u8]),
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Gone {
    /// The server ended it in order; what it said.
    Closed(String),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Gone {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Closed(why) => Self::new(Kind::Unreachable, why),
            Gone::Failed(failure) => failure,
        }
    }
}

/// Who hears it.
pub(crate) type Tell<'t> = dyn FnMut(Said<'_>) -> Result<(), Failure> + 't;

/// See the [module](self).
#[derive(Debug)]
pub(crate) enum Reader {
    /// The head of the answer to the opening request is awaited.
    Head(Carrier),
    WebSocket(ws::Decoder),
    Lines,
    Events(Box<(BodyDecoder, sse::Parser)>),
    /// Answers to requests, with the body of one that is still coming.
    Answers(Option<BodyDecoder>),
}

impl Reader {
    /// The reader of a new connection, and the request that opens it.
    pub(crate) fn open(
        carrier: Carrier,
        authority: &str,
        path: &str,
        out: &mut Vec<u8>,
    ) -> Result<Self, Failure> {
        match carrier {
            Carrier::WebSocket => {
                handshake::encode_request(out, &opening(authority, path))
                    .map_err(Failure::usage)?;
                Ok(Self::Head(carrier))
            }
            Carrier::Events => {
                let fields = [("Accept", "text/event-stream")];
                http::encode_request(out, &Method::Get, path, authority, &fields);
                Ok(Self::Head(carrier))
            }
            Carrier::Lines => Ok(Self::Lines),
            Carrier::Posts => Ok(Self::Answers(None)),
        }
    }

    /// Takes the front of `bytes` and tells what was said; the number of bytes that are done with.
    pub(crate) fn decode(
        &mut self,
        bytes: &mut [u8],
        inflater: &mut Inflater,
        tell: &mut Tell<'_>,
    ) -> Result<usize, Gone> {
        let mut done = 0;
        if let Self::Head(carrier) = self {
            match read_head(*carrier, bytes)? {
                Some((reader, head_bytes)) => (*self, done) = (reader, head_bytes),
                None => return Ok(0),
            }
            tell(Said::Opened)?;
        }
        let rest = &mut bytes[done..];
        let taken = match self {
            Self::Head(_) => 0,
            Self::WebSocket(decoder) => take_frames(decoder, rest, inflater, tell)?,
            Self::Lines => take_lines(rest, tell)?,
            Self::Events(stream) => take_events(stream, rest, tell)?,
            Self::Answers(body) => take_answers(body, rest)?,
        };
        Ok(done + taken)
    }
}

fn opening<'o>(authority: &'o str, path: &'o str) -> Opening<'o> {
    Opening {
        host: authority,
        path_and_query: path,
        key: &NONCE,
        protocols: &[],
        origin: None,
        headers: &[],
        deflate: false,
    }
}

/// The answer to the opening request: the reader of what follows, and the bytes of the head.
fn read_head(carrier: Carrier, bytes: &[u8]) -> Result<Option<(Reader, usize)>, Failure> {
    let limits = http::Limits::default();
    let parsed = http::parse_response(bytes, &limits, &Method::Get);
    let Some((response, head_bytes)) = parsed.map_err(Failure::violation)? else {
        return Ok(None);
    };
    let granted = if carrier == Carrier::WebSocket {
        101
    } else {
        200
    };
    if response.status != granted {
        return Err(refused(response.status, &bytes[head_bytes..]));
    }
    let reader = if carrier == Carrier::WebSocket {
        handshake::check_response(&response, &opening("", "/")).map_err(Failure::violation)?;
        Reader::WebSocket(ws::Decoder::new())
    } else {
        let body = BodyDecoder::new(response.framing, u64::MAX).map_err(Failure::violation)?;
        Reader::Events(Box::new((body, sse::Parser::new(UNIT_BYTES_MAX))))
    };
    Ok(Some((reader, head_bytes)))
}

fn refused(status: u16, body: &[u8]) -> Failure {
    let body = String::from_utf8_lossy(&body[..body.len().min(300)]);
    Failure::new(
        Kind::Refused,
        format!("the server answered {status} {body}"),
    )
}

fn take_frames(
    decoder: &mut ws::Decoder,
    bytes: &mut [u8],
    inflater: &mut Inflater,
    tell: &mut Tell<'_>,
) -> Result<usize, Gone> {
    let mut done = 0;
    while done < bytes.len() {
        let decoded = decoder.decode(&WS_SETTINGS, &mut bytes[done..], inflater);
        let decoded = decoded.map_err(Failure::violation)?;
        if decoded.consumed == 0 {
            break;
        }
        done += decoded.consumed;
        match decoded.event {
            Some(ws::Event::Text(text)) => tell(Said::Unit(text.as_bytes()))?,
            Some(ws::Event::Binary(bytes)) => tell(Said::Unit(&bytes))?,
            Some(ws::Event::Ping(bytes)) => tell(Said::Ping(&bytes))?,
            Some(ws::Event::Close(Some(close))) => {
                let (code, reason) = (close.code.0, close.reason);
                return Err(Gone::Closed(format!("the server closed: {code} {reason}")));
            }
            Some(ws::Event::Close(None)) => {
                return Err(Gone::Closed("the server closed without a code".into()));
            }
            Some(ws::Event::Pong(_)) | None => {}
        }
    }
    Ok(done)
}

fn take_lines(bytes: &[u8], tell: &mut Tell<'_>) -> Result<usize, Gone> {
    let mut done = 0;
    while let Some((line, taken)) = LINES.split(&bytes[done..]).map_err(Failure::violation)? {
        done += taken;
        tell(Said::Unit(line))?;
    }
    Ok(done)
}

fn take_events(
    stream: &mut (BodyDecoder, sse::Parser),
    bytes: &[u8],
    tell: &mut Tell<'_>,
) -> Result<usize, Gone> {
    let (body, parser) = stream;
    let mut done = 0;
    while done < bytes.len() {
        let step = body.decode(&bytes[done..]).map_err(Failure::violation)?;
        done += step.consumed;
        let mut data = step.data;
        while !data.is_empty() {
            let (taken, event) = parser.decode(data).map_err(Failure::violation)?;
            data = &data[taken..];
            if let Some(event) = event {
                tell(Said::Unit(event.data.as_bytes()))?;
            }
        }
        if step.done {
            return Err(Gone::Closed("the server ended the stream".into()));
        }
        if step.consumed == 0 {
            break;
        }
    }
    Ok(done)
}

/// Answers to publishes: each must be a success.
fn take_answers(body: &mut Option<BodyDecoder>, bytes: &[u8]) -> Result<usize, Gone> {
    let mut done = 0;
    while done < bytes.len() {
        if let Some(decoder) = body {
            let step = decoder.decode(&bytes[done..]).map_err(Failure::violation)?;
            done += step.consumed;
            if step.done {
                *body = None;
            } else if step.consumed == 0 {
                break;
            }
            continue;
        }
        let limits = http::Limits::default();
        let parsed = http::parse_response(&bytes[done..], &limits, &Method::Post);
        let Some((response, head_bytes)) = parsed.map_err(Failure::violation)? else {
            break;
        };
        done += head_bytes;
        if !(200..300).contains(&response.status) {
            return Err(refused(response.status, &bytes[done..]).into());
        }
        let decoder = BodyDecoder::new(response.framing, u64::MAX).map_err(Failure::violation)?;
        if !decoder.is_done() {
            *body = Some(decoder);
        }
    }
    Ok(done)
}
