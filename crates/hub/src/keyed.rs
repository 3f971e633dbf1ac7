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

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that meet under one key are strangers under another, so a set of colliding names that somebody has computed is of no use.
    #[test]
    fn names_that_meet_under_one_key_are_apart_under_another() {
        let places = |seed: u64, name: &String| Keyed(seed).place(name, 1_024);
        let met: Vec<String> = (0..200_000)
            .map(|number| format!("room/{number}"))
            .filter(|name| places(7, name) == 0)
            .collect();
        assert!(met.len() > 100, "{}", met.len());
        for seed in [8, 9, u64::MAX] {
            let still = met.iter().filter(|name| places(seed, name) == 0).count();
            assert!(still < 10, "{still} of {} meet under {seed} too", met.len());
        }
        assert!(met.iter().all(|name| places(7, name) == 0));
    }
}
