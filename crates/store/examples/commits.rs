//! The floor under durable publishes: what SQLite alone commits, and what the store does, in the same run.
//!
//! `cargo run --release -p taut-store --example commits -- [DIR [SECONDS]]` prints one JSON object a line:
//! `{"what":"sqlite","sync":true,"batch":10,"commits_per_s":…,"messages_per_s":…}`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use taut_hub::{Append, Body, Door, Effect, Epoch, Message, RoomName, RoomPolicy, Store};
use taut_store::{Settings, SqliteStore};

const BODY: [u8; 100] = [b'x'; 100];
const BATCHES: [u64; 4] = [1, 10, 100, 1_000];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(Ok(1.0), |text| text.parse())?;
    let dir = dir.join(format!("taut-commits-{}", std::process::id()));
    let result = measure(&dir, Duration::from_secs_f64(seconds));
    std::fs::remove_dir_all(&dir)?;
    result
}

fn measure(dir: &Path, time: Duration) -> Result<(), Box<dyn Error>> {
    for sync in [false, true] {
        for batch in BATCHES {
            let dir = dir.join(format!("{sync}-{batch}"));
            std::fs::create_dir_all(&dir)?;
            sqlite(&dir.join("plain.sqlite"), sync, batch, time)?;
            store(&dir, sync, batch, time)?;
        }
    }
    Ok(())
}

/// One table, one prepared insert, nothing else.
fn sqlite(path: &Path, sync: bool, batch: u64, time: Duration) -> Result<(), Box<dyn Error>> {
    let conn = Connection::open(path)?;
    let level = if sync { "FULL" } else { "NORMAL" };
    conn.execute_batch(&format!(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = {level}; PRAGMA wal_autocheckpoint = 4096;
         CREATE TABLE messages (offset INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    ))?;
    let mut insert = conn.prepare("INSERT INTO messages VALUES (?1, ?2)")?;
    let mut offset = 0_i64;
    let mut begin = conn.prepare("BEGIN IMMEDIATE")?;
    let mut commit = conn.prepare("COMMIT")?;
    report("sqlite", sync, batch, time, || {
        begin.execute([])?;
        for _ in 0..batch {
            offset += 1;
            insert.execute((offset, &BODY[..]))?;
        }
        commit.execute([])?;
        Ok(())
    })
}

/// Each message is an append of its own, to one of ten rooms.
fn store(dir: &Path, sync: bool, batch: u64, time: Duration) -> Result<(), Box<dyn Error>> {
    let mut store = SqliteStore::open(Settings::new(dir, Epoch(1)))?;
    let rooms = (0..10)
        .map(|number| RoomName::parse(&format!("room/{number}")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut heads = [0_u64; 10];
    let from: Arc<str> = Arc::from("publisher");
    report("store", sync, batch, time, || {
        let appends: Vec<Append> = (0..batch)
            .zip(rooms.iter().zip(0..).cycle())
            .map(|(_, (room, slot))| append(room, &mut heads[slot], &from, sync))
            .collect();
        for result in store.commit(&appends) {
            result?;
        }
        Ok(())
    })
}

fn append(room: &RoomName, head: &mut u64, from: &Arc<str>, sync: bool) -> Append {
    let after = *head;
    *head += 1;
    let message = Message {
        offset: *head,
        time_ms: *head,
        event: None,
        key: None,
        id: None,
        from: Arc::clone(from).into(),
        door: Door::named("websocket"),
        body: Body::Text(BODY[..].into()),
        effect: Effect::None,
        lane: taut_hub::Lane::Reliable,
        origin: None,
        is_members: false,
        born_ms: *head,
        end_bytes: *head * 301,
    };
    Append {
        room: room.clone(),
        epoch: Epoch(1),
        after,
        messages: vec![Arc::new(message)],
        id: None,
        sync,
        history: RoomPolicy::default().history,
    }
}

fn report(
    what: &str,
    sync: bool,
    batch: u64,
    time: Duration,
    mut commit: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let mut commits = 0_u32;
    while begun.elapsed() < time {
        commit()?;
        commits += 1;
    }
    let per_s = f64::from(commits) / begun.elapsed().as_secs_f64();
    let messages_per_s = per_s * f64::from(u32::try_from(batch)?);
    println!(
        r#"{{"what":"{what}","sync":{sync},"batch":{batch},"commits_per_s":{per_s:.0},"messages_per_s":{messages_per_s:.0}}}"#
    );
    Ok(())
}
