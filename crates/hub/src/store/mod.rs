//! What rooms need of a place that outlives the server.
//!
//! A shard never calls a [`Store`]: it says a [`StoreRequest`], the server carries it out on threads of its own, and brings the
//! [`StoreAnswer`] back as an input. So a slow disk stops no core, and the appends of many shards share one commit.
//!
//! What every store must keep, and `taut-store`'s shared suite holds:
//! - [`Store::commit`] is all or nothing for each [`Append`], in the order given. When it has returned `Ok` for one, the process may be
//!   killed and it is still there; where [`Append::sync`] is set, the machine may lose its power.
//! - Offsets of a room are consecutive. An append that does not follow the head is refused with [`StoreError::OutOfOrder`], and so is everything behind it.
//! - An epoch's offsets are never given to other messages. A store that finds out that it lost some (a crash of the machine) gives its rooms a new epoch.
//! - Damage is found when it is read, and named; it is never handed out as a message.

mod error;
mod kept;
mod request;

use std::sync::Arc;

pub use error::StoreError;
pub use kept::{Append, Kept, KeptId, Tail};
pub use request::{StoreAnswer, StoreRequest};

use crate::message::Message;
use crate::name::RoomName;
use crate::pattern::Pattern;
use crate::shard::RoomFacts;

/// Messages as a read gives them: oldest first, holes where some were damaged or have been forgotten.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// The messages.
    pub messages: Vec<Arc<Message>>,
    /// Offsets of rows that are there and cannot be trusted.
    pub damaged: Vec<u64>,
}

/// A part of the rooms of a store, by their names.
#[derive(Clone, Debug, Default)]
pub struct RoomList {
    /// Those that were wanted. Nobody is in them.
    pub rooms: Vec<RoomFacts>,
    /// Behind which name to go on; `None` at the end.
    pub next: Option<RoomName>,
}

/// What one step of [`Store::expire`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Rooms that have forgotten some, and the offset of the oldest message that each still has (one more than its head where none is left).
    pub rooms: Vec<(RoomName, u64)>,
    /// Whether there is more to do already.
    pub more: bool,
}

/// The one writer of a store, and its keeper.
pub trait Store: Send {
    /// What is kept of a room; `None` when nothing is.
    ///
    /// # Errors
    /// The disk's.
    fn open(&mut self, room: &RoomName, tail: Tail) -> Result<Option<Kept>, StoreError>;

    /// Appends, all in one commit. One result for each: an append that is out of order fails alone; when the commit itself fails, all do.
    fn commit(&mut self, appends: &[Append]) -> Vec<Result<(), StoreError>>;

    /// Forgets a bounded number of messages and ids that retention no longer keeps. To be called when nobody waits for a commit.
    ///
    /// # Errors
    /// The disk's.
    fn expire(&mut self, now_unix_ms: u64) -> Result<Expired, StoreError>;

    /// Brings everything committed to the disk itself.
    ///
    /// # Errors
    /// The disk's. What was committed since the last good sync may not survive the loss of power.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Tries whether the store can write: something that leaves no trace.
    ///
    /// # Errors
    /// The disk's.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// A further reader, for another thread. It sees what was committed before it reads.
    ///
    /// # Errors
    /// The disk's.
    fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError>;
}

/// Reads a store beside its writer.
pub trait StoreReader: Send {
    /// Messages behind `after`, at most `messages_max` of them and about `bytes_max` bytes of cost, one always excepted.
    ///
    /// # Errors
    /// The disk's. A damaged row is no error: see [`Stretch::damaged`].
    fn read(
        &mut self,
        room: &RoomName,
        after: u64,
        messages_max: u32,
        bytes_max: u64,
    ) -> Result<Stretch, StoreError>;

    /// The offset of the last message that was numbered before `time_ms` of Unix time; one less than the oldest kept where all are younger.
    ///
    /// # Errors
    /// The disk's.
    fn seek(&mut self, room: &RoomName, time_ms: u64) -> Result<u64, StoreError>;

    /// The next rooms behind `after` by the order of their names' bytes that the pattern covers, at most `rooms_max` of them. Looks at a bounded number of
    /// rooms, so that less, and nothing, may be found before the end.
    ///
    /// # Errors
    /// The disk's.
    fn rooms(
        &mut self,
        after: Option<&RoomName>,
        pattern: &Pattern,
        rooms_max: u32,
    ) -> Result<RoomList, StoreError>;

    /// [`Store::sync`], beside the writer: commits go on meanwhile.
    ///
    /// # Errors
    /// The disk's.
    fn sync(&mut self) -> Result<(), StoreError>;
}
