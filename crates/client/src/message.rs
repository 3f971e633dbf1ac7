//! What travels: messages, their bodies and positions, who is in a room, and what happens to a connection.

use std::fmt;

use serde_json::value::RawValue;
use taut_wire::arguments;

use crate::error::Error;

/// A place in a room's numbering, to resume from. Opaque: only the server reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position(Box<str>);

impl Position {
    /// A position as the server wrote it, for example from a file where an earlier run kept it.
    pub fn new(written: impl Into<Box<str>>) -> Self {
        Self(written.into())
    }

    /// The position as the server wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message says.
#[derive(Debug, Clone)]
pub enum Body {
    /// Text.
    Text(String),
    /// A JSON value, its bytes as the publisher wrote them.
    Json(Box<RawValue>),
    /// Any bytes.
    Binary(Vec<u8>),
    /// The arguments of an event, several or binary ones among them: what Socket.IO clients say.
    Args(Arguments),
}

/// The arguments of an event: one JSON array in which binary attachments may stand anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Arguments {
    /// As `taut_wire::arguments` packs them.
    packed: Vec<u8>,
}

impl Arguments {
    /// Arguments from a JSON array; each object in it that is exactly `{"base64":"…"}` becomes an attachment.
    ///
    /// # Errors
    /// [`Error::Unsendable`] when the text is no JSON array, nests deeper than the server takes, or has such an object that is not base64 or
    /// more than 64 of them.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let (array, attachments) = arguments::from_json(json).map_err(Error::Unsendable)?;
        Ok(Self {
            packed: arguments::pack(&array, &attachments),
        })
    }

    /// The JSON array on one line, with `{"base64":"…"}` in the place of each attachment.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Vec::new();
        arguments::encode_packed(&mut json, &self.packed);
        String::from_utf8_lossy(&json).into_owned()
    }

    /// The attachments in their order.
    #[must_use]
    pub fn attachments(&self) -> Vec<&[u8]> {
        arguments::unpack(&self.packed)
            .map(|arguments| arguments.attachments)
            .unwrap_or_default()
    }

    pub(crate) fn of_packed(packed: Vec<u8>) -> Self {
        Self { packed }
    }

    /// As `taut_wire::arguments` packs them.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }
}

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Arguments").field(&self.to_json()).finish()
    }
}

impl Body {
    /// A JSON body from its text.
    ///
    /// # Errors
    /// [`Error::Unsendable`] when the text is not exactly one JSON value.
    pub fn json(text: &str) -> Result<Self, Error> {
        match RawValue::from_string(text.to_owned()) {
            Ok(value) => Ok(Self::Json(value)),
            Err(error) => Err(Error::Unsendable(format!("not a JSON value: {error}"))),
        }
    }
}

impl From<Arguments> for Body {
    fn from(arguments: Arguments) -> Self {
        Self::Args(arguments)
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One message of a room, as the server numbered and stamped it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The room it was said in.
    pub room: String,
    /// Its place in the room.
    pub at: Position,
    /// The display name of who said it, which anybody may choose.
    pub from: String,
    /// The verified user who said it, where it is one.
    pub by: Option<Stamp>,
    /// What kind of message it is; `message` where the publisher named none.
    pub event: String,
    /// The key whose latest value it is, where the publisher gave one.
    pub key: Option<String>,
    /// The publisher's own id, where it gave one.
    pub id: Option<String>,
    /// When the room's home took it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// What it says.
    pub body: Body,
}

impl Message {
    /// Whether it says that its key is not set any more: deleted, or at its end.
    #[must_use]
    pub fn ends_key(&self) -> bool {
        matches!(self.event.as_str(), "taut:deleted" | "taut:expired")
    }
}

/// What was said in a room on the lane `latest`: it has no position, is kept nowhere, and is not missed when it does not come.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The room it was said in.
    pub room: String,
    /// The display name of who said it, which anybody may choose.
    pub from: String,
    /// The verified user who said it, where it is one.
    pub by: Option<Stamp>,
    /// What kind of message it is; `message` where the publisher named none. Where there is no key, the newest of each event goes before the others.
    pub event: String,
    /// The key of which it is the newest, where the publisher gave one.
    pub key: Option<String>,
    /// When the room's home took it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// What it says.
    pub body: Body,
}

/// Who said something, as the server writes it and nobody else can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The user that its credentials named.
    pub user: String,
    /// The door it came by.
    pub door: String,
    /// Its connection, as `who` shows it; `None` where the server that it was connected to has ended.
    pub conn: Option<String>,
}

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The display name.
    pub name: String,
    /// The door that the Conn came by, for example `websocket`.
    pub door: String,
    /// What tells this Conn from others.
    pub id: String,
    /// All connections of this name, door and id each, where it has several.
    pub conns: Vec<(String, String)>,
    /// How many connections it has; the server lists at most 16.
    pub conns_count: u32,
    /// What it says of itself: one JSON text.
    pub data: Option<String>,
}

/// Who is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// How many there are, each name once; may exceed the list, which the server bounds.
    pub count: u32,
    /// Over how many connections.
    pub conns: u32,
    /// Those that the server listed.
    pub members: Vec<Present>,
}

/// The answer to a join.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The room.
    pub room: String,
    /// The room's head at the join: what comes after it is live.
    pub at: Position,
    /// Where the view is whole from, when not everything since the asked position could be recovered.
    pub incomplete_from: Option<Position>,
    /// Who was there, when presence was asked for.
    pub roster: Option<Roster>,
    /// What was set where the reader begins, when it was asked for and given: the newest message of each key.
    pub state: Option<Vec<Message>>,
}

/// What is set in a room.
#[derive(Debug, Clone)]
pub struct State {
    /// The room.
    pub room: String,
    /// As of here: a join or a history since this position misses no change.
    pub at: Position,
    /// The newest message of each key, oldest first. Its position is the key's version.
    pub entries: Vec<Message>,
}

/// The answer to a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The message's place in the room; of a batch, the last one's.
    pub at: Position,
    /// The same id was published before: this is the position of that first one, and nothing was published again.
    pub duplicate: bool,
}

/// A stretch of a room's history, oldest first; newest first where that was asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// The room.
    pub room: String,
    /// Where to go on: the `since` of the next request, in reverse its `until`.
    pub at: Position,
    /// Where the view is whole from, when not everything since the asked position could be recovered.
    pub incomplete_from: Option<Position>,
    /// There is more after `at` already, in reverse before it.
    pub more: bool,
    /// The messages.
    pub messages: Vec<Message>,
}

/// What comes without being asked for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Somebody said something in a joined room.
    Message(Message),
    /// Somebody said something in a joined room on the lane `latest`. Between it and the messages no order is promised.
    Latest(Latest),
    /// Messages of a room that could not be recovered: everything after `after` and up to `at`.
    Gap {
        /// The room.
        room: String,
        /// The last position before the gap; `None` where nobody knows it.
        after: Option<Position>,
        /// The position up to which messages are missing.
        at: Position,
    },
    /// Somebody came or went, in a room that was joined with presence.
    Presence {
        /// The room.
        room: String,
        /// Who came. The server leaves the lists empty when many change at once.
        joined: Vec<Present>,
        /// Who went.
        left: Vec<Present>,
        /// Who says something else of itself, or has more or fewer connections.
        changed: Vec<Present>,
        /// How many there are now.
        count: u32,
    },
    /// The server refused something without saying what it answers.
    Refused(Error),
    /// The server ends the connection; [`Event::Disconnected`] follows.
    Bye {
        /// The reason's short name, for example `restart`.
        code: String,
        /// The reason, for people.
        text: String,
        /// Milliseconds after which to come back; `None`: do not come back.
        retry_ms: Option<u64>,
    },
    /// The connection is gone.
    Disconnected {
        /// Why.
        error: Error,
        /// Milliseconds until the next attempt; `None`: there will be none, and this is the last event.
        retry_ms: Option<u64>,
    },
    /// The connection is back; a [`Event::Rejoined`] follows for each room.
    Reconnected,
    /// A room was joined again after a reconnect, from the last position seen. A [`Event::Gap`] comes before it where something is missing.
    Rejoined(Joined),
    /// A room could not be joined again after a reconnect, or one may not be in it any more: nothing comes from it any more.
    Left {
        /// The room.
        room: String,
        /// What the server said.
        error: Error,
    },
}
