//! Both stores keep what every store must.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;

use taut_hub::Store;
use taut_store::memory::MemoryStore;
use taut_store::suite::{self, Reopen};

#[test]
fn the_sqlite_store_keeps_what_every_store_must() {
    suite::run(|| Box::new(place::Place::new()));
}

struct Memory(MemoryStore);

impl Reopen for Memory {
    fn store(&mut self) -> &mut dyn Store {
        &mut self.0
    }

    fn reopen(&mut self) {
        self.0 = self.0.restart();
    }
}

#[test]
fn the_memory_store_keeps_what_every_store_must() {
    suite::run(|| Box::new(Memory(MemoryStore::new())));
}
