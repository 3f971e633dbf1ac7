//! What is kept of a room, and what is added to it.

use std::sync::Arc;

use crate::message::Message;
use crate::name::RoomName;
use crate::policy::History;
use crate::position::Epoch;

/// What is kept of a room.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Which numbering its offsets belong to.
    pub epoch: Epoch,
    /// The offset of the oldest message kept; one more than `head` when there is none.
    pub first: u64,
    /// The offset of the newest message, kept or not.
    pub head: u64,
    /// The cost of all messages that the room ever had, up to `head`, in bytes.
    pub end_bytes: u64,
    /// The newest messages, without a hole, up to `head`. [`Message::born_ms`] of each is its `time_ms`.
    pub tail: Vec<Arc<Message>>,
    /// The newest message of each key that is set.
    pub state: Vec<Arc<Message>>,
    /// Publishers' ids, oldest first.
    pub ids: Vec<KeptId>,
}

/// How much of a room is wanted when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Messages, at most.
    pub messages_max: u32,
    /// Bytes of message cost, at most; one message always excepted.
    pub bytes_max: u64,
    /// Publishers' ids, at most, the newest.
    pub ids_max: u32,
    /// And only those not older than this Unix time in milliseconds.
    pub ids_since_ms: u64,
}

/// A publisher's id, kept longer than the message that had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptId {
    /// Who published, see [`crate::Sender::owner`].
    pub from: Arc<str>,
    /// The id.
    pub id: Arc<str>,
    /// The last message that was published under it.
    pub offset: u64,
    /// Tells its content from another.
    pub fingerprint: u64,
    /// When, in milliseconds of Unix time.
    pub time_ms: u64,
}

/// What is added to a room at once: all of it, or nothing.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room: RoomName,
    /// Which numbering: kept when the room is new to the store.
    pub epoch: Epoch,
    /// Where the room must stand: the first message has the offset behind it.
    pub after: u64,
    /// The messages, at least one, consecutive. Their [`Effect`](crate::Effect)s change the state.
    pub messages: Vec<Arc<Message>>,
    /// The publisher's id for all of them together.
    pub id: Option<KeptId>,
    /// Must be on the disk itself before it counts.
    pub sync: bool,
    /// What retention keeps of the room from now on.
    pub history: History,
}
