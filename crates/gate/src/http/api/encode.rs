//! What the API answers, as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taut_hub::{Durability, Grant, LagPolicy, Right, RoomFacts, RoomName, RoomPolicy};

/// A Conn, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnFacts {
    /// Its id.
    pub id: String,
    /// The door that it came by.
    pub door: &'static str,
    /// Its display name, where it has one.
    pub name: Option<String>,
    /// Its verified user.
    pub user: Option<String>,
    /// Where it comes from, where that is an address.
    pub address: Option<String>,
    /// Rooms that it is in, the first of them.
    pub rooms: Vec<RoomName>,
    /// How many they are.
    pub rooms_count: usize,
    /// Milliseconds since something came of it.
    pub silent_ms: u64,
}

/// What was found, so far.
#[derive(Debug, Clone)]
pub enum Found {
    /// Rooms.
    Rooms(Vec<RoomFacts>),
    /// Conns.
    Conns(Vec<ConnFacts>),
    /// Conns to which something was done.
    Done(Counted),
    /// What a Conn may do in a room, as it goes out.
    Grant(Option<Vec<u8>>),
}

/// To how many Conns something was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// It was.
    pub done: u64,
    /// It could not be, and why.
    pub refused: BTreeMap<Unmoved, u64>,
}

/// Why a Conn is not brought into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unmoved {
    /// Its grant does not allow it.
    Forbidden,
    /// Its rooms are those of its URL.
    Door,
    /// A session of Socket.IO that is not in that namespace.
    Namespace,
    /// It is in as many rooms as it may be.
    TooManyRooms,
    /// As many requests of it wait for an answer as may, or it is not known yet who it is.
    Busy,
}

impl Unmoved {
    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Door => "door",
            Self::Namespace => "namespace",
            Self::TooManyRooms => "too-many-rooms-per-conn",
            Self::Busy => "busy",
        }
    }
}

impl Counted {
    /// How many it was asked for.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.done + self.refused.values().sum::<u64>()
    }
}

/// Appends a page of rooms or Conns, with the cursor of the next one; or what was done.
pub fn encode_found(out: &mut Vec<u8>, found: &Found, cursor: Option<&str>) {
    let value = match found {
        Found::Rooms(rooms) => {
            json!({"rooms": rooms.iter().map(room).collect::<Vec<_>>(), "cursor": cursor})
        }
        Found::Conns(conns) => {
            json!({"conns": conns.iter().map(conn).collect::<Vec<_>>(), "cursor": cursor})
        }
        Found::Done(counted) => done(counted),
        Found::Grant(grant) => {
            out.extend_from_slice(grant.as_deref().unwrap_or(b"null\n"));
            return;
        }
    };
    line(out, &value);
}

/// Appends the answer to something that was done once.
pub fn encode_done(out: &mut Vec<u8>) {
    line(out, &json!({"done": 1, "refused": 0}));
}

/// What has changed in the configuration in force, and what waits for a restart.
pub fn encode_reloaded(out: &mut Vec<u8>, changed: &[String], waiting: &[String]) {
    line(out, &json!({"changed": changed, "waiting": waiting}));
}

fn done(counted: &Counted) -> Value {
    let refused = counted.all() - counted.done;
    let mut value = json!({"done": counted.done, "refused": refused});
    if refused > 0 {
        let reasons = counted.refused.iter();
        let reasons = reasons.map(|(why, count)| (why.code().to_owned(), json!(count)));
        value["reasons"] = Value::Object(reasons.collect());
    }
    value
}

fn room(room: &RoomFacts) -> Value {
    json!({
        "room": room.name.as_str(),
        "users": room.users,
        "conns": room.conns,
        "at": room.at.to_string(),
        "messages": room.messages,
        "bytes": room.bytes,
        "durable": room.durable,
        "in_memory": room.in_memory,
    })
}

fn conn(conn: &ConnFacts) -> Value {
    json!({
        "conn": conn.id,
        "door": conn.door,
        "as": conn.name,
        "user": conn.user,
        "address": conn.address,
        "rooms": conn.rooms.iter().map(RoomName::as_str).collect::<Vec<_>>(),
        "rooms_count": conn.rooms_count,
        "silent_ms": conn.silent_ms,
    })
}

/// Appends how a room behaves, by the names of the settings.
pub fn encode_policy(out: &mut Vec<u8>, name: &RoomName, policy: &RoomPolicy) {
    let durability = match policy.durability {
        Durability::Memory => "memory",
        Durability::Crash => "crash",
        Durability::Power => "power",
    };
    let lag = match policy.lag.policy {
        LagPolicy::Resume => "resume",
        LagPolicy::Conflate => "conflate",
        LagPolicy::Drop => "drop",
        LagPolicy::Disconnect => "disconnect",
    };
    let value = json!({
        "room": name.as_str(),
        "policy": {
            "history.messages_max": policy.history.messages_max,
            "history.age_ms_max": policy.history.age_ms_max,
            "history.bytes_max": policy.history.bytes_max,
            "durability": durability,
            "state.keys_max": policy.state.keys_max,
            "state.bytes_max": policy.state.bytes_max,
            "lag": lag,
            "lag.bytes_max": policy.lag.bytes_max,
            "lag.stall_ms_max": policy.lag.stall_ms_max,
            "echo": policy.echo,
            "presence": policy.presence,
            "presence.grace_ms": policy.presence_grace_ms,
            "message_bytes_max": policy.message_bytes_max,
        },
    });
    line(out, &value);
}

/// Appends what a grant comes to in a room, right by right, and because of which rule.
pub fn encode_grant(out: &mut Vec<u8>, name: &RoomName, user: Option<&str>, grant: &Grant) {
    let rights: serde_json::Map<String, Value> = Right::ALL
        .into_iter()
        .map(|right| {
            let decision = grant.decide(name, right, user);
            let because = decision.because.map(ToString::to_string);
            let value = json!({"allowed": decision.allowed, "because": because});
            (right.word().to_owned(), value)
        })
        .collect();
    line(
        out,
        &json!({"room": name.as_str(), "user": user, "rights": rights}),
    );
}

fn line(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'\n');
}
