//! Who may come in, for all cores at once: the settings, the keys that are fetched, and what was taken back.
//!
//! Invariants that a reader could break:
//! - Nothing here waits for a network or a disk on a core: keys are fetched by a thread of their own ([`fetch`]), a revocation is written by a thread of its own, or by the program that asks for it.
//! - A lock is held for one judgement or one replacement, never while something is read or written.
//! - What is taken back is in force before it is on the disk, and acknowledged after.

mod doorman;
mod fetch;
mod record;
mod revoker;

pub(crate) use doorman::{Doorman, Judged};
pub(crate) use fetch::KeySource;
pub use fetch::fetch_key_set;
pub(crate) use record::Record;
pub use record::RecordError;
pub(crate) use revoker::Revoking;
pub use revoker::{RevokeError, Revoker};
