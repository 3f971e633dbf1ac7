//! What a client asks for: joins, publishes, history.

use taut_wire::native::{Lane, Watch};

use crate::error::Error;
use crate::message::{Body, Position};

/// Bytes that each message of a batch is counted with besides its own.
const BATCH_MESSAGE_OVERHEAD_BYTES: usize = 64;

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
    /// With what the last so many milliseconds brought.
    RewindMs(u64),
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
    pub(crate) presence: Watch,
    pub(crate) data: Option<String>,
    pub(crate) state: bool,
}

impl Join {
    /// The room `room`, from now on.
    pub fn room(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            start: Start::Now,
            name: None,
            presence: Watch::Nothing,
            data: None,
            state: false,
        }
    }

    /// Says this of itself to whoever asks who is there: one JSON text of at most 2 KiB. Joining again with another changes it.
    #[must_use]
    pub fn data(mut self, json: impl Into<String>) -> Self {
        self.data = Some(json.into());
        self
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

    /// From what the last so many milliseconds brought.
    #[must_use]
    pub fn rewind_ms(mut self, ms: u64) -> Self {
        self.start = Start::RewindMs(ms);
        self
    }

    /// Under this display name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// With the room's state where the reader begins: [`Joined::state`](crate::Joined::state). With [`Join::since`], and on the way back after a
    /// reconnect, it comes only where not everything could be recovered; the reader then begins at the head, with the whole state instead of
    /// what it missed. A rewind brings none.
    #[must_use]
    pub fn state(mut self) -> Self {
        self.state = true;
        self
    }

    /// With the list of who is there, and with who comes and goes.
    #[must_use]
    pub fn presence(mut self) -> Self {
        self.presence = Watch::Users;
        self
    }

    /// With how many are there, and whenever that changes; nobody is listed.
    #[must_use]
    pub fn counts(mut self) -> Self {
        self.presence = Watch::Counts;
        self
    }
}

impl From<&str> for Join {
    fn from(room: &str) -> Self {
        Self::room(room)
    }
}

/// What a publisher takes for granted of its key. Where it is otherwise, the server refuses with the code `unexpected`, and nothing happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// It is not set.
    Absent,
    /// It was set last by the message at this position.
    At(Position),
}

/// What a publish is about.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// One message.
    One(Body),
    /// Several messages, all of them or none.
    Batch(Vec<Publish>),
    /// The end of the key.
    Deletion,
}

/// Something to publish: a message, several at once, or the end of a key.
///
/// ```
/// use taut_client::Publish;
/// let said = Publish::to("lobby", "hello");
/// let moved = Publish::to("games/42", "e2e4").event("move").id("move-17");
/// let set = Publish::to("sensors", "21.5").key("inside").ttl_ms(60_000);
/// let both = Publish::batch("games/42", [Publish::to("", "e2e4"), Publish::to("", "e7e5")]);
/// ```
#[derive(Debug, Clone)]
pub struct Publish {
    pub(crate) room: String,
    pub(crate) content: Content,
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) expect: Option<Expect>,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) lane: Lane,
}

impl Publish {
    /// `body` to the room `room`. With a [key](Publish::key) it is also what the room's state holds under it from then on.
    pub fn to(room: impl Into<String>, body: impl Into<Body>) -> Self {
        Self::with(room.into(), Content::One(body.into()))
    }

    /// Several messages to the room `room`: all of them one behind the other, or none. Of each counts its body, event, key, expectation and
    /// time to live; id and name are those of the whole. The answer is the position of the last one. After a reconnect the others may be heard
    /// as if somebody else had said them.
    pub fn batch(room: impl Into<String>, messages: impl IntoIterator<Item = Publish>) -> Self {
        Self::with(room.into(), Content::Batch(messages.into_iter().collect()))
    }

    /// The end of `key` in the room `room`. Refused with the code `unexpected` where it is not set.
    pub fn deletion(room: impl Into<String>, key: impl Into<String>) -> Self {
        Self::with(room.into(), Content::Deletion).key(key)
    }

    fn with(room: String, content: Content) -> Self {
        Self {
            room,
            content,
            event: None,
            key: None,
            id: None,
            name: None,
            expect: None,
            ttl_ms: None,
            lane: Lane::Reliable,
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

    /// What the key must be for this to happen.
    #[must_use]
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// For how long the key stays set, in milliseconds.
    #[must_use]
    pub fn ttl_ms(mut self, ms: u64) -> Self {
        self.ttl_ms = Some(ms);
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
    /// Whether it can be sent: a batch holds messages only.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Content::Batch(messages) = &self.content else {
            return Ok(());
        };
        let is_message = |message: &Self| matches!(message.content, Content::One(_));
        if messages.iter().all(is_message) {
            return Ok(());
        }
        Err(Error::Unsendable(
            "a batch holds messages, neither deletions nor batches".into(),
        ))
    }

    /// The same on the lane `latest`, which keeps nothing.
    pub(crate) fn on_latest(mut self) -> Result<Self, Error> {
        let asks_for_more = self.id.is_some() || self.expect.is_some() || self.ttl_ms.is_some();
        if asks_for_more || !matches!(self.content, Content::One(_)) {
            return Err(Error::Unsendable(
                "the lane latest keeps nothing: one message goes by it, without id, expectation or time to live".into(),
            ));
        }
        self.lane = Lane::Latest;
        Ok(self)
    }

    /// Whether the server would recognise it when it comes again: it counts ids per name.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.id.is_some() && self.name.is_some()
    }

    /// The bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        let body = match &self.content {
            Content::One(Body::Text(text)) => text.len(),
            Content::One(Body::Json(json)) => json.get().len(),
            Content::One(Body::Binary(bytes)) => bytes.len(),
            Content::One(Body::Args(arguments)) => arguments.packed().len(),
            Content::Batch(messages) => messages
                .iter()
                .map(|message| message.bytes() + BATCH_MESSAGE_OVERHEAD_BYTES)
                .sum(),
            Content::Deletion => 0,
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
    pub(crate) until: Option<Position>,
    pub(crate) limit: Option<u32>,
    pub(crate) reverse: bool,
}

impl History {
    /// Of the room `room`, as much as the server gives at once.
    pub fn of(room: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            start: Start::Now,
            until: None,
            limit: None,
            reverse: false,
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

    /// What the last so many milliseconds brought.
    #[must_use]
    pub fn rewind_ms(mut self, ms: u64) -> Self {
        self.start = Start::RewindMs(ms);
        self
    }

    /// What was said up to `position`, it included. Without a beginning, from the oldest message that there is.
    #[must_use]
    pub fn until(mut self, position: Position) -> Self {
        self.until = Some(position);
        self
    }

    /// From the end backwards, newest first. Go on with [`History::until`] the page's position.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most so many messages.
    #[must_use]
    pub fn limit(mut self, messages: u32) -> Self {
        self.limit = Some(messages);
        self
    }
}
