//! Taking back what was granted, from any thread.

use std::fmt;
use std::sync::Arc;

use taut_auth::{Full, Revocation};

use super::{Doorman, RecordError};

/// Takes users, tokens, or everything issued before a moment back. It may be cloned and used from any thread; it blocks while the disk is written,
/// so never from a core.
#[derive(Clone)]
pub struct Revoker(pub(crate) Arc<Doorman>);

/// Why a revocation is not, or not for good.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There is no space for more.
    #[error(transparent)]
    Full(#[from] Full),
    /// It is in force until the server ends, and would be forgotten then.
    #[error("this is revoked until the server restarts, and could not be kept: {0}")]
    NotKept(#[from] RecordError),
}

impl Revoker {
    /// Takes something back. When this returns `Ok`, it is on the disk (where the server has a folder), and live Conns that it concerns end with
    /// [`taut_gate::Close::Revoked`] within the next turn of their cores.
    ///
    /// # Errors
    /// See [`RevokeError`]; after `NotKept` it is in force nevertheless.
    pub fn revoke(&self, revocation: &Revocation) -> Result<(), RevokeError> {
        self.0.revoke(revocation)
    }

    /// How many users and tokens are remembered as taken back.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.revoked_count()
    }
}

impl fmt::Debug for Revoker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoker")
    }
}
