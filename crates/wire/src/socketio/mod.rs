//! Socket.IO protocol v5, both roles: namespaces, events, acks and binary attachments over one Engine.IO session.
//!
//! [`decode()`] reads the text of a message packet and is as strict as the official parser (socket.io-parser 4.2, `isPayloadValid`);
//! an event's name and arguments are slices of that text. An [`Assembly`] waits for the attachments of a packet that has some.
//! [`encode_event`] is for broadcasts: it appends, and allocates nothing of its own.
//!
//! - Decoding is linear in the text, never recurses, and copies nothing but an event's name with escapes.
//! - JSON keeps its bytes as they came.
//! - Which refusals go beyond the official parser is written at [`decode()`].
//!
//! Absent on purpose: which namespaces exist, the order of CONNECT and events, and the timeout of an assembly.

mod assembly;
mod decode;
mod encode;
mod list;
mod packet;
mod placeholders;

pub use assembly::{Assembly, Progress};
pub use decode::{Limits, decode};
pub use encode::{
    Argument, encode, encode_ack, encode_connect_error, encode_connected, encode_disconnect,
    encode_event,
};
pub use list::List;
pub use packet::{ACK_ID_MAX, Content, Event, Packet};
