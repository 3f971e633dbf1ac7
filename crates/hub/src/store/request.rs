//! What a shard asks of the store, and what comes back.

use crate::name::RoomName;
use crate::pattern::Pattern;
use crate::room::RoomId;

use super::{Append, Kept, RoomList, StoreError, Stretch, Tail};

/// What a shard asks of the store. Requests of one room are carried out in order, except that reads may pass others.
#[derive(Debug)]
pub enum StoreRequest {
    /// What is kept of a room?
    Open {
        /// Given back.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// How much is wanted.
        tail: Tail,
    },
    /// Keep this.
    Append {
        /// Given back.
        id: RoomId,
        /// Given back: which try of the room it belongs to. After a failure a room begins a new one.
        attempt: u32,
        /// What.
        append: Append,
    },
    /// Read messages that are no longer in memory.
    Read {
        /// Given back.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// Behind which offset. Given back.
        after: u64,
        /// How many at most.
        messages_max: u32,
        /// Bytes of cost at most, one message always excepted.
        bytes_max: u64,
    },
    /// Where in the room does a time lie?
    Seek {
        /// Given back.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// Milliseconds of Unix time. Given back.
        time_ms: u64,
    },
    /// Which rooms are there? No shard asks that: it is for whoever shows them.
    List {
        /// Given back.
        id: u64,
        /// Behind which name.
        after: Option<RoomName>,
        /// Which are wanted.
        pattern: Pattern,
        /// How many at most.
        rooms_max: u32,
    },
}

/// What the store says to a request, or by itself.
#[derive(Debug)]
pub enum StoreAnswer {
    /// To [`StoreRequest::List`]. A shard takes no notice of it.
    Listed {
        /// The request's.
        id: u64,
        /// What is there.
        result: Result<RoomList, StoreError>,
    },
    /// To [`StoreRequest::Open`].
    Opened {
        /// The request's.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// What is kept; `None` when nothing is.
        result: Result<Option<Kept>, StoreError>,
    },
    /// To [`StoreRequest::Append`].
    Appended {
        /// The request's.
        id: RoomId,
        /// The request's.
        attempt: u32,
        /// The offset of the last message of the append.
        up_to: u64,
        /// Whether it is kept.
        result: Result<(), StoreError>,
    },
    /// To [`StoreRequest::Read`].
    Read {
        /// The request's.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// The request's.
        after: u64,
        /// What is there.
        result: Result<Stretch, StoreError>,
    },
    /// To [`StoreRequest::Seek`].
    Sought {
        /// The request's.
        id: RoomId,
        /// The room.
        room: RoomName,
        /// The request's.
        time_ms: u64,
        /// The offset of the last message before that time.
        result: Result<u64, StoreError>,
    },
    /// Retention has forgotten messages of a room.
    Forgotten {
        /// The room.
        room: RoomName,
        /// The oldest one left.
        first: u64,
    },
}
