//! What comes out of a shard, and what shards say to each other.

use std::sync::Arc;

use bytes::Bytes;

use crate::conn::{ConnId, Door, Ticket};
use crate::message::{Draft, Message};
use crate::name::RoomName;
use crate::position::Position;
use crate::refusal::Refusal;
use crate::room::{PresenceChange, RoomId, Roster, Watch};
use crate::sender::Sender;
use crate::store::StoreRequest;

use super::{Batch, Farewell, Range, Start};

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
        /// Its name: by now the Conn may have left again, and the room be gone.
        name: RoomName,
        /// The room's head at the join.
        at: Position,
        /// Where the Conn begins to hear: `at`, unless it asked for more.
        after: Position,
        /// Whether that is all it asked for.
        recovery: Recovery,
        /// Who is there, where it asked.
        roster: Option<Roster>,
        /// The room's state at `after`, where it asked and gets one.
        state: Option<Vec<Arc<Message>>>,
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
    /// The message has its number; of a batch, the last one.
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
    /// It is said, on the lane `latest`: it has no position.
    Said {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
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
    /// A room's state, or what is set under one key of it.
    State {
        /// The Conn.
        conn: ConnId,
        /// The request's.
        ticket: Ticket,
        /// What is set.
        state: State,
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
    /// For the store.
    Store {
        /// What to do.
        request: StoreRequest,
    },
    /// The Conn may not be in the room any more, and is out of it.
    Expelled {
        /// The Conn.
        conn: ConnId,
        /// The room.
        room: RoomName,
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

/// What is set in a room.
#[derive(Clone, Debug)]
pub struct State {
    /// The room.
    pub room: RoomName,
    /// As of here.
    pub at: Position,
    /// The newest message of each key, by offset. Where one key was asked for, that one or nothing.
    pub entries: Vec<Arc<Message>>,
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
    /// The messages, oldest first; the other way round where that was asked for.
    pub messages: Vec<Arc<Message>>,
    /// Whether there is more behind `at`, or before it in reverse, already.
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
    /// The next message of the lane `latest`.
    Latest {
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
        /// Who it is.
        name: Sender,
        /// Its door.
        door: Door,
        /// From where.
        start: Start,
        /// What it wants to hear of who comes and goes.
        presence: Watch,
        /// What its user says of itself.
        data: Option<Bytes>,
        /// Whether it wants the state.
        state: bool,
        /// Whether it may hear what was said before.
        past: bool,
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
    /// To say several things.
    PublishBatch {
        /// What.
        batch: Batch,
    },
    /// To read.
    Read {
        /// Which part.
        range: Range,
    },
    /// What is set.
    ReadState {
        /// One key, or all.
        key: Option<Arc<str>>,
    },
    /// Who is there.
    Who {
        /// Only how many.
        counts: bool,
    },
    /// Another name.
    Rename {
        /// Who it is now.
        name: Sender,
    },
    /// To be known as another user, or as none, under the same name.
    Verify {
        /// Who it is.
        user: Option<Arc<str>>,
    },
    /// What a relay's log has forgotten, or never had.
    Pull {
        /// The reader's cursor.
        after: u64,
    },
    /// Nothing more: the question waits at the home.
    Parked,
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
        /// What it hears of who comes and goes.
        presence: Watch,
        /// Who is there, where it asked.
        roster: Option<Roster>,
        /// What is set, where it asked.
        state: Option<Vec<Arc<Message>>>,
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
    /// It is said, on the lane `latest`.
    Said,
    /// What it read.
    History(Page),
    /// What is set.
    State(State),
    /// Who is there.
    Who(Roster),
    /// What a relay's reader needed.
    Pulled {
        /// The cursor that was asked for: a Conn that left and came back meanwhile reads from another.
        asked: u64,
        /// The position behind which the messages begin; beyond what was asked for when the rest is lost.
        after: Position,
        /// The messages: where an offset is left out, that one is lost.
        messages: Vec<Arc<Message>>,
    },
    /// The store cannot be read now: the reader asks again.
    NotPulled {
        /// The cursor that was asked for.
        asked: u64,
    },
    /// No. A join that was refused never was.
    Refused {
        /// Why.
        refusal: Refusal,
        /// Whether it was a join.
        join: bool,
    },
}
