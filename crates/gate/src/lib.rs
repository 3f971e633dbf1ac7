//! The translator: units of a dialect become hub commands, and what the hub says becomes units again.
//!
//! Nothing here holds a socket or reads a clock. A new door is a module here, a row in [`Format`], and a listener in the server.

pub mod close;
mod command;
pub mod datagram;
mod format;
pub mod http;
mod name;
pub mod native;
pub mod socketio;
pub mod text;

pub use close::Close;
pub use command::{Command, Speaker};
pub use format::{Encoder, Format, WINDOW_BITS, conn_id};
pub use name::{DISPLAY_NAME_BYTES_MAX, DisplayNameError, display_name};
