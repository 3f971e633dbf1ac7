//! A store in a directory that goes with the test.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::Path;

use taut_hub::{Epoch, Store};
use taut_store::suite::Reopen;
use taut_store::{Settings, SqliteStore};
use tempfile::TempDir;

pub struct Place {
    pub dir: TempDir,
    pub store: Option<SqliteStore>,
    pub runs: u32,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(Settings::new(dir.path(), Epoch(1_000))).unwrap();
        Self {
            dir,
            store: Some(store),
            runs: 0,
        }
    }

    /// Goes on with what a killed server would have left.
    pub fn kill(&mut self) {
        let left = killed(self.dir.path());
        self.store = None;
        self.dir = left;
        self.reopen();
    }
}

impl Reopen for Place {
    fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        self.runs += 1;
        let settings = Settings::new(self.dir.path(), Epoch(1_000 + self.runs));
        self.store = Some(SqliteStore::open(settings).unwrap());
    }
}

/// The files as a killed server leaves them.
pub fn killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["rooms.sqlite", "rooms.sqlite-wal"] {
        if dir.join(name).exists() {
            fs::copy(dir.join(name), copy.path().join(name)).unwrap();
        }
    }
    copy
}
