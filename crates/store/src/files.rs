//! The files themselves, held open beside SQLite so that what it wrote can be brought to the disk without it.
//!
//! The handle of the database lives as long as any connection of ours: closing it would drop the locks that SQLite holds on the same
//! file for this process, and a `sqlite3` that is closed would then take itself for the last one and delete the log under us.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::settings::OpenError;

/// The database's file in its directory.
pub(crate) const FILE_NAME: &str = "rooms.sqlite";

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) path: PathBuf,
    database: Arc<File>,
    log: Option<File>,
}

/// Makes the directory, only for us to look into, where it is not there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| OpenError::of_io(dir, &error))
}

impl Files {
    /// Makes the database, empty, where it is not there.
    pub(crate) fn make(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(FILE_NAME);
        let database = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| OpenError::of_io(&path, &error))?;
        Ok(Self {
            path,
            database: Arc::new(database),
            log: None,
        })
    }

    /// Keeps the database's file open for as long as what is given back lives.
    pub(crate) fn hold(&self) -> Arc<File> {
        Arc::clone(&self.database)
    }

    /// Takes hold of the log that SQLite has made.
    pub(crate) fn hold_log(&mut self) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        self.log = Some(OpenOptions::new().read(true).write(true).open(name)?);
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }

    pub(crate) fn release_log(&mut self) {
        self.log = None;
    }

    /// Whether the file at our path is still the one that was opened.
    pub(crate) fn in_place(&self) -> bool {
        match (fs::metadata(&self.path), self.database.metadata()) {
            (Ok(there), Ok(ours)) => there.ino() == ours.ino() && there.dev() == ours.dev(),
            _ => false,
        }
    }

    /// How long the log is.
    pub(crate) fn log_bytes(&self) -> u64 {
        let metadata = self.log.as_ref().map(File::metadata);
        metadata
            .and_then(Result::ok)
            .map_or(0, |metadata| metadata.len())
    }

    /// Brings what was written to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if let Some(log) = &self.log {
            log.sync_data()?;
        }
        self.database.sync_data()
    }
}
