//! Any socket from the command line: `taut connect` and `taut listen`.

pub mod connect;
pub mod listen;
mod outcome;

pub use outcome::{Code, Ended};
