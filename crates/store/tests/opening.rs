//! What cannot be opened is told apart, and left as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use taut_hub::{Epoch, Store};
use taut_store::suite::{append, room, tail};
use taut_store::{OpenError, Settings, SqliteStore};

fn settings(dir: &std::path::Path) -> Settings {
    Settings::new(dir, Epoch(9))
}

#[test]
fn directory_and_file_are_made_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b");
    let mut store = SqliteStore::open(settings(&deep)).unwrap();
    assert_eq!(store.commit(&[append(&room("a"), 0, 1)]), [Ok(())]);
    let mode = |path: &str| {
        let metadata = fs::metadata(deep.join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("."), 0o700);
    for file in ["rooms.sqlite", "rooms.sqlite-wal", "lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[test]
fn a_second_server_is_refused_and_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(settings(dir.path())).unwrap();
    match SqliteStore::open(settings(dir.path())) {
        Err(OpenError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    drop(store);
    SqliteStore::open(settings(dir.path())).unwrap();
}

#[test]
fn somebody_elses_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rooms.sqlite");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    drop(conn);
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(settings(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let text = "this is not a database at all, ".repeat(100);
    fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(settings(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_newer_file_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(settings(dir.path())).unwrap());
    let conn = Connection::open(dir.path().join("rooms.sqlite")).unwrap();
    conn.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(conn);
    match SqliteStore::open(settings(dir.path())) {
        Err(OpenError::Newer { version, .. }) => assert_eq!(version, 99),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_empty_file_is_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rooms.sqlite"), "").unwrap();
    let mut store = SqliteStore::open(settings(dir.path())).unwrap();
    assert_eq!(store.commit(&[append(&room("a"), 0, 1)]), [Ok(())]);
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SqliteStore::open(settings(&file.join("below"))).unwrap_err();
    assert!(error.to_string().contains("below"), "{error}");

    drop(SqliteStore::open(settings(dir.path())).unwrap());
    let path = dir.path().join("rooms.sqlite");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        return; // Whoever runs the test may write everything.
    }
    let error = SqliteStore::open(settings(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
}

#[test]
fn the_file_can_be_read_with_the_views() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(settings(dir.path())).unwrap();
    assert_eq!(store.commit(&[append(&room("a"), 0, 2)]), [Ok(())]);
    let conn = Connection::open(dir.path().join("rooms.sqlite")).unwrap();
    let row: (String, i64, String, String, String) = conn
        .query_row(
            "SELECT room, offset, time, kind, body FROM history ORDER BY offset DESC",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            },
        )
        .unwrap();
    let expected = ("a", 2, "1970-01-01T00:00:02.000Z", "text", "000002");
    assert_eq!((&*row.0, row.1, &*row.2, &*row.3, &*row.4), expected);
}

#[test]
fn a_clean_close_leaves_one_file_and_its_epochs() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let mut store = SqliteStore::open(settings(dir.path())).unwrap();
        assert_eq!(store.commit(&[append(&room("a"), run, 1)]), [Ok(())]);
        drop(store);
        assert!(!dir.path().join("rooms.sqlite-wal").exists());
        another_boot(dir.path());
    }
    let mut store = SqliteStore::open(settings(dir.path())).unwrap();
    let kept = store.open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!((kept.epoch, kept.head), (Epoch(7), 3));
}

fn another_boot(dir: &std::path::Path) {
    let conn = Connection::open(dir.join("rooms.sqlite")).unwrap();
    let changed = conn.execute("UPDATE meta SET value = 'other' WHERE name = 'boot'", []);
    assert_eq!(changed.unwrap(), 1);
}

#[test]
fn a_killed_server_has_everything_it_acknowledged_under_the_same_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(settings(dir.path())).unwrap();
    for after in 0..50 {
        assert_eq!(store.commit(&[append(&room("a"), after, 1)]), [Ok(())]);
        let copy = place::killed(dir.path());
        let mut next = SqliteStore::open(settings(copy.path())).unwrap();
        let kept = next.open(&room("a"), tail()).unwrap().unwrap();
        assert_eq!((kept.epoch, kept.head), (Epoch(7), after + 1));
        assert_eq!(kept.tail.len() as u64, after + 1);
    }
}

#[test]
fn after_a_crash_of_the_machine_every_room_has_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(settings(dir.path())).unwrap();
    let batch = [append(&room("a"), 0, 3), append(&room("b"), 0, 4)];
    assert_eq!(store.commit(&batch), [Ok(()), Ok(())]);
    let copy = place::killed(dir.path());
    another_boot(copy.path());
    let lost = Settings {
        epoch: Epoch(77),
        ..settings(copy.path())
    };
    let mut next = SqliteStore::open(lost).unwrap();
    for (name, head) in [("a", 3), ("b", 4)] {
        let kept = next.open(&room(name), tail()).unwrap().unwrap();
        assert_eq!((kept.epoch, kept.head), (Epoch(77), head));
        assert_eq!(next.commit(&[append(&room(name), head, 1)]), [Ok(())]);
    }
    drop(next);
    // Once is enough: the next run finds it closed cleanly.
    let mut next = SqliteStore::open(settings(copy.path())).unwrap();
    assert_eq!(
        next.open(&room("a"), tail()).unwrap().unwrap().epoch,
        Epoch(77)
    );
}
