//! Looks at a whole file, row by row, for `taut` itself and for whoever mends one.

use std::path::Path;

use rusqlite::Connection;
use taut_hub::RoomName;

use crate::error::words;
use crate::files::FILE_NAME;
use crate::load;
use crate::row::{
    Broken, ID_COLUMNS, MESSAGE_COLUMNS, integer, read_id, read_message, read_offset, text,
};
use crate::schema::{self, MIGRATIONS, Use, open_error};
use crate::settings::OpenError;

/// How much damage is listed. A file with more is listed up to here.
pub const DAMAGES_MAX: usize = 10_000;

/// Something in the file that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A message does not agree with its checksum.
    Message {
        /// The room, or how the file numbers it where it has no name.
        room: String,
        /// The message's offset.
        offset: u64,
    },
    /// A key of a room's state does not agree with its checksum.
    Key {
        /// The room, or how the file numbers it where it has no name.
        room: String,
        /// The key, where it can be read.
        key: String,
        /// The offset of the message that set it.
        offset: u64,
    },
    /// A publisher's id does not agree with its checksum.
    Id {
        /// The room, or how the file numbers it where it has no name.
        room: String,
        /// The offset of its message.
        offset: u64,
    },
    /// A room's own row does not agree with its checksum.
    Room {
        /// The room, or how the file numbers it where its name cannot be read.
        room: String,
    },
    /// Messages are missing between others.
    Hole {
        /// The room, or how the file numbers it where it has no name.
        room: String,
        /// The first offset that is missing.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// SQLite finds the file's own structure wrong.
    Structure {
        /// SQLite's words.
        text: String,
    },
}

/// Looks at every row of the store in `dir`, and changes none. A server may run on it meanwhile.
///
/// # Errors
/// When there is no store, or it cannot be read at all.
pub fn check(dir: &Path) -> Result<Vec<Damage>, OpenError> {
    let path = dir.join(FILE_NAME);
    if let Err(error) = std::fs::metadata(&path) {
        return Err(OpenError::of_io(&path, &error));
    }
    let failed = |error: &rusqlite::Error| open_error(&path, error);
    let conn = schema::connect(&path, Use::Read).map_err(|error| failed(&error))?;
    schema::recognize(&conn, &path, MIGRATIONS.len())?;
    let mut damages = Vec::new();
    let steps = [structure, rooms, messages, state, ids];
    for step in steps {
        match step(&conn, &mut damages) {
            Ok(()) => {}
            Err(error) if damages.is_empty() => return Err(failed(&error)),
            // What can be said about a file that is this broken has been said.
            Err(error) => damages.push(Damage::Structure {
                text: words(&error),
            }),
        }
    }
    damages.truncate(DAMAGES_MAX);
    Ok(damages)
}

fn structure(conn: &Connection, damages: &mut Vec<Damage>) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if text != "ok" {
            damages.push(Damage::Structure { text });
        }
    }
    Ok(())
}

fn rooms(conn: &Connection, damages: &mut Vec<Damage>) -> rusqlite::Result<()> {
    for (id, name, sound) in load::verify(conn)? {
        if !sound && damages.len() < DAMAGES_MAX {
            damages.push(Damage::Room {
                room: name_or_id(name, id),
            });
        }
    }
    Ok(())
}

fn messages(conn: &Connection, damages: &mut Vec<Damage>) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages ORDER BY room, offset"
    ))?;
    let mut rows = statement.query([])?;
    let mut before: Option<(i64, u64)> = None;
    while let Some(row) = rows.next()?
        && damages.len() < DAMAGES_MAX
    {
        let id = integer(row.get_ref(0)?).unwrap_or_default();
        let offset = read_offset(row)?;
        if let Some((room, last)) = before
            && room == id
            && offset > last.saturating_add(1)
        {
            damages.push(Damage::Hole {
                room: room_named(conn, id)?,
                first: last + 1,
                last: offset - 1,
            });
        }
        before = Some((id, offset));
        if let Err(Broken) = read_message(row)? {
            damages.push(Damage::Message {
                room: room_named(conn, id)?,
                offset,
            });
        }
    }
    Ok(())
}

fn state(conn: &Connection, damages: &mut Vec<Damage>) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!("SELECT {MESSAGE_COLUMNS} FROM state"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && damages.len() < DAMAGES_MAX
    {
        if let Err(Broken) = read_message(row)? {
            let id = integer(row.get_ref(0)?).unwrap_or_default();
            damages.push(Damage::Key {
                room: room_named(conn, id)?,
                key: text(row.get_ref(8)?).unwrap_or_default().to_owned(),
                offset: read_offset(row)?,
            });
        }
    }
    Ok(())
}

fn ids(conn: &Connection, damages: &mut Vec<Damage>) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!("SELECT {ID_COLUMNS} FROM ids"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && damages.len() < DAMAGES_MAX
    {
        if let Err(Broken) = read_id(row)? {
            let id = integer(row.get_ref(0)?).unwrap_or_default();
            damages.push(Damage::Id {
                room: room_named(conn, id)?,
                offset: read_offset(row)?,
            });
        }
    }
    Ok(())
}

fn room_named(conn: &Connection, id: i64) -> rusqlite::Result<String> {
    let mut statement = conn.prepare_cached("SELECT name FROM rooms WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let name = match rows.next()? {
        Some(row) => text(row.get_ref(0)?).and_then(|name| RoomName::parse(name).ok()),
        None => None,
    };
    Ok(name_or_id(name, id))
}

fn name_or_id(name: Option<RoomName>, id: i64) -> String {
    name.map_or_else(|| format!("#{id}"), |name| name.to_string())
}
