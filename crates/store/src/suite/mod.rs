//! What every store must keep, as checks that panic where one does not.
//!
//! Behind the feature `suite`, so that another crate's store can be held to the same promises:
//! `suite::run(|| Box::new(MyStore::fresh()))`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod appends;
mod make;
mod reads;
mod retention;
mod state;

use taut_hub::Store;

pub use make::{COST_BYTES, append, history, message, room, tail};

/// A store that can be closed and opened again on what it kept, as a server does that is started again.
pub trait Reopen {
    /// The store.
    fn store(&mut self) -> &mut dyn Store;

    /// Closes it and opens it again, as another run with another epoch. Readers of before may go on or not.
    fn reopen(&mut self);
}

/// One promise.
type Check = (&'static str, fn(&mut dyn Reopen));

const CHECKS: &[Check] = &[
    (
        "a room is unknown until something is kept",
        appends::unknown,
    ),
    ("messages come back as they were", appends::as_they_were),
    ("appends of a commit are kept in order", appends::in_order),
    (
        "an append that does not follow fails alone, and what builds on it",
        appends::out_of_order,
    ),
    (
        "an append is kept whole or not at all",
        appends::all_or_nothing,
    ),
    ("rooms do not mix", appends::rooms_apart),
    ("a synced commit and a sync succeed", appends::synced),
    (
        "numbering goes on after it is opened again",
        appends::goes_on,
    ),
    ("the first append's epoch stays", appends::epoch_stays),
    (
        "the tail ends at the head and keeps its bounds",
        reads::tail_bounds,
    ),
    ("reads go on where the last one ended", reads::chunks),
    (
        "a read keeps its bounds, one message excepted",
        reads::read_bounds,
    ),
    (
        "a reader sees what was committed before it reads",
        reads::sees_commits,
    ),
    ("a time is found", reads::seek),
    ("rooms are listed by their names", reads::rooms),
    ("state follows the effects", state::effects),
    ("state outlives its message and the run", state::outlives),
    ("ids come back, the newest, oldest first", state::ids),
    (
        "ids outlive their message, and end with their window",
        state::ids_end,
    ),
    ("retention counts", retention::count),
    ("retention weighs", retention::bytes),
    ("retention looks at the clock", retention::age),
    (
        "retention goes by the last append's history",
        retention::last_history,
    ),
    ("retention of earlier runs goes on", retention::earlier_run),
    ("retention takes steps", retention::steps),
    (
        "a room that forgot everything keeps its head",
        retention::keeps_head,
    ),
    (
        "an emptied room begins anew in the next run",
        retention::begins_anew,
    ),
];

/// Runs all checks, each on a store of its own. What fails is named on the standard error by the panic.
///
/// # Panics
/// When the store breaks a promise.
pub fn run(make: impl Fn() -> Box<dyn Reopen>) {
    for (promise, check) in CHECKS {
        let mut place = make();
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&mut *place)));
        assert!(kept.is_ok(), "broken promise: {promise}");
    }
}
