//! Retention: forgetting in steps so small that a publisher who comes meanwhile does not notice.
//!
//! - A step deletes at most [`ROWS_MAX`] rows and looks at no more rooms than that.
//! - A room's own history first; then, where the file nears its bound, the oldest messages of the rooms that have been silent longest.
//! - State is never forgotten here; ids only when their window is over.
//! - A room with nothing left is forgotten itself only when there are nearly too many rooms. Others then begin behind `floor`, the largest
//!   offset that any such room had, so that this run's epoch never numbers two messages of one room alike.

use std::collections::VecDeque;

use rusqlite::{Connection, params};
use taut_hub::{Expired, RoomName};

use crate::directory::Directory;
use crate::load;
use crate::row::{signed, unsigned};

/// Rows that one step deletes at most.
pub(crate) const ROWS_MAX: u64 = 500;

/// Free pages that may stay in the file beside an eighth of it: they will be needed again.
const FREE_PAGES: u64 = 64;

/// Free pages that one step gives back to the disk.
const SHRINK_PAGES: u64 = 128;

/// What retention goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) now_ms: u64,
    pub(crate) id_window_ms: u64,
    /// Pages in use from which rooms lose messages that their own history would keep.
    pub(crate) pages_max: u64,
    /// Rooms from which empty ones are forgotten.
    pub(crate) rooms_max: usize,
}

/// One step, inside a transaction. Where it fails, the rooms in `touched` are no longer what the file says.
pub(crate) struct Step<'a> {
    pub(crate) directory: &'a mut Directory,
    /// Rooms that were silent for longest when last looked at.
    pub(crate) victims: &'a mut VecDeque<usize>,
    pub(crate) floor: u64,
    pub(crate) touched: &'a mut Vec<RoomName>,
}

impl Step<'_> {
    pub(crate) fn run(&mut self, conn: &Connection, bounds: Bounds) -> rusqlite::Result<Expired> {
        let mut expired = Expired::default();
        let mut left = ROWS_MAX;
        left = left.saturating_sub(forget_ids(conn, bounds, left)?);
        while left > 0
            && let Some(slot) = self.directory.overdue(bounds.now_ms)
        {
            let rows = self.forget(conn, slot, left, Some(bounds.now_ms), &mut expired)?;
            left = left.saturating_sub(rows.max(1));
        }
        while left > 0
            && pages_used(conn)? > bounds.pages_max
            && let Some(slot) = self.victim()
        {
            let rows = self.forget(conn, slot, left, None, &mut expired)?;
            left = left.saturating_sub(rows.max(1));
        }
        if self.directory.len() > bounds.rooms_max {
            left = left.saturating_sub(self.forget_rooms(conn, left)?);
        }
        expired.more = left == 0;
        Ok(expired)
    }

    /// Forgets the oldest messages of a room: those that its history no longer keeps at a time, or any. How many.
    fn forget(
        &mut self,
        conn: &Connection,
        slot: usize,
        rows_max: u64,
        now_ms: Option<u64>,
        expired: &mut Expired,
    ) -> rusqlite::Result<u64> {
        let Some(entry) = self.directory.entry(slot) else {
            return Ok(0);
        };
        self.touched.push(entry.name.clone());
        let mut select = conn.prepare_cached(
            "SELECT offset, time_ms, end_bytes FROM messages WHERE room = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
        )?;
        let mut rows = select.query((entry.id, signed(entry.first), signed(rows_max + 1)))?;
        let (mut last, mut start_bytes, mut count) = (None, entry.start_bytes, 0);
        let mut kept = None;
        while let Some(row) = rows.next()? {
            let [offset, time_ms, end_bytes] =
                [row.get(0)?, row.get(1)?, row.get(2)?].map(unsigned);
            let goes =
                now_ms.is_none_or(|now_ms| entry.forgets(offset, time_ms, start_bytes, now_ms));
            if count == rows_max || !goes {
                kept = Some((offset, time_ms));
                break;
            }
            last = Some(offset);
            start_bytes = end_bytes;
            count += 1;
        }
        drop(rows);
        if let Some(last) = last {
            conn.prepare_cached(
                "DELETE FROM messages WHERE room = ?1 AND offset BETWEEN ?2 AND ?3",
            )?
            .execute(params![entry.id, signed(entry.first), signed(last)])?;
        }
        let name = entry.name.clone();
        self.directory.change(slot, |entry| {
            let (first, first_ms) = kept.unwrap_or((entry.head + 1, 0));
            entry.first = first;
            entry.first_ms = first_ms;
            entry.start_bytes = match kept {
                Some(_) => start_bytes,
                None => entry.end_bytes,
            };
        });
        if let Some(entry) = self.directory.entry(slot) {
            load::write(conn, &load::row_of(entry))?;
            match expired.rooms.iter_mut().find(|(room, _)| *room == name) {
                Some((_, first)) => *first = entry.first,
                None => expired.rooms.push((name, entry.first)),
            }
        }
        Ok(count)
    }

    /// The room that has been silent for longest, of those that have messages.
    fn victim(&mut self) -> Option<usize> {
        const AT_ONCE: usize = 256;
        while let Some(slot) = self.victims.front().copied() {
            if self
                .directory
                .entry(slot)
                .is_some_and(|entry| entry.count() > 0)
            {
                return Some(slot);
            }
            self.victims.pop_front();
        }
        let mut rooms: Vec<(u64, usize)> = self
            .directory
            .entries()
            .filter(|(_, entry)| entry.count() > 0)
            .map(|(slot, entry)| (entry.head_ms, slot))
            .collect();
        if rooms.len() > AT_ONCE {
            rooms.select_nth_unstable(AT_ONCE);
            rooms.truncate(AT_ONCE);
        }
        rooms.sort_unstable();
        self.victims.extend(rooms.into_iter().map(|(_, slot)| slot));
        self.victims.front().copied()
    }

    /// Forgets rooms that have nothing left. How many.
    fn forget_rooms(&mut self, conn: &Connection, rooms_max: u64) -> rusqlite::Result<u64> {
        let limit = usize::try_from(rooms_max).unwrap_or(usize::MAX);
        let empty: Vec<(i64, u64, RoomName)> = self
            .directory
            .entries()
            .filter(|(_, entry)| entry.count() == 0)
            .map(|(_, entry)| (entry.id, entry.head, entry.name.clone()))
            .take(limit)
            .collect();
        let mut count = 0;
        for (id, head, name) in empty {
            self.touched.push(name.clone());
            let gone = conn
                .prepare_cached(
                    "DELETE FROM rooms WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM ids WHERE room = ?1)
                     AND NOT EXISTS (SELECT 1 FROM state WHERE room = ?1)",
                )?
                .execute([id])?;
            if gone > 0 {
                self.directory.remove(&name);
                self.floor = self.floor.max(head);
                count += 1;
            }
        }
        Ok(count)
    }
}

fn forget_ids(conn: &Connection, bounds: Bounds, rows_max: u64) -> rusqlite::Result<u64> {
    let until_ms = bounds.now_ms.saturating_sub(bounds.id_window_ms);
    let gone = conn
        .prepare_cached(
            "DELETE FROM ids WHERE (room, offset) IN
             (SELECT room, offset FROM ids INDEXED BY ids_by_time WHERE time_ms <= ?1 ORDER BY time_ms LIMIT ?2)",
        )?
        .execute((signed(until_ms), signed(rows_max)))?;
    Ok(gone as u64)
}

fn pages_used(conn: &Connection) -> rusqlite::Result<u64> {
    Ok(pragma(conn, "PRAGMA page_count")?.saturating_sub(pragma(conn, "PRAGMA freelist_count")?))
}

fn pragma(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    conn.prepare_cached(sql)?
        .query_row([], |row| row.get(0).map(unsigned))
}

/// Gives free pages back to the disk, a few at a time; whether there are more.
pub(crate) fn shrink(conn: &Connection) -> rusqlite::Result<bool> {
    let free = pragma(conn, "PRAGMA freelist_count")?;
    let kept = FREE_PAGES + pragma(conn, "PRAGMA page_count")? / 8;
    if free <= kept {
        return Ok(false);
    }
    let mut vacuum = conn.prepare_cached(&format!("PRAGMA incremental_vacuum({SHRINK_PAGES})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(free - kept > SHRINK_PAGES)
}
