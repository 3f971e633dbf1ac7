//! Refusals: we say no, and the Conn lives.

use std::sync::Arc;

use crate::grant::Right;
use crate::name::RoomName;
use crate::position::Position;

/// Why a request was refused. Its display says what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The shard has its number of rooms, and all of them have members.
    #[error(
        "the server has {max} rooms in use already and opens no further one; try again later, or raise rooms_max"
    )]
    TooManyRooms {
        /// How many rooms there may be.
        max: u32,
    },
    /// The Conn is in as many rooms as one Conn may be.
    #[error("this connection is in {max} rooms already; leave one first")]
    TooManyRoomsPerConn {
        /// How many rooms one Conn may be in.
        max: u32,
    },
    /// The body is larger than the room's policy allows.
    #[error(
        "the message has {bytes} bytes and this room takes at most {max}; send less, or raise message_bytes_max"
    )]
    MessageTooLarge {
        /// How large the body is.
        bytes: u64,
        /// What the room's policy allows.
        max: u64,
    },
    /// An event name, key, id or display name is too long.
    #[error("the {label} has {bytes} bytes, at most {max} are allowed; choose a shorter one")]
    LabelTooLong {
        /// Which one: `event`, `key`, `id` or `name`.
        label: &'static str,
        /// How long it is.
        bytes: usize,
        /// What is allowed.
        max: u32,
    },
    /// The same id came with another body before.
    #[error(
        "this id was published with another body within the last minutes; use a new id for a new message"
    )]
    IdConflict,
    /// The key is not as the publisher took for granted.
    #[error("the key {key} is not as expected: {}; read it again and decide anew", .at.map_or("it is not set".to_owned(), |at| format!("it was set at {at}")))]
    Unexpected {
        /// The key.
        key: Arc<str>,
        /// Where it was set last; `None` where it is not set.
        at: Option<Position>,
    },
    /// The room's state is full.
    #[error(
        "the room holds {keys_max} keys or {bytes_max} bytes of state, as many as it may; delete one, or raise state.keys_max or state.bytes_max"
    )]
    StateFull {
        /// How many keys it may have.
        keys_max: u32,
        /// How much they may hold.
        bytes_max: u64,
    },
    /// The room keeps no state, so there is nothing to expect or delete.
    #[error("the room {room} keeps no state; its policy has state.keys_max = 0")]
    StateOff {
        /// The room.
        room: RoomName,
    },
    /// The lane `latest` keeps nothing, and a request asks for what would have to be kept.
    #[error(
        "the lane latest keeps nothing, so it knows no {what}; leave \"{what}\" out, or say it on the lane reliable"
    )]
    NotOnLatest {
        /// What it asks for: `id`, `expect`, `ttl_ms`, `delete` or `batch`.
        what: &'static str,
    },
    /// What is kept cannot be reached, so nothing is acknowledged.
    #[error("the room cannot keep messages now: {reason}")]
    Unavailable {
        /// The store's words.
        reason: Arc<str>,
    },
    /// The Conn is not in the room that it wants to leave.
    #[error("this connection is not in the room {room}; join it first")]
    NotJoined {
        /// The room.
        room: RoomName,
    },
    /// The name begins with `$`.
    #[error("the name {room} is reserved, as all are that begin with $; choose another")]
    ReservedName {
        /// The room.
        room: RoomName,
    },
    /// The Conn's grant does not allow it.
    #[error(
        "the right {right} is needed in {room}, and you do not have it; {}",
        if *.has_credentials { "ask for a token that grants it" } else { "come with a token that grants it" }
    )]
    Forbidden {
        /// The room.
        room: RoomName,
        /// What it wanted.
        right: Right,
        /// Whether it came with credentials at all: whoever has none may try with some.
        has_credentials: bool,
    },
    /// The Conn, its address or its user does this faster than it may.
    #[error("{text}; wait {} s", .retry_ms.div_ceil(1_000))]
    RateLimited {
        /// Who does what too fast, and the setting that says how fast it may.
        text: &'static str,
        /// When it will pass, in milliseconds.
        retry_ms: u64,
    },
    /// The application does not allow it.
    #[error("{reason}")]
    Declined {
        /// Its words.
        reason: Arc<str>,
    },
    /// The application could not be asked whether it allows it.
    #[error("the application could not be asked about this, so nothing was taken; try again")]
    NotAsked,
    /// The room's policy tells nobody who is present.
    #[error("the room {room} does not say who is present; its policy has presence = false")]
    PresenceOff {
        /// The room.
        room: RoomName,
    },
}

impl Refusal {
    /// The word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TooManyRooms { .. } => "too-many-rooms",
            Refusal::TooManyRoomsPerConn { .. } => "too-many-rooms-per-conn",
            Refusal::MessageTooLarge { .. } => "message-too-large",
            Refusal::LabelTooLong { .. } => "label-too-long",
            Refusal::IdConflict => "id-conflict",
            Refusal::Unexpected { .. } => "unexpected",
            Refusal::StateFull { .. } => "state-full",
            Refusal::StateOff { .. } => "state-off",
            Refusal::NotOnLatest { .. } => "bad-field",
            Refusal::Unavailable { .. } => "unavailable",
            Refusal::NotJoined { .. } => "not-joined",
            Refusal::ReservedName { .. } => "reserved-name",
            Refusal::Forbidden {
                has_credentials: true,
                ..
            } => "forbidden",
            Refusal::Forbidden {
                has_credentials: false,
                ..
            } => "unauthorized",
            Refusal::Declined { .. } => "forbidden",
            Refusal::NotAsked => "unavailable",
            Refusal::RateLimited { .. } => "rate-limited",
            Refusal::PresenceOff { .. } => "presence-off",
        }
    }

    /// When trying the same again may help, in milliseconds; `None` where it never will.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        match self {
            Refusal::TooManyRooms { .. } => Some(10_000),
            Refusal::Unavailable { .. } | Refusal::NotAsked => Some(1_000),
            Refusal::RateLimited { retry_ms, .. } => Some(*retry_ms),
            _ => None,
        }
    }
}
