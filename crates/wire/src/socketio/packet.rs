use std::borrow::Cow;

use super::list::List;

/// The largest ack id: the largest whole number that a JavaScript client counts to.
pub const ACK_ID_MAX: u64 = (1 << 53) - 1;

/// One packet, of which attachments travel separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// `/` or `/name`. A query behind `?` has been cut off.
    pub namespace: &'a str,
    /// The number of an event that wants an ack, and of that ack. On other packets it means nothing.
    pub id: Option<u64>,
    /// How many binary packets follow. Only events and acks have any, and are `5` and `6` on the wire then.
    pub attachments: u32,
    /// What it is, with its data.
    pub content: Content<'a>,
}

/// What a packet is. JSON is as it came, and known to be valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// `0`: from a client the namespace is to be entered, and the object is its `auth`; from a server it is, and the object
    /// holds `sid`. An empty text where there is no object.
    Connect(&'a str),
    /// `1`: the namespace is left.
    Disconnect,
    /// `2` or `5`: an event.
    Event(Event<'a>),
    /// `3` or `6`: the answer to an event with an id.
    Ack(List<'a>),
    /// `4`: the namespace was refused. An object, or a string from servers before v5.
    ConnectError(&'a str),
}

/// An event: its name, and the rest of the array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The name. Where it is a number, that number as it was written.
    pub name: Cow<'a, str>,
    /// The arguments.
    pub arguments: List<'a>,
}
