use std::borrow::Cow;

use serde_json::value::RawValue;

use super::body::Body;

/// Bytes of a `ref` as it stands in the JSON. It is kept until the answer, so it is bounded.
pub const REFERENCE_BYTES_MAX: usize = 64;

/// Messages of one batch.
pub const BATCH_MESSAGES_MAX: usize = 256;

/// What a client asks for: one object, exactly one verb.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The verb and its fields.
    pub verb: Verb<'a>,
    /// `ref`: a number or string of at most [`REFERENCE_BYTES_MAX`] bytes, echoed in the answer as it came.
    pub reference: Option<&'a RawValue>,
    /// `proof`: the challenge that a datagram door gave to this address. Elsewhere it means nothing.
    pub proof: Option<Cow<'a, str>>,
}

/// The verbs. Optional fields that are `null` are as if absent; fields of other verbs are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb<'a> {
    /// Come into a room: `{"join":ROOM}`.
    Join {
        /// The room.
        room: Cow<'a, str>,
        /// `since`: go on after this position. Not together with `rewind`.
        since: Option<Cow<'a, str>>,
        /// `rewind`: begin with the last messages.
        rewind: Option<Rewind>,
        /// `as`: the display name, from now on and in every room of the Conn.
        name: Option<Cow<'a, str>>,
        /// `presence`: be told who is there, comes and goes, or only how many are there.
        presence: Watch,
        /// `data`: what the user says of itself to whoever asks for presence: any JSON value.
        data: Option<Cow<'a, str>>,
        /// `state`: be told what is set. The one field that is also a verb; beside `join` it is a field.
        state: bool,
    },
    /// Go out of a room: `{"leave":ROOM}`.
    Leave {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Say something in a room, joined or not: `{"publish":ROOM,"data":…}`.
    Publish {
        /// The room.
        room: Cow<'a, str>,
        /// `data`, `base64` or `args`, exactly one of them.
        body: Body<'a>,
        /// `event`: what kind of message it is; `message` where absent.
        event: Option<Cow<'a, str>>,
        /// `key`: the key whose latest value this is.
        key: Option<Cow<'a, str>>,
        /// `id`: makes the publish idempotent.
        id: Option<Cow<'a, str>>,
        /// `as`: the display name of this one message.
        name: Option<Cow<'a, str>>,
        /// `lane`: `reliable` where absent.
        lane: Lane,
        /// `expect`: what the key must be for this to happen. Only with `key`.
        expect: Option<Expect<'a>>,
        /// `ttl_ms`: for how long the key stays set. Only with `key`.
        ttl_ms: Option<u64>,
    },
    /// Say several things at once, all of them or none: `{"publish":ROOM,"batch":[{"data":…},…]}`.
    Batch {
        /// The room.
        room: Cow<'a, str>,
        /// `batch`: 1 to [`BATCH_MESSAGES_MAX`] messages.
        messages: Vec<BatchMessage<'a>>,
        /// `id`: makes all of it idempotent together.
        id: Option<Cow<'a, str>>,
        /// `as`: the display name of these messages.
        name: Option<Cow<'a, str>>,
    },
    /// Set a key of a room's state: `{"set":ROOM,"key":KEY,"data":…}`. A publish with a key, by another name.
    Set {
        /// The room.
        room: Cow<'a, str>,
        /// `key`: what is set.
        key: Cow<'a, str>,
        /// `data`, `base64` or `args`, exactly one of them.
        body: Body<'a>,
        /// `event`: what kind of message it is; `message` where absent.
        event: Option<Cow<'a, str>>,
        /// `id`: makes it idempotent.
        id: Option<Cow<'a, str>>,
        /// `as`: the display name of this one message.
        name: Option<Cow<'a, str>>,
        /// `expect`: what the key must be for this to happen.
        expect: Option<Expect<'a>>,
        /// `ttl_ms`: for how long the key stays set.
        ttl_ms: Option<u64>,
    },
    /// Delete a key of a room's state: `{"delete":ROOM,"key":KEY}`.
    Delete {
        /// The room.
        room: Cow<'a, str>,
        /// `key`: what is deleted.
        key: Cow<'a, str>,
        /// `id`: makes it idempotent.
        id: Option<Cow<'a, str>>,
        /// `as`: the display name of this one message.
        name: Option<Cow<'a, str>>,
        /// `expect`: what the key must be for this to happen.
        expect: Option<Expect<'a>>,
    },
    /// Read one key of a room's state: `{"get":ROOM,"key":KEY}`.
    Get {
        /// The room.
        room: Cow<'a, str>,
        /// `key`: which one.
        key: Cow<'a, str>,
    },
    /// Read a room's state: `{"state":ROOM}`.
    State {
        /// The room.
        room: Cow<'a, str>,
    },
    /// Read what was said in a room: `{"history":ROOM}`.
    History {
        /// The room.
        room: Cow<'a, str>,
        /// `since`: what was said after this position. Not together with `rewind`.
        since: Option<Cow<'a, str>>,
        /// `until`: what was said up to this position, it included.
        until: Option<Cow<'a, str>>,
        /// `rewind`: the last messages.
        rewind: Option<Rewind>,
        /// `limit`: at most so many messages.
        limit: Option<u32>,
        /// `reverse`: from the end backwards, newest first.
        reverse: bool,
    },
    /// Read one message in pieces, where it is too long for a datagram: `{"fetch":ROOM,"at":POSITION}`.
    Fetch {
        /// The room.
        room: Cow<'a, str>,
        /// `at`: the message's position.
        at: Cow<'a, str>,
        /// `offset`: the first byte of the piece, of the object that the message is; 0 where absent.
        offset: u32,
    },
    /// Ask who is in a room: `{"who":ROOM}`.
    Who {
        /// The room.
        room: Cow<'a, str>,
        /// `counts`: only how many, nobody is listed.
        counts: bool,
    },
    /// Take another display name: `{"nick":NAME}`.
    Nick {
        /// The name.
        name: Cow<'a, str>,
    },
    /// Ask whether anybody is there: `{"ping":true}`; the value does not matter.
    Ping,
    /// Show a token, the first one or a newer one: `{"auth":TOKEN}`.
    Auth {
        /// The token.
        token: Cow<'a, str>,
    },
}

impl<'a> Request<'a> {
    /// The `ref` as it stands in the JSON.
    #[must_use]
    pub fn reference_json(&self) -> Option<&'a str> {
        self.reference.map(RawValue::get)
    }
}

/// What a reader wants to hear of who is in a room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    #[default]
    Nothing,
    /// `"presence":"counts"`: how many there are, and nobody is listed.
    Counts,
    /// `"presence":true`: who.
    Users,
}

impl Verb<'_> {
    /// All verbs as they are spelt.
    pub const NAMES: [&'static str; 13] = [
        "join", "leave", "publish", "set", "delete", "get", "state", "history", "fetch", "who",
        "nick", "ping", "auth",
    ];

    /// How this verb is spelt.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Publish { .. } | Self::Batch { .. } => "publish",
            Self::Set { .. } => "set",
            Self::Delete { .. } => "delete",
            Self::Get { .. } => "get",
            Self::State { .. } => "state",
            Self::History { .. } => "history",
            Self::Fetch { .. } => "fetch",
            Self::Who { .. } => "who",
            Self::Nick { .. } => "nick",
            Self::Ping => "ping",
            Self::Auth { .. } => "auth",
        }
    }
}

/// The lane a message goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lane {
    /// Numbered, ordered, recoverable.
    #[default]
    Reliable,
    /// No offset, never stored, the newest per key wins.
    Latest,
}

/// How far back a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewind {
    /// `"rewind":10`: with the last so many messages.
    Count(u32),
    /// `"rewind":"10m"`: with what the last so many milliseconds brought.
    Ms(u64),
}

/// What a publisher takes for granted of its key; where it is otherwise, nothing happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect<'a> {
    /// `"expect":null`: it is not set.
    Absent,
    /// It was set last by the message at this position.
    At(Cow<'a, str>),
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// `data`, `base64` or `args`, exactly one of them.
    pub body: Body<'a>,
    /// `event`: what kind of message it is; `message` where absent.
    pub event: Option<Cow<'a, str>>,
    /// `key`: the key whose latest value this is.
    pub key: Option<Cow<'a, str>>,
    /// `expect`: what the key must be for all of the batch to happen. Only with `key`.
    pub expect: Option<Expect<'a>>,
    /// `ttl_ms`: for how long the key stays set. Only with `key`.
    pub ttl_ms: Option<u64>,
}
