//! What a client asks for: joins, publishes, history.

use crate::message::{Body, Position};

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is said from now on.
    #[default]
    Now,
    /// With what was said after a position.
    After(Position),
    /// With the last so many messages.
    Rewind(u32),
}

/// A room to join, and how.
///
/// ```
/// use taut_client::{Join, Position};
/// let join = Join::room("prices/eur").since(Position::new("k3f9a2-17")).presence();
/// ```
#[derive(Debug, Clone)]
pub struct Join {
    pub(crate) room: String,
    pub(crate) start: Start,
    pub(crate) name: Option<String>,
    pub(crate) presence: bool,
}

impl Join {
    /// The room `room`, from now on.
    pub fn room(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            start: Start::Now,
            name: None,
            presence: false,
        }
    }

    /// From what was said after `position`. What cannot be recovered is told by [`Joined::incomplete_from`](crate::Joined::incomplete_from).
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.start = Start::After(position);
        self
    }

    /// From the last `messages` messages.
    #[must_use]
    pub fn rewind(mut self, messages: u32) -> Self {
        self.start = Start::Rewind(messages);
        self
    }

    /// Under this display name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// With the list of who is there, and with who comes and goes.
    #[must_use]
    pub fn presence(mut self) -> Self {
        self.presence = true;
        self
    }
}

impl From<&str> for Join {
    fn from(room: &str) -> Self {
        Self::room(room)
    }
}

/// A message to publish.
///
/// ```
/// use taut_client::Publish;
/// let said = Publish::to("lobby", "hello");
/// let moved = Publish::to("games/42", "e2e4").event("move").id("move-17");
/// ```
#[derive(Debug, Clone)]
pub struct Publish {
    pub(crate) room: String,
    pub(crate) body: Body,
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
}

impl Publish {
    /// `body` to the room `room`.
    pub fn to(room: impl Into<String>, body: impl Into<Body>) -> Self {
        Self {
            room: room.into(),
            body: body.into(),
            event: None,
            key: None,
            id: None,
            name: None,
        }
    }

    /// What kind of message it is, instead of `message`.
    #[must_use]
    pub fn event(mut self, event: impl Into<String>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// The key whose latest value this is.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// An id that makes the publish happen once, however often it is sent under one name within the server's window of five minutes.
    /// Where none is given and there is a name, the client draws one, so that it can send the publish again itself.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Under this display name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Publish {
    /// Whether the server would recognise it when it comes again: it counts ids per name.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.id.is_some() && self.name.is_some()
    }

    /// The bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let body = match &self.body {
            Body::Text(text) => text.len(),
            Body::Json(json) => json.get().len(),
            Body::Binary(bytes) => bytes.len(),
        };
        let labels = [&self.event, &self.key, &self.id, &self.name];
        let labels: usize = labels.into_iter().flatten().map(String::len).sum();
        self.room.len() + body + labels
    }
}

/// A stretch of history to read.
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) room: String,
    pub(crate) start: Start,
    pub(crate) limit: Option<u32>,
}

impl History {
    /// Of the room `room`, as much as the server gives at once.
    pub fn of(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            start: Start::Now,
            limit: None,
        }
    }

    /// What was said after `position`.
    #[must_use]
    pub fn since(mut self, position: Position) -> Self {
        self.start = Start::After(position);
        self
    }

    /// The last `messages` messages.
    #[must_use]
    pub fn rewind(mut self, messages: u32) -> Self {
        self.start = Start::Rewind(messages);
        self
    }

    /// At most so many messages.
    #[must_use]
    pub fn limit(mut self, messages: u32) -> Self {
        self.limit = Some(messages);
        self
    }
}
