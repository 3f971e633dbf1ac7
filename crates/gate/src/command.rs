use std::sync::Arc;

use taut_hub::{Batch, Door, Draft, Join, Range, RoomName};
use taut_wire::native::Taken;

use crate::datagram::Fetch;

/// What a peer wants, in the hub's words, whatever dialect it said it in.
#[derive(Debug)]
pub enum Command {
    /// Come into a room.
    Join {
        /// Which.
        room: RoomName,
        /// How.
        join: Join,
    },
    /// Go out of a room.
    Leave {
        /// Which.
        room: RoomName,
    },
    /// Say something in a room.
    Publish {
        /// Where.
        room: RoomName,
        /// What.
        draft: Draft,
        /// How the answer calls it.
        taken: Taken,
    },
    /// Read a room's history.
    Read {
        /// Which room.
        room: RoomName,
        /// Which part of it.
        range: Range,
    },
    /// Say several things in a room at once.
    PublishBatch {
        /// Where.
        room: RoomName,
        /// What.
        batch: Batch,
    },
    /// Read what is set in a room.
    ReadState {
        /// Which room.
        room: RoomName,
        /// One key, or all.
        key: Option<Arc<str>>,
    },
    /// Read one message in pieces.
    Fetch {
        /// Which room.
        room: RoomName,
        /// Which piece.
        fetch: Fetch,
    },
    /// Ask who is in a room.
    Who {
        /// Which.
        room: RoomName,
        /// Only how many.
        counts: bool,
    },
    /// Take another display name.
    Rename {
        /// The name.
        name: Arc<str>,
    },
    /// Show a token.
    Auth {
        /// The token, not judged yet.
        token: Box<str>,
    },
    /// Ask whether anybody is there.
    Ping,
}

/// Who speaks: what a draft is stamped with.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// The display name.
    pub name: Arc<str>,
    /// The door it came by.
    pub door: Door,
}
