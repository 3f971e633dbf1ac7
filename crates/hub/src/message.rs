//! Messages: what is said in a room, once drafted by a Conn and once numbered by the room's home.

use std::sync::Arc;

use bytes::Bytes;

use crate::conn::{Door, Origin};

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
}

impl Body {
    /// The bytes, whatever they are.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Body::Text(bytes) | Body::Json(bytes) | Body::Binary(bytes) => bytes,
        }
    }
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
    /// The sender's display name, as the server stamps it.
    pub from: Arc<str>,
    /// The door the sender came by.
    pub door: Door,
    /// The content.
    pub body: Body,
}

/// A numbered message, shared by every log, reader and core as `Arc<Message>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number: one more than the message before it in the same room.
    pub offset: u64,
    /// When the home numbered it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// The event's name; `None` is `message`.
    pub event: Option<Arc<str>>,
    /// What the message is the newest value of, where it is one.
    pub key: Option<Arc<str>>,
    /// The publisher's id for it, where it gave one.
    pub id: Option<Arc<str>>,
    /// The sender's display name.
    pub from: Arc<str>,
    /// The door the sender came by.
    pub door: Door,
    /// The content.
    pub body: Body,
    /// The member that said it, so that the server can leave it out of the fan-out; `None` when it was said from outside the room.
    pub origin: Option<Origin>,
    /// When the home numbered it, on the home's monotonic clock in milliseconds: history ages by this one.
    pub born_ms: u64,
    /// The cost of all the room's messages up to and with this one, in bytes: the difference between two of these is how
    /// far a reader is behind.
    pub end_bytes: u64,
}

impl Message {
    /// The event's name, `message` where none was given.
    #[must_use]
    pub fn event(&self) -> &str {
        self.event.as_deref().unwrap_or("message")
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
    /// What keeping the message will cost, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> u64 {
        cost_bytes(&self.body, [&self.event, &self.key, &self.id], &self.from)
    }
}

fn cost_bytes(body: &Body, labels: [&Option<Arc<str>>; 3], from: &str) -> u64 {
    let labels: usize = labels
        .iter()
        .filter_map(|label| label.as_deref())
        .map(str::len)
        .sum();
    MESSAGE_OVERHEAD_BYTES + (body.bytes().len() + labels + from.len()) as u64
}
