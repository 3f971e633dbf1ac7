//! Messages: what is said in a room, once drafted by a Conn and once numbered by the room's home.

use std::sync::Arc;

use bytes::Bytes;

use crate::conn::{Door, Origin};
use crate::position::Position;
use crate::sender::Sender;
use crate::shard::Now;

/// What one kept message costs beside its own bytes: the struct, its reference counts and its place in a log.
pub const MESSAGE_OVERHEAD_BYTES: u64 = 192;

/// The content of a message.
///
/// The hub never looks inside; whoever makes one vouches for what the variant says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// UTF-8 text.
    Text(Bytes),
    /// One valid JSON text, its bytes kept as they came.
    Json(Bytes),
    /// Anything.
    Binary(Bytes),
    /// The arguments of an event, binary ones among them, packed into one by whoever made them.
    Args(Bytes),
}

impl Body {
    /// The bytes, whatever they are.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Body::Text(bytes) | Body::Json(bytes) | Body::Binary(bytes) | Body::Args(bytes) => {
                bytes
            }
        }
    }
}

/// How a message travels. No order is promised between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Numbered, ordered, recoverable.
    #[default]
    Reliable,
    /// Without a position and never kept: of each key, else of each event, only the newest matters.
    Latest,
}

/// What a message does to its room's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// It is the newest value of its key.
    Set {
        /// When the key ends by itself, in milliseconds of Unix time.
        expires_ms: Option<u64>,
    },
    /// Its key was deleted.
    Deleted,
    /// Its key has come to its end.
    Expired,
}

/// What a publisher wants of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Set it to the body.
    Set {
        /// For so many milliseconds, where given.
        ttl_ms: Option<u64>,
    },
    /// Delete it.
    Delete,
}

/// What a publisher takes for granted of its key: where it is otherwise, nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It is not set.
    Absent,
    /// It was set last by the message at this position.
    At(Position),
}

/// A message before its room's home has numbered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The event's name; `None` is `message`.
    pub event: Option<Arc<str>>,
    /// What the message is the newest value of, where it is one; the lag policy `conflate` keeps the newest per key.
    pub key: Option<Arc<str>>,
    /// Makes the publish idempotent: the same id from the same sender within the window is the same message.
    pub id: Option<Arc<str>>,
    /// Who says it. The shard stamps it with the user that the Conn's grant names.
    pub from: Sender,
    /// The door the sender came by.
    pub door: Door,
    /// The content.
    pub body: Body,
    /// What becomes of the key, where there is one.
    pub wish: Wish,
    /// What must hold of the key before.
    pub expect: Option<Expect>,
    /// How it travels. On the lane `latest` it may have neither `id` nor `expect`, nor any wish of its key.
    pub lane: Lane,
}

/// A numbered message, shared by every log, reader and core as `Arc<Message>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number: one more than the message before it in the same room. On the lane `latest` there is none, and this is 0.
    pub offset: u64,
    /// When the home numbered it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// The event's name; `None` is `message`.
    pub event: Option<Arc<str>>,
    /// What the message is the newest value of, where it is one.
    pub key: Option<Arc<str>>,
    /// The publisher's id for it, where it gave one.
    pub id: Option<Arc<str>>,
    /// Who said it: the display name, and the user whom the server verified.
    pub from: Sender,
    /// The door the sender came by.
    pub door: Door,
    /// The content.
    pub body: Body,
    /// What it does to the room's state.
    pub effect: Effect,
    /// How it travels.
    pub lane: Lane,
    /// The Conn that said it; `None` of a message of an earlier run, and of the server's own.
    pub origin: Option<Origin>,
    /// Whether that Conn was a member, which is left out of the fan-out. Who speaks from outside may come in later and read it.
    pub is_members: bool,
    /// When the home numbered it, on the home's monotonic clock in milliseconds: history ages by this one. That clock begins near Unix
    /// time, so that messages of an earlier run, which have nothing but their `time_ms`, age on.
    pub born_ms: u64,
    /// The cost of all the room's messages up to and with this one, in bytes: the difference between two of these is how
    /// far a reader is behind.
    pub end_bytes: u64,
}

impl Message {
    /// What a draft becomes when its home has taken it, before it has a number: nobody's, and without an effect.
    pub(crate) fn of(draft: Draft, now: Now) -> Self {
        Self {
            offset: 0,
            time_ms: now.unix_ms,
            event: draft.event,
            key: draft.key,
            id: draft.id,
            from: draft.from,
            door: draft.door,
            body: draft.body,
            effect: Effect::None,
            lane: draft.lane,
            origin: None,
            is_members: false,
            born_ms: now.mono_ms,
            end_bytes: 0,
        }
    }

    /// The event's name, `message` where none was given.
    #[must_use]
    pub fn event(&self) -> &str {
        self.event.as_deref().unwrap_or("message")
    }

    /// The member that is left out of the fan-out, where the room does not echo: the one that said it.
    #[must_use]
    pub fn left_out(&self) -> Option<Origin> {
        self.origin.filter(|_| self.is_members)
    }

    /// What keeping this message costs, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        cost_bytes(&self.body, [&self.event, &self.key, &self.id], &self.from)
    }

    /// The cost of all the room's messages before this one, in bytes.
    #[must_use]
    pub fn start_bytes(&self) -> u64 {
        self.end_bytes.saturating_sub(self.cost_bytes())
    }
}

impl Draft {
    /// A message that only says something.
    #[must_use]
    pub fn new(from: impl Into<Sender>, door: Door, body: Body) -> Self {
        Self {
            event: None,
            key: None,
            id: None,
            from: from.into(),
            door,
            body,
            wish: Wish::Set { ttl_ms: None },
            expect: None,
            lane: Lane::Reliable,
        }
    }

    /// What keeping the message will cost, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        cost_bytes(&self.body, [&self.event, &self.key, &self.id], &self.from)
    }
}

fn cost_bytes(body: &Body, labels: [&Option<Arc<str>>; 3], from: &Sender) -> u64 {
    let labels: usize = labels
        .iter()
        .filter_map(|label| label.as_deref())
        .map(str::len)
        .sum();
    MESSAGE_OVERHEAD_BYTES + (body.bytes().len() + labels + from.as_kept().len()) as u64
}
