//! Rows: messages, ids and rooms as columns and back, each with its checksum.
//!
//! - Unsigned numbers are kept as SQLite's signed 64 bits with the same bits.
//! - A row counts only when its checksum agrees; everything that does not fit, an unknown kind or a missing text, is damage too.
//! - The room is part of the checksum: a row that has moved into another room is damage.
//! - Not kept: a message's origin, which names a connection of a server that is gone, and the time on that server's own clock.

use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Row, params};
use taut_hub::{Body, Door, Effect, KeptId, Lane, Message, Sender};

/// What a message's row has, in order. `body` is last so that the others can be read without walking its overflow pages.
pub(crate) const MESSAGE_COLUMNS: &str = "room, offset, time_ms, end_bytes, kind, effect, expires_ms, event, key, id, sender, door, checksum, body";

/// What an id's row has, in order.
pub(crate) const ID_COLUMNS: &str = "room, offset, time_ms, fingerprint, sender, id, checksum";

/// The row's bits do not agree with its checksum, or with what a row can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// `value` with SQLite's sign.
pub(crate) fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// `value` without it.
pub(crate) fn unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}

/// Writes the message where the statement says; its parameters are [`MESSAGE_COLUMNS`].
pub(crate) fn write_message(
    statement: &mut CachedStatement<'_>,
    room: i64,
    message: &Message,
) -> rusqlite::Result<()> {
    let (effect, expires_ms) = effect_numbers(message.effect);
    statement.execute(params![
        room,
        signed(message.offset),
        signed(message.time_ms),
        signed(message.end_bytes),
        kind_number(&message.body),
        effect,
        expires_ms.map(signed),
        message.event.as_deref(),
        message.key.as_deref(),
        message.id.as_deref(),
        &**message.from.as_kept(),
        message.door.0,
        message_checksum(room, message, message.door.0),
        &message.body.bytes()[..],
    ])?;
    Ok(())
}

/// Reads a row of [`MESSAGE_COLUMNS`].
pub(crate) fn read_message(row: &Row<'_>) -> rusqlite::Result<Result<Message, Broken>> {
    let Some(message) = message_of(row)? else {
        return Ok(Err(Broken));
    };
    let room = integer(row.get_ref(0)?).unwrap_or_default();
    // As it is written, not as it is understood: this version may not have the door.
    let door = text(row.get_ref(11)?).unwrap_or_default();
    let expected = integer(row.get_ref(12)?);
    if expected == Some(i64::from(message_checksum(room, &message, door))) {
        Ok(Ok(message))
    } else {
        Ok(Err(Broken))
    }
}

/// The offset of a row of [`MESSAGE_COLUMNS`] or [`ID_COLUMNS`], also where the row is damaged.
pub(crate) fn read_offset(row: &Row<'_>) -> rusqlite::Result<u64> {
    Ok(integer(row.get_ref(1)?).map_or(0, unsigned))
}

fn message_of(row: &Row<'_>) -> rusqlite::Result<Option<Message>> {
    let mut numbers = [0_u64; 5];
    for (column, number) in (1..).zip(&mut numbers) {
        let Some(value) = integer(row.get_ref(column)?) else {
            return Ok(None);
        };
        *number = unsigned(value);
    }
    let [offset, time_ms, end_bytes, kind, effect] = numbers;
    let expires = row.get_ref(6)?;
    let (Some(event), Some(key), Some(id)) = (
        optional(row.get_ref(7)?),
        optional(row.get_ref(8)?),
        optional(row.get_ref(9)?),
    ) else {
        return Ok(None);
    };
    let (Some(from), Some(door)) = (text(row.get_ref(10)?), text(row.get_ref(11)?)) else {
        return Ok(None);
    };
    let ValueRef::Blob(body) = row.get_ref(13)? else {
        return Ok(None);
    };
    let (Some(body), Some(effect)) = (body_of(kind, body), effect_of(effect, expires)) else {
        return Ok(None);
    };
    Ok(Some(Message {
        offset,
        time_ms,
        event: event.map(Arc::from),
        key: key.map(Arc::from),
        id: id.map(Arc::from),
        from: Sender::kept(from),
        door: Door::named(door),
        body,
        effect,
        // The other lane is kept nowhere.
        lane: Lane::Reliable,
        origin: None,
        is_members: false,
        born_ms: time_ms,
        end_bytes,
    }))
}

fn kind_number(body: &Body) -> u8 {
    match body {
        Body::Text(_) => 0,
        Body::Json(_) => 1,
        Body::Binary(_) => 2,
        Body::Args(_) => 3,
    }
}

fn body_of(kind: u64, body: &[u8]) -> Option<Body> {
    let bytes = Bytes::copy_from_slice(body);
    match kind {
        0 => Some(Body::Text(bytes)),
        1 => Some(Body::Json(bytes)),
        2 => Some(Body::Binary(bytes)),
        3 => Some(Body::Args(bytes)),
        _ => None,
    }
}

fn effect_numbers(effect: Effect) -> (u8, Option<u64>) {
    match effect {
        Effect::None => (0, None),
        Effect::Set { expires_ms } => (1, expires_ms),
        Effect::Deleted => (2, None),
        Effect::Expired => (3, None),
    }
}

fn effect_of(effect: u64, expires: ValueRef<'_>) -> Option<Effect> {
    let expires_ms = match expires {
        ValueRef::Null => None,
        other => Some(unsigned(integer(other)?)),
    };
    match (effect, expires_ms) {
        (0, None) => Some(Effect::None),
        (1, expires_ms) => Some(Effect::Set { expires_ms }),
        (2, None) => Some(Effect::Deleted),
        (3, None) => Some(Effect::Expired),
        _ => None,
    }
}

/// Over all columns but itself: the numbers as 8 bytes little-endian each (the end of the key as 0 where there is none, which its
/// effect tells apart), the texts and the body each behind its length as 8 bytes, a missing text as the length 2^64 - 1.
fn message_checksum(room: i64, message: &Message, door: &str) -> u32 {
    let (effect, expires_ms) = effect_numbers(message.effect);
    let mut sum = Sum::of_numbers([
        unsigned(room),
        message.offset,
        message.time_ms,
        message.end_bytes,
        u64::from(kind_number(&message.body)),
        u64::from(effect),
        u64::from(expires_ms.is_some()),
        expires_ms.unwrap_or_default(),
    ]);
    for label in [&message.event, &message.key, &message.id] {
        sum.add(label.as_deref().map(str::as_bytes));
    }
    sum.add(Some(message.from.as_kept().as_bytes()));
    sum.add(Some(door.as_bytes()));
    sum.add(Some(message.body.bytes()));
    sum.0.finalize()
}

/// Writes the id where the statement says; its parameters are [`ID_COLUMNS`].
pub(crate) fn write_id(
    statement: &mut CachedStatement<'_>,
    room: i64,
    id: &KeptId,
) -> rusqlite::Result<()> {
    statement.execute(params![
        room,
        signed(id.offset),
        signed(id.time_ms),
        signed(id.fingerprint),
        &*id.from,
        &*id.id,
        id_checksum(room, id),
    ])?;
    Ok(())
}

/// Reads a row of [`ID_COLUMNS`].
pub(crate) fn read_id(row: &Row<'_>) -> rusqlite::Result<Result<KeptId, Broken>> {
    let mut numbers = [0_i64; 4];
    for (column, number) in numbers.iter_mut().enumerate() {
        let Some(value) = integer(row.get_ref(column)?) else {
            return Ok(Err(Broken));
        };
        *number = value;
    }
    let [room, offset, time_ms, fingerprint] = numbers;
    let (Some(from), Some(id)) = (text(row.get_ref(4)?), text(row.get_ref(5)?)) else {
        return Ok(Err(Broken));
    };
    let id = KeptId {
        from: Arc::from(from),
        id: Arc::from(id),
        offset: unsigned(offset),
        fingerprint: unsigned(fingerprint),
        time_ms: unsigned(time_ms),
    };
    let expected = integer(row.get_ref(6)?);
    if expected == Some(i64::from(id_checksum(room, &id))) {
        Ok(Ok(id))
    } else {
        Ok(Err(Broken))
    }
}

fn id_checksum(room: i64, id: &KeptId) -> u32 {
    let mut sum = Sum::of_numbers([unsigned(room), id.offset, id.time_ms, id.fingerprint]);
    sum.add(Some(id.from.as_bytes()));
    sum.add(Some(id.id.as_bytes()));
    sum.0.finalize()
}

/// The checksum of a room's row: over its numbers in the order of its columns, then its name.
pub(crate) fn room_checksum(name: &str, numbers: [i64; 7]) -> u32 {
    let mut sum = Sum::of_numbers(numbers.map(unsigned));
    sum.add(Some(name.as_bytes()));
    sum.0.finalize()
}

struct Sum(Hasher);

impl Sum {
    fn of_numbers<const COUNT: usize>(numbers: [u64; COUNT]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(numbers.map(u64::to_le_bytes).as_flattened());
        Self(hasher)
    }

    fn add(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        self.0.update(&length.to_le_bytes());
        self.0.update(bytes.unwrap_or_default());
    }
}

/// The number in a column, where there is one.
pub(crate) fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

/// The text in a column, where there is one.
pub(crate) fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn optional(value: ValueRef<'_>) -> Option<Option<&str>> {
    match value {
        ValueRef::Null => Some(None),
        other => text(other).map(Some),
    }
}
