//! A folder as answers to HTTP requests (RFC 9110): what `taut serve --files` and `taut listen http:// --files` serve.
//!
//! [`Files::answer`] takes what matters of a request and gives an [`Answer`]: a status, fields and pieces of open files. It holds no socket and reads
//! no clock, and it blocks on the disk, so that callers run it off their event loop.
//!
//! ```no_run
//! use std::path::Path;
//! use taut_files::{Conditions, Files, Method, Request, Settings};
//!
//! let files = Files::open(Path::new("public"), Settings::default())?;
//! let answer = files.answer(
//!     &Request { method: Method::Get, path: "/", query: None, conditions: &Conditions::default() },
//!     1_795_219_200,
//! );
//! assert_eq!(answer.status, 200);
//! # Ok::<(), taut_files::OpenError>(())
//! ```
//!
//! Invariants that a reader could break:
//!
//! - There is no way out of the folder. A path is decoded once, into names that hold no slash, backslash or NUL and are neither `.` nor `..` (`path`);
//!   the kernel opens them beneath the folder (`root`). Neither of the two trusts the other.
//! - What must not be seen is answered as what is not there: the status, the fields and the body are the same. Only [`Answer::fault`] knows better.
//! - A name is opened once. Length, times and bytes come from that one open file, so a file that is replaced meanwhile is sent whole, as it was.
//! - Whatever is no regular file or folder is not there; opening it does not wait (a FIFO without a writer).
//! - Bounds: [`RANGES_MAX`] ranges of a request, [`LISTING_ENTRIES_MAX`] entries of a listing. No file is read into memory.
//!
//! Absent on purpose: a cache (the kernel has one), compressing on the fly, uploads, WebDAV, server-side includes, rewriting, and type sniffing.

mod answer;
mod encoding;
mod files;
mod kind;
mod listing;
mod path;
mod precondition;
mod preference;
mod range;
mod request;
mod root;
mod validator;

pub use answer::{Answer, Fault, Piece};
pub use files::{Files, OpenError, Settings};
pub use listing::LISTING_ENTRIES_MAX;
pub use range::RANGES_MAX;
pub use request::{Conditions, Method, Request};
