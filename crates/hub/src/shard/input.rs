//! What goes into a shard.

use std::sync::Arc;

use crate::conn::{ConnId, Door, Ticket};
use crate::message::Draft;
use crate::name::RoomName;
use crate::position::Position;

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
    },
    /// A Conn says something in a room, whether it is in it or not. Answered by `Published` or `Refused`.
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
    /// A Conn reads history. Answered by `History` or `Refused`.
    Read {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// From where.
        start: Start,
        /// At most so many messages.
        limit: u32,
    },
    /// A Conn asks who is there. Answered by `Who` or `Refused`.
    Who {
        /// The Conn.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
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
    /// Whether it wants to hear who comes and goes.
    pub presence: bool,
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
}

/// How a Conn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// It said so: its leaves are announced at once.
    Said,
    /// It vanished and may come back: its leaves are announced after the grace.
    Vanished,
}
