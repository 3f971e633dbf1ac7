//! Random numbers for mask keys, handshake keys and jitter.
//!
//! Mask keys must not be predictable by who chooses the payload (RFC 6455 §5.3), so all of them come from the system,
//! drawn 256 bytes at a time to spare a call per frame.

use crate::error::Error;

const POOL_BYTES: usize = 256;

/// A pool of the system's random bytes.
pub(crate) struct Random {
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Random {
    pub(crate) fn new() -> Self {
        Self {
            pool: [0; POOL_BYTES],
            used: POOL_BYTES,
        }
    }

    /// `N` fresh bytes, at most 256.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        const { assert!(N <= POOL_BYTES) };
        if self.used + N > POOL_BYTES {
            getrandom::fill(&mut self.pool)
                .map_err(|error| Error::NoRandomness(error.to_string()))?;
            self.used = 0;
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.pool[self.used..self.used + N]);
        self.used += N;
        Ok(bytes)
    }

    /// A number for jitter: where the system gives none, the pause is merely not drawn.
    pub(crate) fn draw(&mut self) -> u32 {
        self.bytes().map_or(0, u32::from_ne_bytes)
    }
}
