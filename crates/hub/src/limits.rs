//! Every number that bounds a shard, with its unit and its reason.

/// The bounds of one shard, which is one core. A server with several cores divides `rooms_max` and `history_bytes_max`; the others are per room or Conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rooms that may have their home here at a time. A new one evicts the least used room without
    /// members; where every room has members, it is refused. Bounds what invented names can cost: about 1 KiB each.
    pub rooms_max: u32,
    /// Rooms that one Conn may be in. Bounds the work of closing it.
    pub rooms_per_conn_max: u32,
    /// What all logs together hold, in bytes. Above it the least used rooms forget
    /// their oldest, and a reader that still needed it is told of the gap.
    pub history_bytes_max: u64,
    /// How many rooms one publish above the budget looks at for something to forget. Bounds the work of a publish; the
    /// budget may be exceeded for as many publishes as it takes to pass all rooms twice.
    pub eviction_steps_max: u32,
    /// Idempotency ids that one room remembers. The oldest is forgotten: a repeat of it would be published again.
    pub ids_per_room_max: u32,
    /// How long an idempotency id is remembered, in milliseconds.
    pub id_window_ms: u64,
    /// The longest event name, key, id or display name, in bytes.
    pub label_bytes_max: u32,
    /// What a user may say of itself, in bytes of JSON.
    pub presence_data_bytes_max: u32,
    /// Members that a roster lists, and no more than about 128 KiB on the wire; its counts are always whole. 1,000 names are about 50 KiB.
    pub roster_listed_max: u32,
    /// Changes that one presence batch lists; above that it only says the counts.
    pub presence_listed_max: u32,
    /// Below so many connections in a room presence is said at once.
    pub presence_at_once_max: u32,
    /// From `presence_at_once_max` connections on presence is said in batches, at most one in so many milliseconds.
    pub presence_interval_ms: u64,
    /// Vanished users of one room whose leave waits for its grace; of all rooms together 100 times as many. Above that a leave is announced
    /// at once. Bounds what connections leave behind that come only to vanish.
    pub ghosts_max: u32,
    /// Messages that one pull of a relay's reader brings at most.
    pub chunk_messages_max: u32,
    /// Bytes that one pull of a relay's reader brings at most, one message always excepted.
    pub chunk_bytes_max: u64,
    /// What a room keeps for another core that has not taken it yet, in bytes of messages. Beyond it that core's readers are told of a gap.
    pub relay_bytes_max: u64,
    /// Messages of a durable room that memory keeps, the newest: who is not farther behind is served without the disk.
    pub tail_messages_max: u32,
    /// Bytes of the same.
    pub tail_bytes_max: u64,
    /// Messages that one read of the store brings, for all readers that need some of them.
    pub block_messages: u32,
    /// Bytes of messages read back from the store that are kept for the next reader; the oldest read goes first.
    pub blocks_bytes_max: u64,
    /// Bytes of messages on their way to the store. Above it no further requests are read.
    pub pending_bytes_max: u64,
    /// Requests that may wait for one room to be opened; further ones are refused.
    pub parked_max: u32,
    /// Messages on one page of history at most.
    pub page_messages_max: u32,
    /// Bytes on one page of history at most, one message always excepted.
    pub page_bytes_max: u64,
    /// Keys, else events, of which the lane `latest` of a room holds the newest for members and cores that cannot take it yet. Beyond it the
    /// oldest goes. A thousand players with a cursor each.
    pub latest_keys_max: u32,
    /// Bytes of the same, one message always excepted.
    pub latest_bytes_max: u64,
    /// Bytes that the lanes of all rooms hold. Above it a room forgets after each flush what those who could not take it have not had.
    pub latest_bytes_all_max: u64,
    /// Messages that conflation leaves a reader at most: the newest.
    pub conflated_max: u32,
    /// Rooms that one tick looks after; the rest is due at the next.
    pub tick_rooms_max: u32,
}

impl Limits {
    /// Vanished users of all rooms whose leave waits for its grace.
    pub(crate) fn all_ghosts_max(&self) -> usize {
        (self.ghosts_max as usize).saturating_mul(100)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rooms_max: 100_000,
            rooms_per_conn_max: 256,
            history_bytes_max: 256 << 20,
            eviction_steps_max: 64,
            ids_per_room_max: 10_000,
            id_window_ms: 5 * 60 * 1_000,
            label_bytes_max: 255,
            presence_data_bytes_max: 2_048,
            roster_listed_max: 1_000,
            presence_listed_max: 64,
            presence_at_once_max: 20,
            presence_interval_ms: 250,
            ghosts_max: 1_000,
            chunk_messages_max: 64,
            chunk_bytes_max: 64 << 10,
            relay_bytes_max: 16 << 20,
            tail_messages_max: 1_000,
            tail_bytes_max: 1 << 20,
            block_messages: 256,
            blocks_bytes_max: 16 << 20,
            pending_bytes_max: 8 << 20,
            parked_max: 100_000,
            page_messages_max: 1_000,
            page_bytes_max: 1 << 20,
            latest_keys_max: 1_000,
            latest_bytes_max: 256 << 10,
            latest_bytes_all_max: 16 << 20,
            conflated_max: 256,
            tick_rooms_max: 1_024,
        }
    }
}
