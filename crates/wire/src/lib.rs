//! Taut's protocols as sans-IO codecs and state machines, both roles: a server and a client share the parser.
//!
//! Bytes go in, units come out, and the other way round. Nothing here knows rooms, sockets, clocks or randomness:
//! whoever needs a mask key or the time of day hands it in.

pub mod arguments;
pub mod engineio;
pub mod http;
pub mod lines;
pub mod native;
pub mod proxy;
pub mod sniff;
pub mod socketio;
pub mod sse;
pub mod text;
mod violation;
pub mod ws;

pub use violation::Violation;
