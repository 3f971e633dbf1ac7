//! Which rooms there are, by their names, without opening one.

use rusqlite::Connection;
use taut_hub::{Pattern, Position, RoomFacts, RoomList, RoomName};

use crate::directory::RoomRow;
use crate::load::{self, Read};

/// Rows that one list looks at, however few of them are wanted: others wait for the same reader.
const LOOKS_MAX: u32 = 4_096;

/// See [`taut_hub::StoreReader::rooms`]. A room whose row is damaged is left out: nothing in it can be told.
pub(crate) fn rooms(
    conn: &Connection,
    after: Option<&RoomName>,
    pattern: &Pattern,
    rooms_max: u32,
) -> rusqlite::Result<RoomList> {
    let mut list = RoomList::default();
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {} FROM rooms WHERE name > ?1 ORDER BY name LIMIT ?2",
        load::ROOM_COLUMNS
    ))?;
    let after = after.map_or("", RoomName::as_str);
    let mut rows = statement.query((after, LOOKS_MAX))?;
    let (mut looks, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        looks += 1;
        last = match load::read(row)? {
            Read::Sound(row) => {
                let name = row.name.clone();
                if pattern.matches(name.as_str()) {
                    list.rooms.push(facts(conn, row)?);
                }
                Some(name)
            }
            Read::Damaged(_, name) => Some(name),
            Read::Lost(_) => last,
        };
        if looks == LOOKS_MAX || list.rooms.len() as u64 >= u64::from(rooms_max) {
            list.next = last;
            break;
        }
    }
    Ok(list)
}

fn facts(conn: &Connection, row: RoomRow) -> rusqlite::Result<RoomFacts> {
    let first = load::end_of(conn, row.id, "ASC")?;
    let last = load::end_of(conn, row.id, "DESC")?;
    let (mut head, mut messages, mut bytes) = (row.forgotten, 0, 0);
    if let (Some((first, ..)), Some((last, _, end_bytes))) = (first, last)
        && last > head
    {
        head = last;
        messages = last.saturating_sub(first) + 1;
        bytes = end_bytes.saturating_sub(row.forgotten_bytes);
    }
    Ok(RoomFacts {
        name: row.name,
        users: 0,
        conns: 0,
        at: Position {
            epoch: row.epoch,
            offset: head,
        },
        messages,
        bytes,
        durable: true,
        in_memory: false,
    })
}
