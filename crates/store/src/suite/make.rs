//! What the checks are made of.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{Append, Body, Door, Effect, Epoch, History, Message, RoomName, Stretch, Tail};

/// A room of that name.
#[must_use]
pub fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// The bytes that every one of [`append`]'s messages costs: 192, the body's 6 and the sender's 3.
pub const COST_BYTES: u64 = 201;

/// A history that keeps everything.
#[must_use]
pub fn history() -> History {
    History {
        messages_max: u32::MAX,
        age_ms_max: u64::MAX,
        bytes_max: u64::MAX,
    }
}

/// Everything there is.
#[must_use]
pub fn tail() -> Tail {
    Tail {
        messages_max: u32::MAX,
        bytes_max: u64::MAX,
        ids_max: u32::MAX,
        ids_since_ms: 0,
    }
}

/// A message whose time is a thousand times its offset, in a room where all cost the same.
#[must_use]
pub fn message(offset: u64) -> Message {
    let message = Message {
        offset,
        time_ms: offset * 1_000,
        event: None,
        key: None,
        id: None,
        from: "ann".into(),
        door: Door::named("websocket"),
        body: Body::Text(Bytes::from(format!("{offset:06}"))),
        effect: Effect::None,
        lane: taut_hub::Lane::Reliable,
        origin: None,
        is_members: false,
        born_ms: offset * 1_000,
        end_bytes: offset * COST_BYTES,
    };
    assert_eq!(message.cost_bytes(), COST_BYTES);
    message
}

/// `count` messages behind `after`.
#[must_use]
pub fn append(room: &RoomName, after: u64, count: u64) -> Append {
    Append {
        room: room.clone(),
        epoch: Epoch(7),
        after,
        messages: (after + 1..=after + count)
            .map(|offset| Arc::new(message(offset)))
            .collect(),
        id: None,
        sync: false,
        history: history(),
    }
}

pub(super) fn offsets(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.offset).collect()
}

pub(super) fn all(stretch: &Stretch) -> Vec<u64> {
    assert_eq!(stretch.damaged, Vec::<u64>::new());
    offsets(&stretch.messages)
}
