//! The server API: what programs that run beside the server ask of it, under `/api`.
//!
//! [`ENDPOINTS`] is the one table: it routes requests, says which parameters there are, and the OpenAPI document is made of it.

mod encode;
mod openapi;
mod read;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

use taut_hub::{ConnId, RoomName};

use super::Action;

pub use encode::{
    ConnFacts, Counted, Found, Unmoved, encode_done, encode_found, encode_grant, encode_policy,
    encode_reloaded,
};
pub use openapi::document;
pub use read::{api, conn_of};
pub use table::{Content, ENDPOINTS, Endpoint, Kind, Parameter, Stands};

/// Entries of one page at most.
pub const PAGE_ENTRIES_MAX: u32 = 1_000;
/// Entries of one page where the request says nothing.
pub const PAGE_ENTRIES: u32 = 100;

/// Bytes of a user; no token names a longer one.
const USER_BYTES_MAX: usize = 128;
/// Bytes of a token's id; no token has a longer one.
const TOKEN_ID_BYTES_MAX: usize = 256;

/// A request to the API, understood. Whether whoever asks may have it is not known yet.
#[derive(Debug)]
pub struct ApiRequest {
    /// What is shown: the word behind `Authorization: Bearer`.
    pub shown: Option<String>,
    /// The room that it is about. Who has the right `admin` there may ask as well as who has a key.
    pub room: Option<RoomName>,
    /// What is asked.
    pub call: Call,
}

/// What is asked of the API.
#[derive(Debug)]
pub enum Call {
    /// What a room's own URL answers, too.
    Room(Box<Action>),
    /// The rooms of the server.
    Rooms(Rooms),
    /// Conns: to list them, or to do something to them.
    Conns(Box<Conns>),
    /// How a room behaves.
    Policy(RoomName),
    /// What somebody may do in a room.
    Grant {
        /// The room.
        room: RoomName,
        /// Whose token it is; nobody's where there is none.
        token: Option<String>,
    },
    /// To take back what users or tokens may do.
    Revoke(Revoke),
    /// To read the configuration again.
    Reload,
    /// The document of the API.
    Document,
}

/// A page of rooms.
#[derive(Debug)]
pub struct Rooms {
    /// Which: those that the pattern covers.
    pub pattern: taut_hub::Pattern,
    /// Where it begins.
    pub cursor: RoomsCursor,
    /// At most so many.
    pub limit: u32,
}

/// Conns, and what is to be done to them.
#[derive(Debug, Clone)]
pub struct Conns {
    /// Which.
    pub select: Select,
    /// What.
    pub deed: Deed,
    /// Where it begins.
    pub cursor: Cursor,
    /// List at most so many.
    pub limit: u32,
}

/// Which Conns: those of which all that is said here is true.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// This one, of this core.
    pub conn: Option<(u16, ConnId)>,
    /// In this room.
    pub room: Option<RoomName>,
    /// Of this verified user.
    pub user: Option<Arc<str>>,
    /// That came by this door.
    pub door: Option<String>,
    /// From this address.
    pub address: Option<IpAddr>,
}

/// What is to be done to Conns.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Nothing but to show them.
    List,
    /// To end them.
    Disconnect,
    /// To bring them into a room.
    Join(Place),
    /// To take them out of one.
    Leave(Place),
    /// To say what they may do in a room.
    Explain(RoomName),
}

/// Where Conns are brought, or are taken from.
#[derive(Debug, Clone)]
pub struct Place {
    /// The room.
    pub room: RoomName,
    /// In which namespace, of sessions of Socket.IO.
    pub namespace: Option<Box<str>>,
}

/// What is taken back. See `taut_auth::Revocation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoke {
    /// All tokens of a user issued up to now.
    User(Arc<str>),
    /// One token, by its id.
    Token(Arc<str>),
    /// All tokens issued before this second of Unix time.
    IssuedBefore(u64),
}

/// Where in the list of rooms a page begins: those in memory come first, then those that the store has besides, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomsCursor {
    /// At a place of a core.
    Memory(Cursor),
    /// In the store, behind that name.
    Store(Option<RoomName>),
}

impl RoomsCursor {
    /// Reads what [`RoomsCursor`] shows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("store:") {
            None => Cursor::parse(text).map(Self::Memory),
            Some("") => Some(Self::Store(None)),
            Some(name) => RoomName::parse(name)
                .ok()
                .map(|name| Self::Store(Some(name))),
        }
    }
}

impl std::fmt::Display for RoomsCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(cursor) => cursor.fmt(f),
            Self::Store(after) => {
                write!(f, "store:{}", after.as_ref().map_or("", RoomName::as_str))
            }
        }
    }
}

/// Where in a list a page begins: a place of a core. What lives stays in its place, so a list read page by page shows each of it once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The core.
    pub core: u16,
    /// The place there.
    pub place: u32,
}

impl Cursor {
    /// Behind all places.
    pub const END: Self = Self {
        core: u16::MAX,
        place: 0,
    };

    /// Reads what [`Cursor`] shows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (core, place) = text.split_once('-')?;
        Some(Self {
            core: core.parse().ok()?,
            place: place.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.core, self.place)
    }
}
