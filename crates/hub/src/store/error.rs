//! What can be wrong with a store.

/// Why a store could not do what it was asked. Its display says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the share of it that the store may use, is full.
    #[error("the disk is full; free some space, or lower the rooms' history")]
    Full,
    /// The disk takes no writes.
    #[error("the disk is read-only; make it writable again")]
    ReadOnly,
    /// The disk failed.
    #[error("the disk failed: {text}")]
    Failed {
        /// The system's words.
        text: String,
    },
    /// The append does not follow what is kept: an earlier one was lost.
    #[error("the room stands at {head}, so this message cannot follow")]
    OutOfOrder {
        /// Where the room stands.
        head: u64,
    },
    /// What is kept contradicts its checksum.
    #[error("what is kept of the room is damaged: {text}")]
    Damaged {
        /// What and where.
        text: String,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
}
