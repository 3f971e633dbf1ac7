//! Rooms, members, positions, history, presence and limits, as one plain value with one door: [`Shard::handle`].
//!
//! No protocol, JSON, socket, clock or randomness is known here; `now`, seeds and epochs are handed in, so that a simulation can drive
//! any number of shards through any weather. One shard serves one core. A room has one *home* shard, which numbers its messages; every other
//! shard with members of it holds a *relay* of the room. Both answer their members alike; only the way to the home differs.
//!
//! Invariants that a reader could break:
//! - Membership changes only when the home's answer arrives, and answers and deliveries share one ordered link. So what a member sees begins
//!   behind its `Joined` and ends before its `Left`.
//! - A message lives once, in the room's log. Members hold cursors, never queues.
//! - A log never forgets what a cursor within the lag limit still needs; what it does forget is said as a gap.

mod conn;
mod grant;
mod keyed;
mod limits;
mod message;
mod name;
mod pattern;
mod policy;
mod position;
pub mod rate;
mod refusal;
mod room;
mod sender;
mod shard;
mod slots;
mod store;

pub use conn::{ConnId, Door, Origin, Ticket};
pub use grant::{
    Decision, GRANT_BYTES_MAX, GRANT_RULES_MAX, Grant, GrantError, GrantRule, Right, Rights,
    RightsError, parse_rights,
};
pub use limits::Limits;
pub use message::{Body, Draft, Effect, Expect, Lane, MESSAGE_OVERHEAD_BYTES, Message, Wish};
pub use name::{NAME_BYTES_MAX, NameError, RoomName};
pub use pattern::{Pattern, PatternError};
pub use policy::{
    Durability, History, Lag, LagPolicy, Policies, PolicyChange, RoomPolicy, Rule, StateBounds,
};
pub use position::{Epoch, Position, PositionError};
pub use refusal::Refusal;
pub use room::{
    Latest, Log, Member, PresenceChange, Present, Room, RoomId, Roster, USER_CONNS_LISTED, User,
    Watch,
};
pub use sender::Sender;
pub use shard::{
    Answer, Ask, Batch, CloseReason, Farewell, Input, Join, LinkMessage, Membership, Next, Now,
    Output, Page, Range, Recovery, RoomFacts, RoomSlice, Shard, ShardSettings, Start, State,
};
pub use slots::Slots;
pub use store::{
    Append, Expired, Kept, KeptId, RoomList, Store, StoreAnswer, StoreError, StoreReader,
    StoreRequest, Stretch, Tail,
};
