use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{Batch, Body, Door, Expect, Lane, Range, RoomName, Start, Watch};
use taut_wire::engineio::RequestError;
use taut_wire::native::{self, Taken};
use taut_wire::ws::handshake;

use super::EngineRequest;
use super::api::ApiRequest;
use crate::native::batch;

/// What a request asks for.
#[derive(Debug)]
pub enum Action {
    /// The live page.
    Page,
    /// Its icon.
    Icon,
    /// Whether the server lives; that it answers says so.
    Live,
    /// Whether it can do its work.
    Ready,
    /// Say or set something in a room; the body is still to come.
    Publish(Publish),
    /// Delete a key of a room's state.
    Delete(Deletion),
    /// Read a room's state.
    State(RoomName),
    /// Read one key of it.
    Get(Get),
    /// Stream one or several rooms.
    Stream(Streams),
    /// Read a room's history, and perhaps wait for more.
    Read(Poll),
    /// Who is in a room.
    Who {
        /// Which.
        room: RoomName,
        /// Only how many.
        counts: bool,
    },
    /// Become a WebSocket.
    Socket(Socket),
    /// Read a file of the folder that is served below the doors.
    File(FileAsked),
    /// A question about methods and origins; answered with an empty 204.
    Preflight {
        /// What `Allow` says.
        allow: &'static str,
    },
    /// Open, poll, feed or upgrade an Engine.IO session.
    Engine(EngineRequest),
    /// No, in Engine.IO's words.
    RefuseEngine(RequestError),
    /// Read a file of the client library of Socket.IO.
    Library(String),
    /// A request to the server API.
    Api(Box<ApiRequest>),
    /// No.
    Refuse(Problem),
}

/// A refusal as an HTTP answer (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// The machine-readable code, from the same table as the native protocol's errors.
    pub code: &'static str,
    /// What happened and what to do.
    pub detail: String,
    /// The `Allow` header, for 405.
    pub allow: Option<&'static str>,
    /// The answer to a WebSocket handshake of another version, or to none: `Sec-WebSocket-Version: 13` and `Upgrade` (RFC 6455 §4.4).
    pub names_websocket: bool,
    /// Seconds after which to try again.
    pub retry_s: Option<u64>,
    /// Of a 401: what is wrong with the credentials that came (RFC 6750 §3.1); `None` where none came.
    pub challenge: Option<&'static str>,
}

impl Problem {
    /// A problem with no further headers.
    #[must_use]
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            allow: None,
            names_websocket: false,
            retry_s: None,
            challenge: None,
        }
    }
}

/// `POST /r/ROOM` and `PUT /r/ROOM?key=`.
#[derive(Debug)]
pub struct Publish {
    /// Where.
    pub room: RoomName,
    /// `?event=`.
    pub event: Option<Arc<str>>,
    /// `?key=`.
    pub key: Option<Arc<str>>,
    /// `Idempotency-Key`.
    pub id: Option<Arc<str>>,
    /// `?as=`.
    pub name: Option<Arc<str>>,
    /// `?lane=`.
    pub lane: Lane,
    /// `?ttl=`, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// `If-Match`, `If-None-Match: *` or `?expect=`.
    pub expect: Option<Expect>,
    /// Whether it publishes, sets, or publishes several messages at once: of a batch the number is not known before the body.
    pub taken: Taken,
    /// What its content type says.
    pub kind: BodyKind,
}

/// `DELETE /r/ROOM?key=`.
#[derive(Debug)]
pub struct Deletion {
    /// Where.
    pub room: RoomName,
    /// `?key=`.
    pub key: Arc<str>,
    /// `Idempotency-Key`.
    pub id: Option<Arc<str>>,
    /// `?as=`.
    pub name: Option<Arc<str>>,
    /// `If-Match` or `?expect=`.
    pub expect: Option<Expect>,
}

/// `GET /r/ROOM?key=`.
#[derive(Debug)]
pub struct Get {
    /// Where.
    pub room: RoomName,
    /// `?key=`.
    pub key: Arc<str>,
    /// `If-None-Match`: the versions that the client has already.
    pub known: Option<String>,
}

/// What a POST body is, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `text/*`, a form, or no type at all: never parsed.
    Text,
    /// `application/json` and `…+json`.
    Json,
    /// `application/x-ndjson`, where it is a batch.
    Lines,
    /// Anything else.
    Binary,
}

impl BodyKind {
    /// Makes a message body of the bytes.
    ///
    /// # Errors
    /// A 400 when text is not UTF-8 or JSON is not JSON.
    pub fn body(self, bytes: Vec<u8>) -> Result<Body, Problem> {
        match self {
            Self::Binary | Self::Lines => Ok(Body::Binary(bytes.into())),
            Self::Text => match std::str::from_utf8(&bytes) {
                Ok(_) => Ok(Body::Text(bytes.into())),
                Err(error) => Err(Problem::new(
                    400,
                    "bad-text",
                    format!(
                        "the body is not UTF-8 (byte {}); send it with `Content-Type: application/octet-stream` if it is binary",
                        error.valid_up_to()
                    ),
                )),
            },
            Self::Json => match native::check_json(&bytes) {
                Ok(_) => Ok(Body::Json(Bytes::from(bytes))),
                Err(error) => Err(Problem::new(
                    400,
                    "bad-json",
                    format!(
                        "the body is {error}; without `Content-Type: application/json` it would be taken as text"
                    ),
                )),
            },
        }
    }
}

impl Publish {
    /// Makes a batch of a body that holds several messages.
    ///
    /// # Errors
    /// A 415 when its type is none that a batch is written in, a 400 when it is no batch.
    pub fn batch(&self, bytes: &[u8], from: &Arc<str>, door: Door) -> Result<Batch, Problem> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Problem::new(400, "bad-json", "the batch is not UTF-8"))?;
        let messages = match self.kind {
            BodyKind::Lines => native::decode_batch_lines(text),
            BodyKind::Json => match native::check_json(bytes) {
                Ok(json) => native::decode_batch(json),
                Err(error) => {
                    let detail = format!("the batch is {error}");
                    return Err(Problem::new(400, "bad-json", detail));
                }
            },
            BodyKind::Text | BodyKind::Binary => {
                let detail = "a batch is a JSON list (Content-Type: application/json), or a message a line (application/x-ndjson)";
                return Err(Problem::new(415, "unsupported-type", detail));
            }
        };
        let messages = messages.map_err(|error| Problem::new(400, "bad-field", error))?;
        Ok(batch(messages, self.id.clone(), from, door))
    }
}

/// A GET or HEAD that no door answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAsked {
    /// The path as it came, percent-encoded; begins with `/`.
    pub path: String,
    /// The query without its `?`.
    pub query: Option<String>,
    /// What answers when the folder has nothing there.
    pub otherwise: Otherwise,
}

/// What answers when a folder has nothing at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The live page.
    Page,
    /// Its icon.
    Icon,
    /// Nothing: a 404.
    Nothing,
}

/// How a stream is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// `text/event-stream`.
    Sse,
    /// `application/x-ndjson`.
    Ndjson,
}

/// A GET that streams.
#[derive(Debug)]
pub struct Streams {
    /// The rooms and where to begin in each; one, unless it is `/events`.
    pub rooms: Vec<(RoomName, Start)>,
    /// Whether the request was for `/events`: then each event's data names its room.
    pub many: bool,
    /// `?state`: begin with what is set.
    pub state: bool,
    /// How it is written.
    pub streaming: Streaming,
    /// `?as=`.
    pub name: Option<Arc<str>>,
}

/// A GET that reads, and perhaps waits.
#[derive(Debug, Clone)]
pub struct Poll {
    /// Which room.
    pub room: RoomName,
    /// Which part of it.
    pub range: Range,
    /// Milliseconds to wait when there is nothing yet.
    pub wait_ms: u64,
    /// `?as=`.
    pub name: Option<Arc<str>>,
}

/// An accepted WebSocket handshake.
#[derive(Debug)]
pub struct Socket {
    /// The room it is in from the start; `None` on `/ws`.
    pub room: Option<RoomName>,
    /// Native JSON, or payload only.
    pub native: bool,
    /// Where to begin in the room.
    pub start: Start,
    /// `?as=`.
    pub name: Option<Arc<str>>,
    /// `?presence=1` or `?presence=counts`.
    pub presence: Watch,
    /// `?state`.
    pub state: bool,
    /// What the 101 says.
    pub answer: handshake::Answer,
}
