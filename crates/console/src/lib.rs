//! Any socket from the command line: `taut connect` and `taut listen`.

pub mod connect;
pub mod keyboard;
pub mod listen;
mod outcome;
pub mod screen;
pub mod show;

pub use outcome::{Code, Ended};
