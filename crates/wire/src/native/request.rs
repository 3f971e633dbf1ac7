use std::borrow::Cow;

use serde_json::value::RawValue;

use super::body::Body;

/// Bytes of a `ref` as it stands in the JSON. It is kept until the answer, so it is bounded.
pub const REFERENCE_BYTES_MAX: usize = 64;

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
        /// `rewind`: begin with the last so many messages.
        rewind: Option<u32>,
        /// `as`: the display name, from now on and in every room of the Conn.
        name: Option<Cow<'a, str>>,
        /// `presence`: be told who is there, comes and goes.
        presence: bool,
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
        /// `data` or `base64`, exactly one of them.
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
    },
    /// Read what was said in a room: `{"history":ROOM}`.
    History {
        /// The room.
        room: Cow<'a, str>,
        /// `since`: what was said after this position. Not together with `rewind`.
        since: Option<Cow<'a, str>>,
        /// `limit`: at most so many messages.
        limit: Option<u32>,
        /// `rewind`: the last so many messages.
        rewind: Option<u32>,
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
    },
    /// Take another display name: `{"nick":NAME}`.
    Nick {
        /// The name.
        name: Cow<'a, str>,
    },
    /// Ask whether anybody is there: `{"ping":true}`; the value does not matter.
    Ping,
}

impl<'a> Request<'a> {
    /// The `ref` as it stands in the JSON.
    #[must_use]
    pub fn reference_json(&self) -> Option<&'a str> {
        self.reference.map(RawValue::get)
    }
}

impl Verb<'_> {
    /// All verbs as they are spelt.
    pub const NAMES: [&'static str; 8] = [
        "join", "leave", "publish", "history", "fetch", "who", "nick", "ping",
    ];

    /// How this verb is spelt.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::Publish { .. } => "publish",
            Self::History { .. } => "history",
            Self::Fetch { .. } => "fetch",
            Self::Who { .. } => "who",
            Self::Nick { .. } => "nick",
            Self::Ping => "ping",
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
