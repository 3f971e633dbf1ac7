//! Damage is found when it is read, named, and never handed out as a message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use taut_hub::{Append, Effect, KeptId, Message, Store, StoreError};
use taut_store::suite::{Reopen, append, message, room, tail};
use taut_store::{Damage, OpenError, check};

use place::Place;

fn tamper(dir: &Path, sql: &str) {
    let conn = Connection::open(dir.join("rooms.sqlite")).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0);
}

/// Ten messages; each has an id and sets a key.
fn filled() -> Place {
    let mut place = Place::new();
    for offset in 1..=10 {
        let one = Append {
            messages: vec![Arc::new(Message {
                key: Some(format!("k{offset}").into()),
                effect: Effect::Set { expires_ms: None },
                ..message(offset)
            })],
            id: Some(KeptId {
                from: "ann".into(),
                id: format!("{offset}").into(),
                offset,
                fingerprint: 1,
                time_ms: 1_000 * offset,
            }),
            ..append(&room("a"), offset - 1, 1)
        };
        assert_eq!(place.store().commit(&[one]), [Ok(())]);
    }
    place
}

fn offsets(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.offset).collect()
}

#[test]
fn a_damaged_message_is_a_hole_with_a_name() {
    for change in [
        "body = x'00'",
        "body = zeroblob(6)",
        "time_ms = time_ms + 1",
        "end_bytes = 0",
        "sender = 'bob'",
        "door = 'sse'",
        "door = 'no such door'",
        "kind = 2",
        "kind = 99",
        "effect = 0",
        "effect = 7",
        "expires_ms = 0",
        "event = ''",
        "key = NULL",
        "key = 'k5'",
        "id = '4'",
        "sender = CAST(x'ff' AS TEXT)",
        "checksum = checksum + 4294967296",
        "checksum = -1",
    ] {
        let mut place = filled();
        let mut reader = place.store().reader().unwrap();
        tamper(
            place.dir.path(),
            &format!("UPDATE messages SET {change} WHERE offset = 4"),
        );
        let read = reader.read(&room("a"), 2, 4, u64::MAX).unwrap();
        assert_eq!(offsets(&read.messages), [3, 5, 6], "{change}");
        assert_eq!(read.damaged, [4], "{change}");
        place.reopen();
        let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
        assert_eq!(offsets(&kept.tail), (5..=10).collect::<Vec<_>>());
        assert_eq!((kept.first, kept.head), (1, 10));
        let found = Damage::Message {
            room: "a".to_owned(),
            offset: 4,
        };
        assert_eq!(check(place.dir.path()).unwrap(), [found]);
    }
}

#[test]
fn a_row_that_moved_to_another_room_is_damage() {
    let mut place = filled();
    assert_eq!(place.store().commit(&[append(&room("b"), 0, 3)]), [Ok(())]);
    tamper(
        place.dir.path(),
        "UPDATE messages SET room = 2 WHERE offset = 4 AND room = 1",
    );
    let mut reader = place.store().reader().unwrap();
    let read = reader.read(&room("b"), 0, 10, u64::MAX).unwrap();
    assert_eq!(offsets(&read.messages), [1, 2, 3]);
    assert_eq!(read.damaged, [4]);
    let found = check(place.dir.path()).unwrap();
    let hole = Damage::Hole {
        room: "a".to_owned(),
        first: 4,
        last: 4,
    };
    assert!(found.contains(&hole), "{found:?}");
}

#[test]
fn a_room_goes_on_behind_its_damaged_newest_message() {
    let mut place = filled();
    tamper(
        place.dir.path(),
        "UPDATE messages SET end_bytes = -1 WHERE offset >= 9",
    );
    place.reopen();
    let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!(offsets(&kept.tail), []);
    assert_eq!((kept.first, kept.head), (1, 10));
    assert_eq!(kept.end_bytes, message(8).end_bytes);
    assert_eq!(place.store().commit(&[append(&room("a"), 10, 2)]), [Ok(())]);
    let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!(offsets(&kept.tail), [11, 12]);
    let expired = place.store().expire(u64::MAX / 4).unwrap();
    assert!(!expired.more);
}

#[test]
fn seeking_passes_damaged_messages() {
    let mut place = filled();
    tamper(
        place.dir.path(),
        "UPDATE messages SET time_ms = 0 WHERE offset BETWEEN 4 AND 7",
    );
    let mut reader = place.store().reader().unwrap();
    assert_eq!(reader.seek(&room("a"), 3_001).unwrap(), 3);
    assert_eq!(reader.seek(&room("a"), 8_001).unwrap(), 8);
    assert_eq!(reader.seek(&room("a"), 90_000).unwrap(), 10);
}

#[test]
fn damaged_keys_and_ids_are_left_out() {
    let mut place = filled();
    tamper(
        place.dir.path(),
        "UPDATE state SET body = x'00' WHERE key = 'k3'",
    );
    tamper(
        place.dir.path(),
        "UPDATE ids SET fingerprint = 2 WHERE offset = 7",
    );
    let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!(offsets(&kept.state), [1, 2, 4, 5, 6, 7, 8, 9, 10]);
    let ids: Vec<u64> = kept.ids.iter().map(|id| id.offset).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 8, 9, 10]);
    let found = check(place.dir.path()).unwrap();
    let expected = [
        Damage::Key {
            room: "a".to_owned(),
            key: "k3".to_owned(),
            offset: 3,
        },
        Damage::Id {
            room: "a".to_owned(),
            offset: 7,
        },
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_room_with_a_damaged_row_goes_on_under_a_new_epoch() {
    for change in [
        "epoch = 1",
        "forgotten = 3",
        "messages_max = 0",
        "checksum = 1",
    ] {
        let mut place = filled();
        tamper(place.dir.path(), &format!("UPDATE rooms SET {change}"));
        let found = check(place.dir.path()).unwrap();
        let room_a = Damage::Room {
            room: "a".to_owned(),
        };
        assert_eq!(found, [room_a], "{change}");
        place.reopen();
        let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
        assert_eq!(kept.epoch.0, 1_001, "{change}");
        assert_eq!(offsets(&kept.tail), (1..=10).collect::<Vec<_>>());
        assert_eq!(check(place.dir.path()).unwrap(), []);
    }
}

#[test]
fn a_room_whose_name_is_unreadable_is_left_alone() {
    let mut place = filled();
    tamper(place.dir.path(), "UPDATE rooms SET name = 'no//name'");
    place.reopen();
    assert!(place.store().open(&room("a"), tail()).unwrap().is_none());
    assert_eq!(place.store().commit(&[append(&room("a"), 0, 1)]), [Ok(())]);
    let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!(offsets(&kept.tail), [1]);
}

#[test]
fn a_sound_file_has_no_damage() {
    let place = filled();
    assert_eq!(check(place.dir.path()).unwrap(), []);
    let nowhere = tempfile::tempdir().unwrap();
    assert!(check(nowhere.path()).is_err());
}

#[test]
fn torn_pages_are_damage_and_no_panic() {
    for page in 1..12_u64 {
        let mut place = Place::new();
        let batch: Vec<_> = (0..20)
            .map(|number| append(&room(&format!("r{number}")), 0, 100))
            .collect();
        assert!(place.store().commit(&batch).iter().all(Result::is_ok));
        place.store = None;
        let file = OpenOptions::new()
            .write(true)
            .open(place.dir.path().join("rooms.sqlite"))
            .unwrap();
        assert!(file.metadata().unwrap().len() > (page + 1) * 8_192);
        file.write_all_at(&[0xa5; 8_192], page * 8_192).unwrap();
        drop(file);
        let damages = check(place.dir.path());
        assert!(
            !damages.as_ref().is_ok_and(Vec::is_empty),
            "page {page}: {damages:?}"
        );
        let settings = taut_store::Settings::new(place.dir.path(), taut_hub::Epoch(5));
        match taut_store::SqliteStore::open(settings) {
            Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
            Ok(mut store) => {
                for number in 0..20 {
                    let name = room(&format!("r{number}"));
                    match store.open(&name, tail()) {
                        Ok(_) | Err(StoreError::Damaged { .. }) => {}
                        Err(other) => panic!("page {page}: {other}"),
                    }
                    let mut reader = store.reader().unwrap();
                    match reader.read(&name, 0, 1_000, u64::MAX) {
                        Ok(stretch) => {
                            for read in stretch.messages {
                                assert_eq!(*read, message(read.offset));
                            }
                        }
                        Err(StoreError::Damaged { .. }) => {}
                        Err(other) => panic!("page {page}: {other}"),
                    }
                }
            }
        }
    }
}
