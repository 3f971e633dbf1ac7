use std::borrow::Cow;

use super::body::Body;
use super::delivery::{Delivery, Stamp};

/// What a server says: answers to requests (`ok`, `error`), and what comes by itself.
///
/// `reference` is the request's `ref` as JSON, echoed as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `{"ok":"join"}`: in the room; what comes after `at` is live.
    Joined {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
        /// The room's head at the join.
        at: Cow<'a, str>,
        /// Whether everything asked for comes.
        recovery: Recovery<'a>,
        /// Who is there, when presence was asked for.
        who: Option<Roster<'a>>,
        /// What is set where the reader begins, when it was asked for and is given: the newest message of each key.
        state: Option<Vec<Message<'a>>>,
    },
    /// `{"ok":"leave"}`: nothing of the room comes any more.
    Left {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
    },
    /// `{"ok":"publish"}`, `{"ok":"set"}`, `{"ok":"delete"}`: numbered; or, on the lane `latest`, only said.
    Published {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// What was asked for.
        taken: Taken,
        /// The message's position; of a batch, the last one's. `None` on the lane `latest`.
        at: Option<Cow<'a, str>>,
        /// The same `id` was published before; this is the position of that one, and nothing was published again.
        duplicate: bool,
    },
    /// `{"ok":"get"}`: what is set under a key.
    Got {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The message that set it; its position is the key's version.
        message: Message<'a>,
    },
    /// `{"ok":"state"}`: what is set in a room.
    State {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
        /// As of here: a reader that goes on after it misses no change.
        at: Cow<'a, str>,
        /// The newest message of each key, oldest first.
        state: Vec<Message<'a>>,
    },
    /// `{"ok":"history"}`: what was said.
    History {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
        /// Where to go on: the `since` of the next request, or its `until` in reverse.
        at: Cow<'a, str>,
        /// Whether everything asked for is there.
        recovery: Recovery<'a>,
        /// There is more after `at` already.
        more: bool,
        /// The messages, oldest first; in reverse newest first.
        messages: Vec<Message<'a>>,
    },
    /// `{"ok":"fetch"}`: a piece of a message.
    Fetched {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
        /// The message's position.
        at: Cow<'a, str>,
        /// Where the piece begins in the object that the message is, in bytes.
        offset: u32,
        /// How many bytes the whole object has.
        bytes: u32,
        /// The piece (`base64`).
        piece: Cow<'a, [u8]>,
    },
    /// `{"ok":"who"}`: who is there.
    Who {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The room.
        room: Cow<'a, str>,
        /// Who is there.
        roster: Roster<'a>,
    },
    /// `{"ok":"nick"}`: renamed.
    Renamed {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The name.
        name: Cow<'a, str>,
    },
    /// `{"ok":"auth"}`: the token is good, and what it grants holds from now on.
    Authed {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// The user that it names, where it names one.
        user: Option<Cow<'a, str>>,
        /// When it ends, in seconds of Unix time: until then a newer one keeps the connection.
        expires_s: u64,
    },
    /// `{"ok":"ping"}`.
    Pong {
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// `behind`: rooms of which not all has been sent to this Conn, and how many messages are left.
        behind: Vec<(Cow<'a, str>, u64)>,
    },
    /// `{"error":CODE}`: the request was not done, the connection lives.
    Error {
        /// One of [`codes::ERRORS`](super::codes::ERRORS), or a newer one.
        code: Cow<'a, str>,
        /// The request's `ref`.
        reference: Option<Cow<'a, str>>,
        /// What happened and what to do, for people.
        text: Cow<'a, str>,
        /// Above 0: the same may be tried again after so many milliseconds. 0 or `None`: it would fail again.
        retry_ms: Option<u64>,
    },
    /// A message of a joined room.
    Message(Message<'a>),
    /// A message of a joined room that is too long for a datagram, without its body: fetch it.
    Announced(Announcement<'a>),
    /// `{"prove":CHALLENGE}`: say it again with this as `proof`, so that the server knows the address to be yours.
    Prove {
        /// The challenge.
        challenge: Cow<'a, str>,
    },
    /// `left`: out of a room without having asked for it.
    Expelled {
        /// The room.
        room: Cow<'a, str>,
        /// Why, for programs: `forbidden`.
        code: Cow<'a, str>,
        /// Why, for people.
        text: Cow<'a, str>,
    },
    /// `gap`: messages of a joined room that do not come, after `after` and up to `at`.
    Gap {
        /// The room.
        room: Cow<'a, str>,
        /// The last position before the gap.
        after: Cow<'a, str>,
        /// The position up to which messages are missing.
        at: Cow<'a, str>,
    },
    /// `presence`: who came and went, for those who asked.
    Presence {
        /// The room.
        room: Cow<'a, str>,
        /// Who came. Empty, like `left`, when too many change at once.
        joined: Vec<Member<'a>>,
        /// Who went.
        left: Vec<Member<'a>>,
        /// Who says something else of itself, or has more or fewer connections.
        changed: Vec<Member<'a>>,
        /// How many there are now.
        count: u32,
        /// Over how many connections.
        conns: u32,
    },
    /// `{"bye":CODE}`: the connection ends.
    Bye {
        /// One of [`codes::BYES`](super::codes::BYES), or a newer one.
        code: Cow<'a, str>,
        /// Why, for people.
        text: Option<Cow<'a, str>>,
        /// Come back after so many milliseconds; `None`: coming back as before would not help.
        retry_ms: Option<u64>,
    },
    /// An object of a kind that this version does not know. Clients pass over it, so that servers can grow.
    Unknown,
}

/// What a server has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A message.
    Publish,
    /// So many messages at once.
    Batch(u32),
    /// The value of a key.
    Set,
    /// The end of a key.
    Delete,
}

impl Taken {
    /// The verb that asked for it.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Publish | Self::Batch(_) => "publish",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }
}

/// Whether a reader gets everything that it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery<'a> {
    /// `"complete":true`.
    Complete,
    /// `"complete":false`: the view is whole from this position on, and something before it is lost.
    From(Cow<'a, str>),
}

/// A message as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// The room.
    pub room: Cow<'a, str>,
    /// Its position; `None` on the lane `latest`.
    pub at: Option<Cow<'a, str>>,
    /// Who said it: a name that anybody may choose.
    pub from: Cow<'a, str>,
    /// Who said it, as the server has verified it.
    pub by: Option<Stamp<'a>>,
    /// What kind of message it is.
    pub event: Cow<'a, str>,
    /// The key whose latest value it is.
    pub key: Option<Cow<'a, str>>,
    /// The publisher's own id.
    pub id: Option<Cow<'a, str>>,
    /// When the room's home took it, in milliseconds of Unix time.
    pub time_ms: u64,
    /// What it says.
    pub body: Body<'a>,
}

/// A message whose body does not come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement<'a> {
    /// The room.
    pub room: Cow<'a, str>,
    /// Its position, to fetch it by; `None` on the lane `latest`, of which nothing can be fetched.
    pub at: Option<Cow<'a, str>>,
    /// Who said it: a name that anybody may choose.
    pub from: Cow<'a, str>,
    /// Who said it, as the server has verified it.
    pub by: Option<Stamp<'a>>,
    /// What kind of message it is.
    pub event: Cow<'a, str>,
    /// How many bytes the object has that `fetch` brings.
    pub bytes: u32,
}

impl Message<'_> {
    /// The same message, borrowed for encoding.
    #[must_use]
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery {
            room: &self.room,
            at: self.at.as_deref(),
            from: &self.from,
            by: self.by.as_ref(),
            event: &self.event,
            key: self.key.as_deref(),
            id: self.id.as_deref(),
            time_ms: self.time_ms,
            body: self.body.payload(),
        }
    }
}

/// Who is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster<'a> {
    /// How many there are; the list may be shorter.
    pub count: u32,
    /// Over how many connections; on the wire only where it differs.
    pub conns: u32,
    /// Those that are listed.
    pub members: Vec<Member<'a>>,
}

/// One connection of a member: its door, and what tells it apart.
pub type Place<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The display name.
    pub name: Cow<'a, str>,
    /// The verified user, where there is one.
    pub user: Option<Cow<'a, str>>,
    /// The door it came by, such as `websocket`.
    pub door: Cow<'a, str>,
    /// Tells Conns apart; opaque.
    pub id: Cow<'a, str>,
    /// All its connections, where it has several: their doors and ids. At most 16 are listed.
    pub conns: Vec<Place<'a>>,
    /// How many it has; on the wire only where not all are listed.
    pub conns_count: u32,
    /// What it says of itself: one JSON value, its bytes as they came.
    pub data: Option<Cow<'a, str>>,
}
