//! The embedded store: rooms that outlive the server, in one SQLite file.
//!
//! [`SqliteStore`] is what `taut serve` uses; [`memory::MemoryStore`] keeps the same promises in memory, with faults on demand, for
//! simulations and tests; `suite` (behind the feature of that name) holds any store to them. `SCHEMA.md` describes the file.
//!
//! Invariants that a reader could break:
//! - What [`taut_hub::Store::commit`] has said `Ok` to is in the write-ahead log, so it outlives the process; where an append asked for
//!   it, the log was synced first.
//! - State changes in the same transaction as the message that changes it.
//! - After any error the same store works again as soon as the disk does, and judges appends by what is really in the file.
//! - One server per directory: the lock is held for as long as the store lives.

mod check;
mod commit;
mod directory;
mod error;
mod expire;
mod files;
mod list;
mod load;
mod lock;
pub mod memory;
mod opening;
mod reader;
mod row;
mod schema;
mod settings;
mod sqlite;
#[cfg(feature = "suite")]
pub mod suite;

pub use check::{DAMAGES_MAX, Damage, check};
pub use settings::{ID_WINDOW_MS, OpenError, Settings};
pub use sqlite::SqliteStore;
