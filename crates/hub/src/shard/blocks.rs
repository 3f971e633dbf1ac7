//! Messages that are kept and no longer in a room's log, read from the store in blocks that all readers share: ten thousand that come back
//! at once cost one read a block, not one each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::keyed::Keyed;
use crate::limits::Limits;
use crate::message::Message;
use crate::room::{Parked, RoomId};

/// The blocks of a shard: those that are here, and those that are being read.
#[derive(Debug)]
pub(super) struct Blocks {
    here: HashMap<(RoomId, u64), Block, Keyed>,
    /// In the order in which they came: the oldest goes first.
    order: VecDeque<(RoomId, u64)>,
    bytes: u64,
    /// By block: who waits for it.
    reading: HashMap<(RoomId, u64), Vec<Parked>, Keyed>,
}

/// Consecutive offsets of a room.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// What could be read of them, oldest first.
    pub(super) messages: Arc<[Arc<Message>]>,
    /// The last offset that it can say anything about.
    pub(super) up_to: u64,
    bytes: u64,
}

impl Limits {
    /// The number of the block that holds `offset`.
    pub(super) fn block_of(&self, offset: u64) -> u64 {
        offset.saturating_sub(1) / u64::from(self.block_messages.max(1))
    }

    /// The offset before the first one of block `number`.
    pub(super) fn block_start(&self, number: u64) -> u64 {
        number * u64::from(self.block_messages.max(1))
    }
}

impl Blocks {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            here: HashMap::with_hasher(keyed),
            order: VecDeque::new(),
            bytes: 0,
            reading: HashMap::with_hasher(keyed),
        }
    }

    pub(super) fn find(&self, room: RoomId, number: u64) -> Option<&Block> {
        self.here.get(&(room, number))
    }

    /// Somebody waits for a block. Whether it must be asked for.
    pub(super) fn wait(&mut self, room: RoomId, number: u64, parked: Parked) -> bool {
        let waiting = self.reading.entry((room, number)).or_default();
        waiting.push(parked);
        waiting.len() == 1
    }

    /// A block has come. Gives who waited.
    pub(super) fn put(
        &mut self,
        room: RoomId,
        number: u64,
        messages: Vec<Arc<Message>>,
        up_to: u64,
        bytes_max: u64,
    ) -> Vec<Parked> {
        let bytes = messages.iter().map(|message| message.cost_bytes()).sum();
        let block = Block {
            messages: messages.into(),
            up_to,
            bytes,
        };
        match self.here.insert((room, number), block) {
            Some(old) => self.bytes -= old.bytes,
            None => self.order.push_back((room, number)),
        }
        self.bytes += bytes;
        // The one that has just come stays: somebody waits for it.
        while self.bytes > bytes_max && self.order.len() > 1 {
            if let Some(oldest) = self.order.pop_front()
                && let Some(block) = self.here.remove(&oldest)
            {
                self.bytes -= block.bytes;
            }
        }
        self.reading.remove(&(room, number)).unwrap_or_default()
    }

    /// A block could not be read. Gives who waited.
    pub(super) fn fail(&mut self, room: RoomId, number: u64) -> Vec<Parked> {
        self.reading.remove(&(room, number)).unwrap_or_default()
    }

    /// Whether a room has anybody waiting.
    pub(super) fn is_reading(&self, room: RoomId) -> bool {
        self.reading.keys().any(|(reading, _)| *reading == room)
    }

    /// A room's number is given to another.
    pub(super) fn forget(&mut self, room: RoomId) {
        if self.order.is_empty() {
            return;
        }
        let here = &mut self.here;
        let bytes = &mut self.bytes;
        self.order.retain(|place| {
            let stays = place.0 != room;
            if !stays && let Some(block) = here.remove(place) {
                *bytes -= block.bytes;
            }
            stays
        });
    }
}
