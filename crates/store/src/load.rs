//! From the file into the directory.

use rusqlite::{Connection, OptionalExtension, Row, params};
use taut_hub::{Epoch, History, RoomName};

use crate::directory::{Directory, Entry, RoomRow};
use crate::row::{integer, room_checksum, signed, text, unsigned};

pub(crate) const ROOM_COLUMNS: &str =
    "id, name, epoch, forgotten, forgotten_bytes, messages_max, age_ms_max, bytes_max, checksum";

/// What a room's row turned out to be.
pub(crate) enum Read {
    Sound(RoomRow),
    /// Its name can be read, and nothing else of it is believed.
    Damaged(i64, RoomName),
    /// Nothing in it can be used.
    Lost(i64),
}

/// All rooms.
pub(crate) fn all(conn: &Connection, epoch: Epoch) -> rusqlite::Result<Directory> {
    let mut directory = Directory::default();
    let mut statement = conn.prepare(&format!("SELECT {ROOM_COLUMNS} FROM rooms"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(entry) = entry_of(conn, read(row)?, epoch)? {
            directory.put(entry);
        }
    }
    Ok(directory)
}

/// One room; `None` when the file has none of that name.
pub(crate) fn one(
    conn: &Connection,
    name: &RoomName,
    epoch: Epoch,
) -> rusqlite::Result<Option<Entry>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {ROOM_COLUMNS} FROM rooms WHERE name = ?1"))?;
    let found = statement.query_row([name.as_str()], read).optional()?;
    match found {
        Some(found) => entry_of(conn, found, epoch),
        None => Ok(None),
    }
}

/// Gives every room a new epoch: what was committed last may be gone, and its offsets will be given again.
pub(crate) fn renumber(conn: &Connection, epoch: Epoch) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare(&format!("SELECT {ROOM_COLUMNS} FROM rooms"))?;
    let rows: Vec<RoomRow> = statement
        .query_map([], read)?
        .filter_map(|found| match found {
            Ok(Read::Sound(row)) => Some(Ok(row)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect::<rusqlite::Result<_>>()?;
    let count = rows.len();
    for row in rows {
        write(conn, &RoomRow { epoch, ..row })?;
    }
    Ok(count)
}

/// Every room's id, its name where it can be read, and whether its row is sound.
pub(crate) fn verify(conn: &Connection) -> rusqlite::Result<Vec<(i64, Option<RoomName>, bool)>> {
    let mut statement = conn.prepare(&format!("SELECT {ROOM_COLUMNS} FROM rooms"))?;
    let rooms = statement.query_map([], read)?.map(|found| {
        Ok(match found? {
            Read::Sound(row) => (row.id, Some(row.name), true),
            Read::Damaged(id, name) => (id, Some(name), false),
            Read::Lost(id) => (id, None, false),
        })
    });
    rooms.collect()
}

/// Writes the room's row in place of the one with its id.
pub(crate) fn write(conn: &Connection, row: &RoomRow) -> rusqlite::Result<()> {
    let (numbers, checksum) = numbers_of(row.id, row);
    let mut statement = conn.prepare_cached(
        "UPDATE rooms SET epoch = ?2, forgotten = ?3, forgotten_bytes = ?4, messages_max = ?5, age_ms_max = ?6, bytes_max = ?7,
         checksum = ?8 WHERE id = ?1",
    )?;
    let [id, epoch, forgotten, forgotten_bytes, messages, age, bytes] = numbers;
    statement.execute(params![
        id,
        epoch,
        forgotten,
        forgotten_bytes,
        messages,
        age,
        bytes,
        checksum
    ])?;
    Ok(())
}

/// Makes a row for a new room, with an id that is free; `row.id` is set to it.
pub(crate) fn insert(conn: &Connection, row: &mut RoomRow, id: i64) -> rusqlite::Result<()> {
    row.id = id;
    let (numbers, checksum) = numbers_of(id, row);
    let mut statement = conn.prepare_cached(
        "INSERT INTO rooms (id, epoch, forgotten, forgotten_bytes, messages_max, age_ms_max, bytes_max, checksum, name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let [id, epoch, forgotten, forgotten_bytes, messages, age, bytes] = numbers;
    statement.execute(params![
        id,
        epoch,
        forgotten,
        forgotten_bytes,
        messages,
        age,
        bytes,
        checksum,
        row.name.as_str()
    ])?;
    Ok(())
}

/// The room's row as the directory's entry has it.
pub(crate) fn row_of(entry: &Entry) -> RoomRow {
    RoomRow {
        id: entry.id,
        name: entry.name.clone(),
        epoch: entry.epoch,
        forgotten: entry.first.saturating_sub(1),
        forgotten_bytes: entry.start_bytes,
        history: entry.history,
    }
}

/// What of a history can be written: no bound at all is the largest number that SQLite has.
pub(crate) fn bounded(history: History) -> History {
    let most = unsigned(i64::MAX);
    History {
        messages_max: history.messages_max,
        age_ms_max: history.age_ms_max.min(most),
        bytes_max: history.bytes_max.min(most),
    }
}

fn numbers_of(id: i64, row: &RoomRow) -> ([i64; 7], u32) {
    let history = bounded(row.history);
    let numbers = [
        id,
        i64::from(row.epoch.0),
        signed(row.forgotten),
        signed(row.forgotten_bytes),
        i64::from(history.messages_max),
        signed(history.age_ms_max),
        signed(history.bytes_max),
    ];
    (numbers, room_checksum(row.name.as_str(), numbers))
}

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Read> {
    let number =
        |column: usize| -> rusqlite::Result<Option<i64>> { Ok(integer(row.get_ref(column)?)) };
    let id = number(0)?.unwrap_or_default();
    let Some(name) = text(row.get_ref(1)?).and_then(|name| RoomName::parse(name).ok()) else {
        return Ok(Read::Lost(id));
    };
    let mut numbers = [id, 0, 0, 0, 0, 0, 0];
    for (column, place) in (2..).zip(&mut numbers[1..]) {
        let Some(value) = number(column)? else {
            return Ok(Read::Damaged(id, name));
        };
        *place = value;
    }
    let [_, epoch, forgotten, forgotten_bytes, messages, age, bytes] = numbers;
    let sound = number(8)? == Some(i64::from(room_checksum(name.as_str(), numbers)));
    let (Ok(epoch), Ok(messages_max)) = (u32::try_from(epoch), u32::try_from(messages)) else {
        return Ok(Read::Damaged(id, name));
    };
    if !sound {
        return Ok(Read::Damaged(id, name));
    }
    Ok(Read::Sound(RoomRow {
        id,
        name,
        epoch: Epoch(epoch),
        forgotten: unsigned(forgotten),
        forgotten_bytes: unsigned(forgotten_bytes),
        history: History {
            messages_max,
            age_ms_max: unsigned(age),
            bytes_max: unsigned(bytes),
        },
    }))
}

/// A damaged room goes on under this run's epoch, behind the messages it has: nobody's position means anything else there.
fn entry_of(conn: &Connection, found: Read, epoch: Epoch) -> rusqlite::Result<Option<Entry>> {
    let row = match found {
        Read::Sound(row) => row,
        Read::Lost(id) => {
            tracing::error!(
                id,
                "a room's row is damaged, its name cannot be read; it is left alone"
            );
            return Ok(None);
        }
        Read::Damaged(id, name) => {
            tracing::error!(room = %name, "the room's row is damaged; its numbering begins anew, its messages stay");
            let row = RoomRow {
                id,
                name,
                epoch,
                forgotten: 0,
                forgotten_bytes: 0,
                history: taut_hub::RoomPolicy::default().history,
            };
            write(conn, &row)?;
            row
        }
    };
    let mut entry = Entry::new(row);
    let first = end_of(conn, entry.id, "ASC")?;
    let last = end_of(conn, entry.id, "DESC")?;
    if let (Some((first, first_ms, _)), Some((last, last_ms, end_bytes))) = (first, last)
        && last > entry.head
    {
        entry.first = first;
        entry.first_ms = first_ms;
        entry.head = last;
        entry.head_ms = last_ms;
        entry.end_bytes = end_bytes;
    }
    Ok(Some(entry))
}

pub(crate) fn end_of(
    conn: &Connection,
    room: i64,
    direction: &str,
) -> rusqlite::Result<Option<(u64, u64, u64)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT offset, time_ms, end_bytes FROM messages WHERE room = ?1 AND offset > 0 ORDER BY offset {direction} LIMIT 1"
    ))?;
    statement
        .query_row([room], |row| {
            Ok((
                unsigned(row.get(0)?),
                unsigned(row.get(1)?),
                unsigned(row.get(2)?),
            ))
        })
        .optional()
}

/// An id for a new room.
pub(crate) fn next_id(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM rooms")?
        .query_row([], |row| row.get(0))
}
