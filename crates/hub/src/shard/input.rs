//! What goes into a shard.

use std::sync::Arc;

use bytes::Bytes;

use crate::conn::{ConnId, Door, Ticket};
use crate::grant::Grant;
use crate::limits::Limits;
use crate::message::Draft;
use crate::name::RoomName;
use crate::policy::Policies;
use crate::position::Position;
use crate::room::Watch;
use crate::store::StoreAnswer;

use super::LinkMessage;

/// The time, as the caller has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back.
    pub mono_ms: u64,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

/// One thing that happened to a shard.
#[derive(Debug)]
pub enum Input {
    /// A Conn begins. Its slot is free.
    Open {
        /// The Conn.
        conn: ConnId,
    },
    /// A Conn has shown credentials, has renewed them, or has lost them: it may do this from now on, and nothing else. It leaves the rooms where it
    /// may not be any more, each of which is said by `Expelled`. Until then a Conn has [`ShardSettings::anonymous`](super::ShardSettings).
    Granted {
        /// The Conn, which is open.
        conn: ConnId,
        /// The verified user, where the credentials name one: the stamp under all that the Conn says.
        user: Option<Arc<str>>,
        /// What it may do.
        grant: Arc<Grant>,
    },
    /// A Conn wants to be in a room. Answered by `Joined` or `Refused`.
    Join {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// How.
        join: Join,
    },
    /// A Conn wants to be out of a room. Answered by `Left` or `Refused`.
    Leave {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// Whether it has gone, or only does not listen for a moment.
        farewell: Farewell,
    },
    /// A Conn says something in a room, whether it is in it or not. Answered by `Published`, on the lane `latest` by `Said`, or by `Refused`.
    Publish {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// What it says.
        draft: Draft,
    },
    /// A Conn says several things in a room at once: all of them, or none. Answered by `Published` or `Refused`.
    PublishBatch {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// What it says.
        batch: Batch,
    },
    /// A Conn reads history. Answered by `History` or `Refused`.
    Read {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// Which part of it.
        range: Range,
    },
    /// A Conn reads a room's state. Answered by `State` or `Refused`.
    ReadState {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// One key, or all of them.
        key: Option<Arc<str>>,
    },
    /// A Conn asks who is there. Answered by `Who` or `Refused`.
    Who {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// Only how many: nobody is listed.
        counts: bool,
    },
    /// A Conn must leave a room, in which it is or wants to be. Said by `Expelled` where it was in it.
    Expel {
        /// The Conn.
        conn: ConnId,
        /// The room.
        room: RoomName,
    },
    /// A Conn takes another display name in all its rooms. Not answered.
    Rename {
        /// The Conn.
        conn: ConnId,
        /// The name.
        name: Arc<str>,
    },
    /// A Conn ends. Nothing is said to it any more.
    Close {
        /// The Conn.
        conn: ConnId,
        /// How.
        farewell: Farewell,
    },
    /// Another shard says something.
    Link {
        /// The core it comes from.
        from: u16,
        /// What it says.
        message: LinkMessage,
    },
    /// The store has answered.
    Stored {
        /// What.
        answer: StoreAnswer,
    },
    /// The configuration has changed. Rooms that are here already adopt their policies over the next ticks, all but whether they are kept in the store.
    Policies {
        /// How rooms behave from now on.
        policies: Arc<Policies>,
        /// The shard's bounds from now on.
        limits: Limits,
    },
    /// What whoever has shown nothing may do has changed. What each Conn may do from now on is said by `Granted`, one by one: only then it leaves rooms.
    Anonymous {
        /// What it is from now on.
        grant: Arc<Grant>,
    },
    /// The time of [`Shard::deadline_ms`](super::Shard::deadline_ms) has come.
    Tick,
}

/// How a Conn wants to be in a room.
#[derive(Clone, Debug)]
pub struct Join {
    /// Its display name.
    pub name: Arc<str>,
    /// The door it came by.
    pub door: Door,
    /// From where it wants to hear.
    pub start: Start,
    /// What it wants to hear of who comes and goes.
    pub presence: Watch,
    /// What its user says of itself: one JSON text. `None` leaves what was said before.
    pub data: Option<Bytes>,
    /// Whether it wants the room's state as of where it begins to hear. With [`Start::After`] only where the resume is not complete: it then
    /// begins at the head, with the whole state instead of what it missed.
    pub state: bool,
}

/// Several messages for one room: one commit, consecutive offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Makes all of it idempotent together. The drafts' own ids are not looked at.
    pub id: Option<Arc<str>>,
    /// The messages, at least one.
    pub drafts: Vec<Draft>,
}

/// A part of a room's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Messages behind this.
    pub start: Start,
    /// And up to this one, it included.
    pub until: Option<Position>,
    /// At most so many.
    pub limit: u32,
    /// From the end backwards, newest first.
    pub reverse: bool,
}

impl Range {
    /// Everything from `start` on, oldest first, at most `limit` messages.
    #[must_use]
    pub fn from(start: Start, limit: u32) -> Self {
        Self {
            start,
            until: None,
            limit,
            reverse: false,
        }
    }
}

/// From where a reader wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// What comes from now on.
    Now,
    /// What came after this position.
    After(Position),
    /// The last so many messages, and what comes.
    Rewind(u32),
    /// What the last so many milliseconds brought, and what comes.
    RewindMs(u64),
}

/// How a Conn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It said so: its leaves are announced at once.
    Said,
    /// It vanished and may come back: its leaves are announced after the grace.
    Vanished,
}
