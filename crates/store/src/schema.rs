//! The file: how it is made, opened and brought up to date. `SCHEMA.md` describes what is in it.
//!
//! A version is one entry of [`MIGRATIONS`]; `user_version` says how many of them a file has had. Entries that have been released never
//! change. Each runs in a transaction with its number, so that a file is at one version or the next.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

use crate::error::words;
use crate::settings::OpenError;

/// `Taut` in ASCII: SQLite's `application_id` of our files.
pub(crate) const APPLICATION_ID: i32 = 0x5461_7574;

/// Bytes of a page. Larger than the default, because messages are: most fit into one page with their neighbours.
pub(crate) const PAGE_BYTES: u64 = 8_192;

/// How long a program that reads or mends the file may keep the writer waiting.
pub(crate) const BUSY_MS: u64 = 2_000;

/// How the file came to be what it is, oldest first.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

/// How a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Writes, and makes the file where it is not there.
    Make,
    /// Writes a file that must be there.
    Write,
    /// Reads only.
    Read,
}

/// Opens the file for writing and brings it up to date.
pub(crate) fn open(path: &Path, migrations: &[&str]) -> Result<Connection, OpenError> {
    let mut conn = connect(path, Use::Make).map_err(|error| open_error(path, &error))?;
    recognize(&conn, path, migrations.len())?;
    settle(&conn)
        .and_then(|()| migrate(&mut conn, migrations))
        .map_err(|error| open_error(path, &error))?;
    Ok(conn)
}

/// A connection with our settings, nothing asked of the file yet.
pub(crate) fn connect(path: &Path, what_for: Use) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match what_for {
            Use::Make => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
            Use::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Use::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch(match what_for {
        Use::Read => "PRAGMA cache_size = -2048; PRAGMA query_only = ON;",
        _ => "PRAGMA cache_size = -16384;",
    })?;
    Ok(conn)
}

/// Settings of a writer that hold for the connection, and those that hold for the file once it is made.
///
/// A checkpoint by itself comes after 32 MiB of log; the store makes them earlier, when nobody waits.
pub(crate) fn settle(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         PRAGMA auto_vacuum = INCREMENTAL;"
    ))?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some("this file system cannot hold a write-ahead log, choose a local one".to_owned()),
        ));
    }
    conn.execute_batch(
        "PRAGMA synchronous = NORMAL;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF;",
    )
}

/// Whether the file is ours, and not younger than we are. Changes nothing.
pub(crate) fn recognize(conn: &Connection, path: &Path, newest: usize) -> Result<(), OpenError> {
    let ask = |sql: &str| -> Result<i64, OpenError> {
        conn.query_row(sql, [], |row| row.get(0))
            .map_err(|error| open_error(path, &error))
    };
    let application_id = ask("PRAGMA application_id")?;
    let version = ask("PRAGMA user_version")?;
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    let fresh = application_id == 0 && version == 0 && tables == 0;
    if application_id != i64::from(APPLICATION_ID) && !fresh {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    let newest = u32::try_from(newest).unwrap_or(u32::MAX);
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    if version > newest {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            version,
            newest,
        });
    }
    Ok(())
}

fn migrate(conn: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(0);
    for (number, sql) in (1..).zip(migrations).skip(done) {
        let step = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(sql)?;
        step.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        ))?;
        step.commit()?;
    }
    Ok(())
}

/// Why the file cannot be opened.
pub(crate) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::NotWritable {
            path,
            text: words(error),
        },
        Some(ErrorCode::DiskFull) => OpenError::Full { path },
        Some(ErrorCode::NotADatabase) => OpenError::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            path,
            text: words(error),
        },
        _ => OpenError::Failed {
            path,
            text: words(error),
        },
    }
}
