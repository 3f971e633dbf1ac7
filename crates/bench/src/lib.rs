//! `taut bench`: a load generator that verifies every delivery, and the limit of the machine to compare with.
//!
//! One thread spins over all client connections, so that the server never pays for waking the generator up, and its CPU time
//! (`process.rs`) is that of its own work. Subjects are measured in turn, each round with a fresh server where it is ours to start.
//!
//! Invariants that a reader could break:
//!
//! - Every payload says which message it is, and every byte of it is compared: what is counted was delivered.
//! - CPU time is taken between two moments at which nothing is under way.
//! - A closed loop goes on when messages are lost, because what was skipped counts as settled; and it ends, because patience does.
//! - A fixed rate is kept whatever the server does, and latency counts from when a message was due, not from when it was sent.
//!
//! Absent on purpose: TLS, compression and Unix sockets, whose cost is not the server's design; more than one thread.

mod args;
mod churn;
mod conn;
mod crowd;
mod dialect;
mod failure;
mod floor;
mod interrupt;
mod limits;
mod load;
mod machine;
mod pace;
mod payload;
mod plan;
mod process;
mod progress;
mod reader;
mod report;
mod run;
mod scenario;
mod subject;
mod target;
mod verify;

pub use args::{AFTER_HELP, BenchArgs};
pub use failure::{Failure, Kind};
pub use run::{measure, run};
