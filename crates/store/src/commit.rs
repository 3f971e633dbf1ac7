//! Appends, as one transaction.

use rusqlite::{CachedStatement, Connection};
use taut_hub::{Append, Effect, Message, StoreError};

use crate::directory::{Directory, Entry, RoomRow};
use crate::load;
use crate::row::{ID_COLUMNS, MESSAGE_COLUMNS, write_id, write_message};

/// What new rooms are made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRooms {
    /// How many rooms there may be.
    pub(crate) rooms_max: usize,
    /// Behind which offset a new room begins: that of any room that was forgotten in this run. See [`crate::expire`].
    pub(crate) floor: u64,
}

/// Writes the appends in order, and the directory with them. Where it fails, the directory is no longer what the file says.
pub(crate) fn write(
    conn: &Connection,
    directory: &mut Directory,
    appends: &[Append],
    new_rooms: NewRooms,
) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
    let mut statements = Statements::prepare(conn)?;
    let mut results = Vec::with_capacity(appends.len());
    for append in appends {
        let (slot, room) = match place(conn, directory, append, new_rooms)? {
            Ok(place) => place,
            Err(refused) => {
                results.push(Err(refused));
                continue;
            }
        };
        for message in &append.messages {
            write_message(&mut statements.insert, room, message)?;
            statements.change_state(room, message)?;
        }
        if let Some(id) = &append.id {
            write_id(&mut statements.insert_id, room, id)?;
        }
        let history = load::bounded(append.history);
        let mut history_changes = false;
        directory.change(slot, |entry| {
            history_changes = entry.history != history;
            entry.history = history;
            note(entry, append);
        });
        if history_changes && let Some(entry) = directory.entry(slot) {
            load::write(conn, &load::row_of(entry))?;
        }
        results.push(Ok(()));
    }
    Ok(results)
}

/// The room that the append goes to, its slot and its id, made where it is new; or why it cannot.
fn place(
    conn: &Connection,
    directory: &mut Directory,
    append: &Append,
    new_rooms: NewRooms,
) -> rusqlite::Result<Result<(usize, i64), StoreError>> {
    let known = directory
        .find(&append.room)
        .and_then(|slot| Some((slot, directory.entry(slot)?)));
    let head = known.map_or(new_rooms.floor, |(_, entry)| entry.head);
    if !follows(append, head) {
        return Ok(Err(StoreError::OutOfOrder { head }));
    }
    if let Some((slot, entry)) = known {
        return Ok(Ok((slot, entry.id)));
    }
    if directory.len() >= new_rooms.rooms_max {
        return Ok(Err(StoreError::Full));
    }
    let mut row = RoomRow {
        id: 0,
        name: append.room.clone(),
        epoch: append.epoch,
        forgotten: head,
        forgotten_bytes: append
            .messages
            .first()
            .map_or(0, |first| first.start_bytes()),
        history: load::bounded(append.history),
    };
    let id = load::next_id(conn)?;
    load::insert(conn, &mut row, id)?;
    Ok(Ok((directory.put(Entry::new(row)), id)))
}

/// Whether the append stands behind `head`, and its messages behind each other.
pub(crate) fn follows(append: &Append, head: u64) -> bool {
    append.after == head
        && !append.messages.is_empty()
        && append
            .messages
            .iter()
            .zip(head + 1..)
            .all(|(message, offset)| message.offset == offset)
}

fn note(entry: &mut Entry, append: &Append) {
    if let (Some(first), Some(last)) = (append.messages.first(), append.messages.last()) {
        if entry.count() == 0 {
            entry.first = first.offset;
            entry.first_ms = first.time_ms;
            entry.start_bytes = first.start_bytes();
        }
        entry.head = last.offset;
        entry.head_ms = last.time_ms;
        entry.end_bytes = last.end_bytes;
    }
}

/// What a commit runs over and over.
struct Statements<'a> {
    insert: CachedStatement<'a>,
    insert_id: CachedStatement<'a>,
    set: CachedStatement<'a>,
    unset: CachedStatement<'a>,
}

impl<'a> Statements<'a> {
    fn prepare(conn: &'a Connection) -> rusqlite::Result<Self> {
        let into = |table: &str| {
            conn.prepare_cached(&format!(
                "INSERT {table} ({MESSAGE_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
            ))
        };
        Ok(Self {
            insert: into("INTO messages")?,
            insert_id: conn.prepare_cached(&format!(
                "INSERT OR REPLACE INTO ids ({ID_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ))?,
            set: into("OR REPLACE INTO state")?,
            unset: conn.prepare_cached("DELETE FROM state WHERE room = ?1 AND key = ?2")?,
        })
    }

    fn change_state(&mut self, room: i64, message: &Message) -> rusqlite::Result<()> {
        match (message.effect, message.key.as_deref()) {
            (Effect::None, _) | (_, None) => {}
            (Effect::Set { .. }, Some(_)) => write_message(&mut self.set, room, message)?,
            (Effect::Deleted | Effect::Expired, Some(key)) => {
                self.unset.execute((room, key))?;
            }
        }
        Ok(())
    }
}
