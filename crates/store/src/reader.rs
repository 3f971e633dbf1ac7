//! Reads beside the writer: a connection of its own, which sees what was committed before each read.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use taut_hub::{Pattern, RoomList, RoomName, StoreError, StoreReader, Stretch};

use crate::error::{of_io, store_error, taints};
use crate::files::Files;
use crate::list;
use crate::row::{MESSAGE_COLUMNS, read_message, read_offset, signed, unsigned};
use crate::schema::{self, Use};

/// Reads `DIR/rooms.sqlite`.
#[derive(Debug)]
pub(crate) struct SqliteReader {
    /// `None` after an error that may have left it wrong.
    conn: Option<Connection>,
    path: std::path::PathBuf,
    /// Dropped behind the connection: see [`Files`].
    database: Arc<File>,
}

impl SqliteReader {
    pub(crate) fn open(files: &Files) -> rusqlite::Result<Self> {
        Ok(Self {
            conn: Some(schema::connect(&files.path, Use::Read)?),
            path: files.path.clone(),
            database: files.hold(),
        })
    }

    fn work<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let result = match self.conn.take() {
            Some(conn) => Ok(conn),
            None => schema::connect(&self.path, Use::Read),
        }
        .and_then(|conn| {
            let result = work(&conn);
            if !result.as_ref().is_err_and(taints) {
                self.conn = Some(conn);
            }
            result
        });
        result.map_err(|error| store_error(&error))
    }
}

impl StoreReader for SqliteReader {
    fn read(
        &mut self,
        room: &RoomName,
        after: u64,
        messages_max: u32,
        bytes_max: u64,
    ) -> Result<Stretch, StoreError> {
        self.work(|conn| read(conn, room, after, messages_max, bytes_max))
    }

    fn seek(&mut self, room: &RoomName, time_ms: u64) -> Result<u64, StoreError> {
        self.work(|conn| seek(conn, room, time_ms))
    }

    fn rooms(
        &mut self,
        after: Option<&RoomName>,
        pattern: &Pattern,
        rooms_max: u32,
    ) -> Result<RoomList, StoreError> {
        self.work(|conn| list::rooms(conn, after, pattern, rooms_max))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        sync_log(&self.path)
            .and_then(|()| self.database.sync_data())
            .map_err(|error| of_io(&error))
    }
}

/// Opened anew each time: SQLite makes another log when it likes.
fn sync_log(database: &Path) -> io::Result<()> {
    let mut name = database.to_path_buf().into_os_string();
    name.push("-wal");
    match File::open(name) {
        Ok(log) => log.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Damaged rows count as messages do, so that a read stays bounded.
fn read(
    conn: &Connection,
    room: &RoomName,
    after: u64,
    messages_max: u32,
    bytes_max: u64,
) -> rusqlite::Result<Stretch> {
    let mut stretch = Stretch::default();
    if after >= unsigned(i64::MAX) {
        return Ok(stretch);
    }
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE room = (SELECT id FROM rooms WHERE name = ?1) AND offset > ?2
         ORDER BY offset LIMIT ?3"
    ))?;
    let mut rows = statement.query((room.as_str(), signed(after), messages_max))?;
    let mut cost_bytes = 0_u64;
    while let Some(row) = rows.next()? {
        let Ok(message) = read_message(row)? else {
            let offset = read_offset(row)?;
            // Whoever asked is told of the offset, and says so; readers come again and again.
            tracing::debug!(%room, offset, "a message is damaged");
            stretch.damaged.push(offset);
            continue;
        };
        cost_bytes = cost_bytes.saturating_add(message.cost_bytes());
        if cost_bytes > bytes_max && !stretch.messages.is_empty() {
            break;
        }
        stretch.messages.push(Arc::new(message));
    }
    Ok(stretch)
}

/// Halves the range of offsets until one is left; times are taken to grow with them. Only sound messages are asked.
fn seek(conn: &Connection, room: &RoomName, time_ms: u64) -> rusqlite::Result<u64> {
    let Some((id, forgotten)) = conn
        .prepare_cached("SELECT id, forgotten FROM rooms WHERE name = ?1")?
        .query_row([room.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, unsigned(row.get(1)?)))
        })
        .optional()?
    else {
        return Ok(0);
    };
    let (first, last): (Option<i64>, Option<i64>) = conn
        .prepare_cached(
            "SELECT (SELECT min(offset) FROM messages WHERE room = ?1 AND offset > 0), (SELECT max(offset) FROM messages WHERE room = ?1)",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(forgotten);
    };
    // Everything up to `before` is older than the time; everything from `from` on is not.
    let (mut before, mut from) = (unsigned(first).saturating_sub(1), unsigned(last) + 1);
    while from - before > 1 {
        let middle = before + (from - before) / 2;
        match sound_from(conn, id, middle, from)? {
            Some((offset, born_ms)) if born_ms < time_ms => before = offset,
            _ => from = middle,
        }
    }
    Ok(before)
}

/// The first sound message in the range: its offset and time.
fn sound_from(
    conn: &Connection,
    id: i64,
    from: u64,
    to: u64,
) -> rusqlite::Result<Option<(u64, u64)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE room = ?1 AND offset >= ?2 AND offset < ?3 ORDER BY offset"
    ))?;
    let mut rows = statement.query((id, signed(from), signed(to)))?;
    while let Some(row) = rows.next()? {
        if let Ok(message) = read_message(row)? {
            return Ok(Some((message.offset, message.time_ms)));
        }
    }
    Ok(None)
}
