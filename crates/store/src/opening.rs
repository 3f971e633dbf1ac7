//! What happens when the file is opened and closed, and when a room is.

use std::fs;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use taut_hub::{Epoch, Kept, KeptId, Message, RoomName, Tail};

use crate::directory::{Directory, Entry};
use crate::load;
use crate::row::{ID_COLUMNS, MESSAGE_COLUMNS, read_id, read_message, read_offset, signed};
use crate::sqlite::transaction;

/// Begins a run: decides whether commits may be missing, drops rooms that hold nothing, and notes on the disk that the file is in use.
pub(crate) fn start(conn: &Connection, epoch: Epoch) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA synchronous = FULL")?;
    let boot = boot_id();
    transaction(conn, || {
        let clean = meta(conn, "clean")?.is_none_or(|clean| clean == "1");
        let same_boot = !boot.is_empty() && meta(conn, "boot")?.is_some_and(|kept| kept == boot);
        conn.execute(
            "DELETE FROM rooms WHERE NOT EXISTS (SELECT 1 FROM messages WHERE room = rooms.id)
             AND NOT EXISTS (SELECT 1 FROM ids WHERE room = rooms.id) AND NOT EXISTS (SELECT 1 FROM state WHERE room = rooms.id)",
            [],
        )?;
        if !clean && !same_boot {
            let rooms = load::renumber(conn, epoch)?;
            tracing::warn!(
                rooms,
                "the machine stopped without closing the store; its last commits may be missing, so positions of before are no longer known"
            );
        }
        set_meta(conn, "boot", &boot)?;
        set_meta(conn, "clean", "0")
    })?;
    conn.execute_batch("PRAGMA synchronous = NORMAL")
}

/// Notes that everything committed is on the disk.
pub(crate) fn finish(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA synchronous = FULL")?;
    transaction(conn, || set_meta(conn, "clean", "1"))
}

/// Writes something that nobody reads.
pub(crate) fn note_probe(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', hex(randomblob(8)))",
        [],
    )?;
    Ok(())
}

fn meta(conn: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    conn.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
        row.get(0)
    })
    .optional()
}

fn set_meta(conn: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
        [name, value],
    )?;
    Ok(())
}

/// Tells this start of the machine from all others; empty where it cannot be told, which then counts as another.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// What is kept of a room.
pub(crate) fn open(
    conn: &Connection,
    directory: &mut Directory,
    room: &RoomName,
    tail: Tail,
) -> rusqlite::Result<Option<Kept>> {
    let Some(slot) = directory.find(room) else {
        return Ok(None);
    };
    let Some(entry) = directory.entry(slot) else {
        return Ok(None);
    };
    let (messages, end_bytes) = read_tail(conn, entry, tail)?;
    let kept = Kept {
        epoch: entry.epoch,
        first: entry.first,
        head: entry.head,
        end_bytes,
        tail: messages,
        state: read_state(conn, entry)?,
        ids: read_ids(conn, entry, tail)?,
    };
    directory.change(slot, |entry| entry.end_bytes = end_bytes);
    Ok(Some(kept))
}

/// What a room is that has nothing kept while others have been forgotten: it begins behind all that they ever numbered.
pub(crate) fn behind(epoch: Epoch, floor: u64) -> Option<Kept> {
    (floor > 0).then(|| Kept {
        epoch,
        first: floor + 1,
        head: floor,
        end_bytes: 0,
        tail: Vec::new(),
        state: Vec::new(),
        ids: Vec::new(),
    })
}

/// The newest messages without a hole, oldest first, and where the room's cost stands: as its newest sound message says.
fn read_tail(
    conn: &Connection,
    entry: &Entry,
    tail: Tail,
) -> rusqlite::Result<(Vec<Arc<Message>>, u64)> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE room = ?1 AND offset > 0 ORDER BY offset DESC"
    ))?;
    let mut rows = statement.query([entry.id])?;
    let mut messages: Vec<Arc<Message>> = Vec::new();
    let mut end_bytes = None;
    let mut cost_bytes = 0_u64;
    let mut whole = true;
    while whole || end_bytes.is_none() {
        let Some(row) = rows.next()? else {
            break;
        };
        let Ok(message) = read_message(row)? else {
            let offset = read_offset(row)?;
            tracing::error!(room = %entry.name, offset, "a message is damaged; the room is read from behind it");
            whole = false;
            continue;
        };
        end_bytes = end_bytes.or(Some(message.end_bytes));
        cost_bytes = cost_bytes.saturating_add(message.cost_bytes());
        let follows = message.offset + messages.len() as u64 == entry.head;
        let fits = messages.len() < usize::try_from(tail.messages_max).unwrap_or(usize::MAX)
            && (messages.is_empty() || cost_bytes <= tail.bytes_max);
        whole = whole && follows && fits;
        if whole {
            messages.push(Arc::new(message));
        }
    }
    messages.reverse();
    let end_bytes = end_bytes.unwrap_or(entry.start_bytes);
    Ok((messages, end_bytes.max(entry.start_bytes)))
}

fn read_state(conn: &Connection, entry: &Entry) -> rusqlite::Result<Vec<Arc<Message>>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM state WHERE room = ?1 ORDER BY offset"
    ))?;
    let mut rows = statement.query([entry.id])?;
    let mut state = Vec::new();
    while let Some(row) = rows.next()? {
        match read_message(row)? {
            Ok(message) => state.push(Arc::new(message)),
            Err(_) => {
                let version = read_offset(row)?;
                tracing::error!(room = %entry.name, version, "a key of the state is damaged; it is left out");
            }
        }
    }
    Ok(state)
}

fn read_ids(conn: &Connection, entry: &Entry, tail: Tail) -> rusqlite::Result<Vec<KeptId>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {ID_COLUMNS} FROM ids WHERE room = ?1 AND time_ms >= ?2 ORDER BY offset DESC LIMIT ?3"
    ))?;
    let mut rows = statement.query((entry.id, signed(tail.ids_since_ms), tail.ids_max))?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        match read_id(row)? {
            Ok(id) => ids.push(id),
            Err(_) => {
                let offset = read_offset(row)?;
                tracing::error!(room = %entry.name, offset, "a publisher's id is damaged; it is left out");
            }
        }
    }
    ids.reverse();
    Ok(ids)
}
