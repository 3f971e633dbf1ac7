//! The text dialect: a person at `nc`, a line each way.
//!
//! Invariants:
//! - Nothing that somebody else wrote reaches the terminal raw: control characters and bidi overrides are escaped, tabs are not.
//! - Every line of a message begins with who said it, so nobody can write a line that looks like the server's or another's.
//! - Encoders append no line end at the end; a message of several lines has `\n` between them.
//!
//! Absent on purpose: decoding what a server shows to a person. Programs speak the native protocol, or JSON over HTTP.

mod escape;
mod line;
mod show;

pub use escape::escape;
pub use line::{HELP, Line, decode_line, encode_say, meant};
pub use show::{
    LINES_MAX, Said, encode_entry, encode_error, encode_help, encode_message, encode_notice,
    encode_presence, encode_unknown, encode_who, known_as,
};
