//! The store itself: one connection that writes, what it knows by heart, and what becomes of both after an error.
//!
//! - After an error the rooms it touched are doubtful: they are read again before anything is judged by them, since a commit that was
//!   reported as failed may be there. Where the connection itself may be wrong, it is opened anew.
//! - The database is never made anew while the server runs: one that was moved away is an error until it is back.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::time::Duration;

use rusqlite::Connection;
use taut_hub::{Append, Expired, Kept, RoomName, Store, StoreError, StoreReader, Tail};

use crate::commit::{self, NewRooms};
use crate::directory::Directory;
use crate::error::{of_io, store_error, taints, words};
use crate::expire::{self, Bounds};
use crate::files::{Files, make_dir};
use crate::load;
use crate::lock::Lock;
use crate::opening;
use crate::reader::SqliteReader;
use crate::schema::{self, BUSY_MS, MIGRATIONS, PAGE_BYTES, Use, open_error};
use crate::settings::{OpenError, Settings};

/// A log longer than this is worked off at the next sync, when nobody waits for it.
const LOG_BYTES_LONG: u64 = 8 << 20;

/// A log shorter than this is not worth working off when the disk is full.
const LOG_BYTES_SPARED: u64 = 256 << 10;

/// The writer of `DIR/rooms.sqlite`. Dropping it closes the file cleanly.
#[derive(Debug)]
pub struct SqliteStore {
    settings: Settings,
    /// `None` after an error that may have left it wrong.
    conn: Option<Connection>,
    /// Whether each commit of the connection is synced at present.
    full: bool,
    directory: Directory,
    doubtful: HashSet<RoomName>,
    floor: u64,
    victims: VecDeque<usize>,
    /// A sync failed: what the system says about the log can no longer be believed, the database itself must be written.
    suspect: bool,
    files: Files,
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the store, making its directory and file where they are not there, and bringing an older file up to date.
    ///
    /// After a crash of the whole machine every room has a new epoch, because the last commits may not have reached the disk.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        Self::open_with(settings, MIGRATIONS)
    }

    pub(crate) fn open_with(settings: Settings, migrations: &[&str]) -> Result<Self, OpenError> {
        make_dir(&settings.dir)?;
        let lock = Lock::take(&settings.dir)?;
        let mut files = Files::make(&settings.dir)?;
        let conn = schema::open(&files.path, migrations)?;
        let started = limit_pages(&conn, settings.disk_bytes_max)
            .and_then(|()| opening::start(&conn, settings.epoch))
            .and_then(|()| load::all(&conn, settings.epoch));
        let directory = started.map_err(|error| open_error(&files.path, &error))?;
        files
            .hold_log()
            .map_err(|error| OpenError::of_io(&files.path, &error))?;
        Ok(Self {
            settings,
            conn: Some(conn),
            full: false,
            directory,
            doubtful: HashSet::new(),
            floor: 0,
            victims: VecDeque::new(),
            suspect: false,
            files,
            _lock: lock,
        })
    }

    /// How many rooms are kept, and how many bytes the database has, free pages included.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        let bytes = fs::metadata(&self.files.path).map_or(0, |metadata| metadata.len());
        (self.directory.len(), bytes)
    }

    /// Does the work on a connection that is sound and a directory that is true. Rooms that the work touches are doubtful once it failed.
    fn work<T>(
        &mut self,
        touched: impl FnOnce() -> Vec<RoomName>,
        work: impl FnOnce(&Connection, &mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.reconnect()?,
        };
        let result = self
            .settle_doubts(&conn)
            .and_then(|()| work(&conn, self).inspect_err(|_| self.doubtful.extend(touched())));
        match result {
            Ok(done) => {
                self.conn = Some(conn);
                Ok(done)
            }
            Err(error) => {
                // Whoever asked is told, and says it once; a full disk fails every commit.
                tracing::debug!(error = %words(&error), "the store failed");
                let usable = conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok();
                if taints(&error) || !usable {
                    self.suspect = true;
                    self.files.release_log();
                } else {
                    self.conn = Some(conn);
                }
                Err(store_error(&error))
            }
        }
    }

    fn settle_doubts(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        while let Some(name) = self.doubtful.iter().next().cloned() {
            match load::one(conn, &name, self.settings.epoch)? {
                Some(entry) => {
                    self.directory.put(entry);
                }
                None => self.directory.remove(&name),
            }
            self.doubtful.remove(&name);
        }
        Ok(())
    }

    fn reconnect(&mut self) -> Result<Connection, StoreError> {
        if !self.files.in_place() {
            return Err(StoreError::Failed {
                text: format!(
                    "{} was moved or replaced; put it back, or restart the server",
                    self.files.path.display()
                ),
            });
        }
        let conn = schema::connect(&self.files.path, Use::Write)
            .and_then(|conn| {
                schema::settle(&conn)?;
                limit_pages(&conn, self.settings.disk_bytes_max)?;
                conn.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
                Ok(conn)
            })
            .map_err(|error| store_error(&error))?;
        self.files.hold_log().map_err(|error| of_io(&error))?;
        self.full = false;
        Ok(conn)
    }

    fn commit_all(
        &mut self,
        appends: &[Append],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let sync = appends.iter().any(|append| append.sync);
        if sync && self.suspect {
            // Syncing a log whose older part may be missing would promise too much.
            self.sync_files()?;
        }
        let touched = || appends.iter().map(|append| append.room.clone()).collect();
        self.work(touched, |conn, store| {
            if store.full != sync {
                let level = if sync { "FULL" } else { "NORMAL" };
                conn.execute_batch(&format!("PRAGMA synchronous = {level}"))?;
                store.full = sync;
            }
            let new_rooms = NewRooms {
                rooms_max: usize::try_from(store.settings.rooms_max).unwrap_or(usize::MAX),
                floor: store.floor,
            };
            transaction(conn, || {
                commit::write(conn, &mut store.directory, appends, new_rooms)
            })
        })
    }

    fn expire_some(&mut self, now_unix_ms: u64) -> Result<Expired, StoreError> {
        let bounds = Bounds {
            now_ms: now_unix_ms,
            id_window_ms: self.settings.id_window_ms,
            pages_max: self.settings.disk_bytes_max / PAGE_BYTES / 8 * 7,
            rooms_max: usize::try_from(self.settings.rooms_max / 8 * 7).unwrap_or(usize::MAX),
        };
        let mut touched = Vec::new();
        let result = self.work(Vec::new, |conn, store| {
            let mut step = expire::Step {
                directory: &mut store.directory,
                victims: &mut store.victims,
                floor: store.floor,
                touched: &mut touched,
            };
            let expired = transaction(conn, || step.run(conn, bounds))?;
            store.floor = step.floor;
            Ok(expired)
        });
        let mut expired = result.inspect_err(|_| self.doubtful.extend(touched))?;
        // What has been forgotten is said, also where the file could not be made smaller.
        let more = self.work(Vec::new, |conn, _| expire::shrink(conn));
        expired.more |= more.unwrap_or(false);
        Ok(expired)
    }

    /// Does the work, and once more when the disk was full and working the log off has made room.
    fn making_room<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = work(self);
        let full = matches!(result, Err(StoreError::Full));
        if full
            && self.files.log_bytes() > LOG_BYTES_SPARED
            && self.checkpoint("TRUNCATE") == Ok(false)
        {
            return work(self);
        }
        result
    }

    /// Everything committed to the disk.
    ///
    /// A system whose sync failed says nothing of it at the next one, which succeeds although pages are lost. So then the database
    /// itself is written from what SQLite still sees, and the log is emptied.
    fn sync_files(&mut self) -> Result<(), StoreError> {
        if self.conn.is_none() || self.suspect {
            let busy = self.checkpoint("TRUNCATE")?;
            if busy {
                return Err(StoreError::Failed {
                    text: "another program reads the file, so the log cannot be renewed".to_owned(),
                });
            }
        }
        match self.files.sync() {
            Ok(()) => {
                self.suspect = false;
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "the store could not be synced");
                self.suspect = true;
                Err(of_io(&error))
            }
        }
    }

    /// Works the log off; whether somebody was in the way.
    fn checkpoint(&mut self, mode: &str) -> Result<bool, StoreError> {
        self.work(Vec::new, |conn, _| {
            conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                row.get(0)
            })
        })
    }
}

impl Store for SqliteStore {
    fn open(&mut self, room: &RoomName, tail: Tail) -> Result<Option<Kept>, StoreError> {
        self.work(Vec::new, |conn, store| {
            opening::open(conn, &mut store.directory, room, tail)
                .map(|kept| kept.or_else(|| opening::behind(store.settings.epoch, store.floor)))
        })
    }

    fn commit(&mut self, appends: &[Append]) -> Vec<Result<(), StoreError>> {
        if appends.is_empty() {
            return Vec::new();
        }
        match self.making_room(|store| store.commit_all(appends)) {
            Ok(results) => results,
            Err(error) => vec![Err(error); appends.len()],
        }
    }

    fn expire(&mut self, now_unix_ms: u64) -> Result<Expired, StoreError> {
        self.making_room(|store| store.expire_some(now_unix_ms))
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.sync_files()?;
        if self.files.log_bytes() > LOG_BYTES_LONG {
            self.work(Vec::new, |conn, _| work_off(conn))?;
        }
        Ok(())
    }

    /// A small write, and everything of the log into the database itself: after a failed sync the log's own word is not enough.
    fn probe(&mut self) -> Result<(), StoreError> {
        self.work(Vec::new, |conn, _| {
            transaction(conn, || opening::note_probe(conn))
        })?;
        self.suspect = true;
        self.sync()
    }

    fn reader(&self) -> Result<Box<dyn StoreReader>, StoreError> {
        SqliteReader::open(&self.files)
            .map(|reader| Box::new(reader) as Box<dyn StoreReader>)
            .map_err(|error| store_error(&error))
    }
}

impl Drop for SqliteStore {
    /// Everything to the disk first, then the note that it is there.
    fn drop(&mut self) {
        let closed = self.sync_files().and_then(|()| {
            self.work(Vec::new, |conn, _| opening::finish(conn))?;
            self.checkpoint("TRUNCATE")
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the store was not closed cleanly");
        }
        self.conn = None;
    }
}

/// Runs the work and commits it, or leaves the file as it was.
pub(crate) fn transaction<T>(
    conn: &Connection,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let result = work().and_then(|done| {
        conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(done)
    });
    if result.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    result
}

/// Works off what of the log no reader needs; empties it when there is none, else the next time.
fn work_off(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::ZERO)?;
    let done = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    done
}

fn limit_pages(conn: &Connection, disk_bytes_max: u64) -> rusqlite::Result<()> {
    let pages = (disk_bytes_max / PAGE_BYTES).clamp(16, u64::from(u32::MAX - 1));
    conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

#[cfg(test)]
mod tests;
