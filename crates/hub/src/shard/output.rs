//! What comes out of a shard, and what shards say to each other.

use std::sync::Arc;

use crate::conn::{ConnId, Door, Ticket};
use crate::message::{Draft, Message};
use crate::name::RoomName;
use crate::position::Position;
use crate::refusal::Refusal;
use crate::room::{PresenceChange, RoomId, Roster};

use super::{Farewell, Start};

/// One thing for the server to do.
#[derive(Debug)]
pub enum Output {
    /// The Conn is in the room. What it missed, and what comes, follows by its cursor.
    Joined {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// The room.
        room: RoomId,
        /// The room's head at the join.
        at: Position,
        /// Where the Conn begins to hear: `at`, unless it asked for more.
        after: Position,
        /// Whether that is all it asked for.
        recovery: Recovery,
        /// Who is there, where it asked.
        roster: Option<Roster>,
    },
    /// The Conn is out of the room.
    Left {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// The room.
        room: RoomName,
    },
    /// The message has its number.
    Published {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// Where it stands.
        at: Position,
        /// It had been published before under the same id.
        duplicate: bool,
    },
    /// A page of history.
    History {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// The page.
        page: Page,
    },
    /// Who is there.
    Who {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// Who.
        roster: Roster,
    },
    /// No.
    Refused {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// Why.
        refusal: Refusal,
    },
    /// Members or relays of the room have something to read. Said once until [`Shard::flushed`](super::Shard::flushed).
    Deliver {
        /// The room.
        room: RoomId,
    },
    /// Say to this member that what lies between is lost to it.
    Gap {
        /// The Conn.
        conn: ConnId,
        /// The room.
        room: RoomId,
        /// Where it stood.
        after: Position,
        /// Where its view is whole again.
        at: Position,
    },
    /// For the members with the presence flag.
    Presence {
        /// The room.
        room: RoomId,
        /// Who came and went.
        change: Arc<PresenceChange>,
    },
    /// For another shard, in order, without loss.
    Link {
        /// The core it goes to.
        to: u16,
        /// What to say.
        message: LinkMessage,
    },
    /// The Conn must go.
    Close {
        /// The Conn.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a shard ends a Conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It fell too far behind in a room whose lag policy is `disconnect`.
    Slow,
}

/// Whether a reader gets all it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It does.
    Complete,
    /// Some is lost; the view is whole from here on.
    From(Position),
}

/// A page of history.
#[derive(Clone, Debug)]
pub struct Page {
    /// The room.
    pub room: RoomName,
    /// Go on from here.
    pub at: Position,
    /// The room's head.
    pub head: Position,
    /// Whether all that was asked for is there.
    pub recovery: Recovery,
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// Whether there is more behind `at` already.
    pub more: bool,
}

/// What shards say to each other.
#[derive(Debug)]
pub enum LinkMessage {
    /// A Conn of the sender asks something of a room whose home the receiver is.
    Ask {
        /// The Conn, at the sender.
        conn: ConnId,
        /// Given back with the answer.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// What it asks.
        ask: Ask,
    },
    /// The home's answer.
    Answer {
        /// The Conn, at the receiver.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// The room.
        room: RoomName,
        /// What the home says.
        answer: Answer,
    },
    /// The next message of a room of which the receiver has members.
    Deliver {
        /// The room.
        room: RoomName,
        /// The message.
        message: Arc<Message>,
    },
    /// History has lost the messages up to here before the link had space for them.
    Skip {
        /// The room.
        room: RoomName,
        /// The offset of the last one lost.
        to: u64,
    },
    /// Who came and went, for the receiver's members that asked.
    Presence {
        /// The room.
        room: RoomName,
        /// The change.
        change: Arc<PresenceChange>,
    },
}

/// What a Conn asks of a room's home.
#[derive(Debug)]
pub enum Ask {
    /// To be in.
    Join {
        /// Its display name.
        name: Arc<str>,
        /// Its door.
        door: Door,
        /// From where.
        start: Start,
        /// Whether it wants presence.
        presence: bool,
    },
    /// To be out. A Conn that has ended gets no answer.
    Leave {
        /// How.
        farewell: Farewell,
        /// Whether the Conn has ended.
        ended: bool,
    },
    /// To say something.
    Publish {
        /// What.
        draft: Draft,
    },
    /// To read.
    Read {
        /// From where.
        start: Start,
        /// How many.
        limit: u32,
    },
    /// Who is there.
    Who,
    /// Another name.
    Rename {
        /// The name.
        name: Arc<str>,
    },
    /// What a relay's log has forgotten, or never had.
    Pull {
        /// The reader's cursor.
        after: u64,
    },
}

/// What a home says to a Conn's question.
#[derive(Debug)]
pub enum Answer {
    /// It is in.
    Joined {
        /// The head.
        at: Position,
        /// Where it begins to hear.
        after: u64,
        /// Whether that is all.
        recovery: Recovery,
        /// Whether it watches presence.
        presence: bool,
        /// Who is there, where it asked.
        roster: Option<Roster>,
    },
    /// It is out.
    Left,
    /// It is said.
    Published {
        /// Where.
        at: Position,
        /// Whether it had been before.
        duplicate: bool,
    },
    /// What it read.
    History(Page),
    /// Who is there.
    Who(Roster),
    /// What a relay's reader needed.
    Pulled {
        /// The position behind which the messages begin; beyond what was asked for when the rest is lost.
        after: Position,
        /// The messages.
        messages: Vec<Arc<Message>>,
    },
    /// No. A join that was refused never was.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether it was a join.
        join: bool,
    },
}
