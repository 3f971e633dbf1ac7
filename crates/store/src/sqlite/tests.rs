//! What only the inside can be made to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use taut_hub::{Append, Body, Door, Effect, Epoch, History, Message, Sender, Tail};
use tempfile::TempDir;

use super::*;
use crate::schema::APPLICATION_ID;

fn store() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(Settings::new(dir.path(), Epoch(3))).unwrap();
    (dir, store)
}

fn append(after: u64, sync: bool) -> Append {
    let message = Message {
        offset: after + 1,
        time_ms: 5,
        event: None,
        key: None,
        id: None,
        from: "ann".into(),
        door: Door("a door of tomorrow"),
        body: Body::Text("hello".into()),
        effect: Effect::None,
        lane: taut_hub::Lane::Reliable,
        origin: None,
        is_members: false,
        born_ms: 5,
        end_bytes: 200 * (after + 1),
    };
    Append {
        room: RoomName::lobby(),
        epoch: Epoch(3),
        after,
        messages: vec![message.into()],
        id: None,
        sync,
        history: History {
            messages_max: 100,
            age_ms_max: u64::MAX,
            bytes_max: u64::MAX,
        },
    }
}

fn head(store: &mut SqliteStore) -> u64 {
    let tail = Tail {
        messages_max: 100,
        bytes_max: 100_000,
        ids_max: 0,
        ids_since_ms: 0,
    };
    let kept = store.open(&RoomName::lobby(), tail).unwrap();
    kept.map_or(0, |kept| {
        assert_eq!(kept.tail.len() as u64, kept.head);
        kept.head
    })
}

#[test]
fn a_read_only_disk_refuses_and_recovers() {
    let (_dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    let conn = store.conn.as_ref().unwrap();
    conn.execute_batch("PRAGMA query_only = ON").unwrap();
    assert_eq!(
        store.commit(&[append(1, false)]),
        [Err(StoreError::ReadOnly)]
    );
    store.probe().unwrap();
    let conn = store.conn.as_ref().unwrap();
    conn.execute_batch("PRAGMA query_only = ON").unwrap();
    assert_eq!(store.probe(), Err(StoreError::ReadOnly));
    // The connection was given up; a new one finds the disk well.
    assert!(store.conn.is_none());
    assert_eq!(head(&mut store), 1);
    assert_eq!(store.commit(&[append(1, true)]), [Ok(())]);
    store.sync().unwrap();
    assert_eq!(head(&mut store), 2);
}

#[test]
fn a_program_that_holds_the_file_locked_is_waited_for_and_named() {
    let (_dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    let conn = store.conn.as_ref().unwrap();
    conn.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(&store.files.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let results = store.commit(&[append(1, false)]);
    assert!(
        matches!(results[..], [Err(StoreError::Failed { .. })]),
        "{results:?}"
    );
    assert!(store.expire(1).is_err());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.commit(&[append(1, false)]), [Ok(())]);
    assert_eq!(head(&mut store), 2);
}

#[test]
fn a_commit_that_was_denied_and_is_there_counts() {
    let (_dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    // As after a commit that was reported as failed: the directory does not know of it, the file does.
    let slot = store.directory.find(&RoomName::lobby()).unwrap();
    store.directory.change(slot, |entry| {
        entry.head = 0;
        entry.end_bytes = 0;
    });
    store.doubtful.insert(RoomName::lobby());
    let refused = Err(StoreError::OutOfOrder { head: 1 });
    assert_eq!(store.commit(&[append(0, false)]), [refused]);
    assert_eq!(store.commit(&[append(1, false)]), [Ok(())]);
    assert_eq!(head(&mut store), 2);
}

#[test]
fn after_a_failed_sync_the_database_itself_is_written() {
    for by_commit in [false, true] {
        let (dir, mut store) = store();
        assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
        let log_bytes = || {
            let log = fs::metadata(dir.path().join("rooms.sqlite-wal"));
            log.unwrap().len()
        };
        assert!(log_bytes() > 0);
        store.suspect = true;
        if by_commit {
            assert_eq!(store.commit(&[append(1, true)]), [Ok(())]);
        } else {
            store.sync().unwrap();
            assert_eq!(log_bytes(), 0);
        }
        assert!(!store.suspect);
        assert_eq!(head(&mut store), 1 + u64::from(by_commit));
    }
}

#[test]
fn a_store_without_a_disk_is_not_ready_until_it_is_back() {
    let (dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    store.conn = None;
    let path = dir.path().join("rooms.sqlite");
    let aside = dir.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "").unwrap();
    assert!(store.sync().is_err());
    assert!(store.commit(&[append(1, false)])[0].is_err());
    fs::rename(&aside, &path).unwrap();
    store.sync().unwrap();
    assert_eq!(store.commit(&[append(1, false)]), [Ok(())]);
    assert_eq!(head(&mut store), 2);
}

#[test]
fn an_older_file_is_brought_up_to_date_and_keeps_its_content() {
    let (dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    drop(store);
    let settings = Settings::new(dir.path(), Epoch(4));
    let with = |last: &'static str| {
        let mut migrations = MIGRATIONS.to_vec();
        migrations.extend(["ALTER TABLE rooms ADD COLUMN note TEXT", last]);
        migrations
    };
    let newer = with("UPDATE rooms SET note = 'seen'");
    let newest = u32::try_from(MIGRATIONS.len()).unwrap();
    // A migration that fails leaves the file at the version before it.
    let broken = with("UPDATE no_such_table SET x = 1");
    assert!(SqliteStore::open_with(settings.clone(), &broken).is_err());
    let version = |store: &SqliteStore| -> (i64, String) {
        let conn = store.conn.as_ref().unwrap();
        let ask = "SELECT user_version, (SELECT note FROM rooms) FROM pragma_user_version";
        conn.query_row(ask, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
    };
    for _ in 0..2 {
        let mut store = SqliteStore::open_with(settings.clone(), &newer).unwrap();
        assert_eq!(version(&store), (i64::from(newest) + 2, "seen".to_owned()));
        assert_eq!(head(&mut store), 1);
    }
    let error = SqliteStore::open(settings).unwrap_err();
    match error {
        OpenError::Newer {
            version,
            newest: known,
            ..
        } => assert_eq!((version, known), (newest + 2, newest)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_of_the_first_version_opens_with_all_it_holds() {
    let (new, mut store) = store();
    for after in 0..3 {
        assert_eq!(store.commit(&[append(after, true)]), [Ok(())]);
    }
    drop(store);
    let dir = tempfile::tempdir().unwrap();
    let old = Connection::open(dir.path().join("rooms.sqlite")).unwrap();
    old.execute_batch(MIGRATIONS[0]).unwrap();
    old.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; ATTACH '{}' AS new;",
        new.path().join("rooms.sqlite").display()
    ))
    .unwrap();
    for table in ["meta", "rooms", "messages", "state", "ids"] {
        let copied = old.execute(
            &format!("INSERT INTO {table} SELECT * FROM new.{table}"),
            [],
        );
        assert!(copied.unwrap() > 0 || table != "messages");
    }
    drop(old);
    let mut store = SqliteStore::open(Settings::new(dir.path(), Epoch(4))).unwrap();
    assert_eq!(head(&mut store), 3);
    let args = Append {
        messages: vec![std::sync::Arc::new(Message {
            body: Body::Args(b"[1]\0\x01\0\0\0\0\0\0\0A"[..].into()),
            ..Message::clone(&append(3, false).messages[0])
        })],
        ..append(3, false)
    };
    assert_eq!(store.commit(&[args]), [Ok(())]);
    let shown: (String, String) = Connection::open(&store.files.path)
        .unwrap()
        .query_row(
            "SELECT kind, body FROM history ORDER BY offset DESC",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(shown, ("args".to_owned(), "[1]".to_owned()));
    drop(store);
    assert_eq!(crate::check(dir.path()).unwrap(), []);
}

#[test]
fn a_verified_sender_is_kept_and_the_views_show_name_and_user_apart() {
    let (dir, mut store) = store();
    let ana = Sender::named("ana");
    let senders = [
        ana.clone(),
        ana.verified(Some("u1")),
        Sender::named("\u{1f}ana\u{1f}root").verified(Some("u\u{1f}2")),
    ];
    for (after, sender) in (0..).zip(&senders) {
        let one = append(after, true);
        let message = Message {
            key: Some("k".into()),
            effect: Effect::Set { expires_ms: None },
            from: sender.clone(),
            ..Message::clone(&one.messages[0])
        };
        let messages = vec![message.into()];
        assert_eq!(store.commit(&[Append { messages, ..one }]), [Ok(())]);
    }
    drop(store);
    let store = SqliteStore::open(Settings::new(dir.path(), Epoch(4))).unwrap();
    let mut reader = store.reader().unwrap();
    let read = reader.read(&RoomName::lobby(), 0, 10, 10_000).unwrap();
    let kept: Vec<_> = read.messages.iter().map(|one| one.from.clone()).collect();
    assert_eq!(kept, senders);
    let file = Connection::open(&store.files.path).unwrap();
    let shown = |ask: &str| -> Vec<(String, Option<String>)> {
        let mut ask = file.prepare(ask).unwrap();
        let rows = ask.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let apart: Vec<_> = senders
        .iter()
        .map(|one| (one.name().to_owned(), one.user().map(str::to_owned)))
        .collect();
    let history = shown("SELECT sender, user FROM history ORDER BY offset");
    assert_eq!(history, apart);
    assert_eq!(shown("SELECT sender, user FROM keys"), apart[2..]);
}

#[test]
fn a_door_of_another_version_is_no_damage() {
    let (dir, mut store) = store();
    assert_eq!(store.commit(&[append(0, false)]), [Ok(())]);
    let mut reader = store.reader().unwrap();
    let read = reader.read(&RoomName::lobby(), 0, 10, 1_000).unwrap();
    assert_eq!(read.messages[0].door, Door("unknown"));
    assert_eq!(crate::check(dir.path()).unwrap(), []);
}

#[test]
fn a_long_log_is_worked_off_by_a_sync_and_a_reader_is_no_hindrance() {
    let (dir, mut store) = store();
    let log_bytes = || {
        let log = fs::metadata(dir.path().join("rooms.sqlite-wal"));
        log.unwrap().len()
    };
    let mut after = 0;
    while log_bytes() <= LOG_BYTES_LONG {
        assert_eq!(store.commit(&[append(after, false)]), [Ok(())]);
        after += 1;
    }
    let reader = Connection::open(&store.files.path).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM messages")
        .unwrap();
    store.sync().unwrap();
    assert!(log_bytes() > 0);
    reader.execute_batch("COMMIT").unwrap();
    store.sync().unwrap();
    assert_eq!(log_bytes(), 0);
    assert_eq!(store.commit(&[append(after, false)]), [Ok(())]);
}
