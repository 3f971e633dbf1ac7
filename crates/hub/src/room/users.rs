//! Users and rosters, as members are told of them.

use bytes::Bytes;

use crate::conn::{Door, Origin};
use crate::sender::Sender;

/// Connections of one user that are listed; further ones are only counted.
pub const USER_CONNS_LISTED: usize = 16;

/// What a member wants to hear of who comes and goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watch {
    /// Nothing.
    #[default]
    Nothing,
    /// Only how many there are.
    Counts,
    /// Who.
    Users,
}

impl Watch {
    /// Whether it wants to hear anything.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::Nothing
    }
}

/// One connection as it comes into a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Who it is.
    pub name: Sender,
    /// The door it came by.
    pub door: Door,
    /// Which Conn it is.
    pub origin: Origin,
}

/// Somebody who is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who it is: the same display name with another verified user, or with none, is somebody else.
    pub name: Sender,
    /// Its connections, at most [`USER_CONNS_LISTED`]. Of one who has none any more: the last one. As long as the first of them is there, it
    /// stays the first.
    pub conns: Vec<(Door, Origin)>,
    /// How many it has, at least 1.
    pub conns_count: u32,
    /// What it says of itself: one JSON text.
    pub data: Option<Bytes>,
}

/// Who is in a room. The list is bounded, the counts are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// How many users are present.
    pub count: u32,
    /// Over how many connections. Never fewer than users.
    pub conns: u32,
    /// Some of them, by name.
    pub members: Vec<User>,
}

/// Who has come and gone since the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came. Empty, like the other lists, when there were too many to list.
    pub joined: Vec<User>,
    /// Who went.
    pub left: Vec<User>,
    /// Who says something else of itself, or has more or fewer connections.
    pub changed: Vec<User>,
    /// How many users are present now.
    pub count: u32,
    /// Over how many connections.
    pub conns: u32,
    /// Whether `count` or `conns` may be new to somebody. Where not, [`Watch::Counts`] hears nothing.
    pub counts: bool,
}
