//! The hash of names: keyed by the server's seed, so that nobody outside can invent names that collide, and the same on every shard.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

/// A SipHash that begins with the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed(pub(crate) u64);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

impl Keyed {
    /// One of `count` places for `value`.
    pub(crate) fn place(self, value: impl Hash, count: u16) -> u16 {
        if count <= 1 {
            return 0;
        }
        let hash = self.hash_one(value);
        u16::try_from(hash % u64::from(count)).unwrap_or(0)
    }
}
