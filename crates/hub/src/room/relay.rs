//! What a shard that is not the room's home knows of it.

/// The relay's side of a room.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    /// Joins that the home has not answered: they keep the relay alive.
    pub(crate) joining: u32,
    /// The home's deliveries count. Without a local member they do not: they belong to an attachment that is being undone.
    pub(crate) attached: bool,
}
