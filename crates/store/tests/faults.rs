//! A disk that fails refuses what it does not keep, and the same store works again when the disk does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;

use std::fs;

use rusqlite::Connection;
use taut_hub::{Epoch, Store, StoreError};
use taut_store::suite::{Reopen, append, room, tail};
use taut_store::{Settings, SqliteStore, check};

use place::Place;

#[test]
fn at_its_bound_the_store_refuses_and_retention_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        disk_bytes_max: 1 << 20,
        ..Settings::new(dir.path(), Epoch(1))
    };
    let mut store = SqliteStore::open(settings).unwrap();
    let rooms = [room("a"), room("b"), room("c")];
    let mut heads = [0_u64; 3];
    let mut refused = 0;
    for turn in 0..1_000 {
        let which = turn % 3;
        let mut batch = append(&rooms[which], heads[which], 50);
        batch.history.messages_max = u32::MAX;
        match store.commit(&[batch])[0].clone() {
            Ok(()) => heads[which] += 50,
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                refused += 1;
                for (name, head) in rooms.iter().zip(heads) {
                    let kept = store.open(name, tail()).unwrap().unwrap();
                    assert_eq!(kept.head, head);
                }
                while store.expire(0).unwrap().more {}
            }
        }
        let (_, bytes) = store.size();
        assert!(bytes <= 1 << 20, "{bytes}");
    }
    assert!(refused > 2, "{refused}");
    assert!(heads.iter().sum::<u64>() > 10_000);
    drop(store);
    assert_eq!(check(dir.path()).unwrap(), []);
}

#[test]
fn over_budget_the_room_that_was_silent_longest_forgets_first() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        disk_bytes_max: 1 << 20,
        ..Settings::new(dir.path(), Epoch(1))
    };
    let mut store = SqliteStore::open(settings).unwrap();
    // Times grow with offsets: the room with the fewest messages has been silent for longest.
    assert_eq!(store.commit(&[append(&room("old"), 0, 3_000)]), [Ok(())]);
    let mut head = 0;
    while store.commit(&[append(&room("new"), head, 500)]) == [Ok(())] {
        head += 500;
    }
    assert!(head > 3_000);
    let mut forgotten = Vec::new();
    loop {
        let expired = store.expire(0).unwrap();
        forgotten.extend(expired.rooms);
        if !expired.more {
            break;
        }
    }
    assert!(!forgotten.is_empty());
    assert!(
        forgotten.iter().all(|(name, _)| *name == room("old")),
        "{forgotten:?}"
    );
}

#[test]
fn the_file_shrinks_when_much_of_it_is_forgotten() {
    let mut place = Place::new();
    let mut batch = append(&room("a"), 0, 20_000);
    batch.history.messages_max = 10;
    assert_eq!(place.store().commit(&[batch]), [Ok(())]);
    place.reopen();
    let bytes = |place: &Place| place.store.as_ref().map(|store| store.size().1).unwrap();
    let before = bytes(&place);
    while place.store().expire(0).unwrap().more {}
    place.reopen();
    let after = bytes(&place);
    assert!(after < before / 2, "{before} {after}");
}

#[test]
fn a_statement_that_fails_takes_the_whole_commit_with_it() {
    let mut place = Place::new();
    assert_eq!(place.store().commit(&[append(&room("a"), 0, 2)]), [Ok(())]);
    let conn = Connection::open(place.dir.path().join("rooms.sqlite")).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER bad BEFORE INSERT ON messages WHEN new.offset = 13
         BEGIN SELECT RAISE(ABORT, 'thirteen'); END",
    )
    .unwrap();
    let batch = [
        append(&room("a"), 2, 3),
        append(&room("new"), 0, 1),
        append(&room("a"), 5, 10),
        append(&room("b"), 0, 1),
    ];
    let results = place.store().commit(&batch);
    assert_eq!(results.len(), 4);
    for result in results {
        assert!(
            matches!(result, Err(StoreError::Failed { .. })),
            "{result:?}"
        );
    }
    // What was to follow cannot.
    let refused = [Err(StoreError::OutOfOrder { head: 2 })];
    assert_eq!(place.store().commit(&[append(&room("a"), 15, 1)]), refused);
    assert!(place.store().open(&room("new"), tail()).unwrap().is_none());
    conn.execute_batch("DROP TRIGGER bad").unwrap();
    assert!(place.store().commit(&batch).iter().all(Result::is_ok));
    assert_eq!(
        place
            .store()
            .open(&room("a"), tail())
            .unwrap()
            .unwrap()
            .head,
        15
    );
}

#[test]
fn a_file_that_was_moved_away_is_never_made_anew() {
    let mut place = Place::new();
    assert_eq!(place.store().commit(&[append(&room("a"), 0, 2)]), [Ok(())]);
    let path = place.dir.path().join("rooms.sqlite");
    let aside = place.dir.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    let mut head = 2;
    for _ in 0..3 {
        if place.store().commit(&[append(&room("a"), head, 1)]) == [Ok(())] {
            head += 1;
        }
        assert!(!path.exists());
    }
    fs::rename(&aside, &path).unwrap();
    assert_eq!(
        place.store().commit(&[append(&room("a"), head, 1)]),
        [Ok(())]
    );
    place.reopen();
    let kept = place.store().open(&room("a"), tail()).unwrap().unwrap();
    assert_eq!(kept.head, head + 1);
}

#[test]
fn too_many_rooms_are_refused_until_empty_ones_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        rooms_max: 16,
        ..Settings::new(dir.path(), Epoch(1))
    };
    let mut store = SqliteStore::open(settings).unwrap();
    for number in 0..16 {
        let mut batch = append(&room(&format!("r{number}")), 0, number + 1);
        batch.history.messages_max = u32::from(number >= 8);
        assert_eq!(store.commit(&[batch]), [Ok(())]);
    }
    let one_more = append(&room("new"), 0, 1);
    assert_eq!(store.commit(&[one_more]), [Err(StoreError::Full)]);
    while store.expire(0).unwrap().more {}
    // No offset of this run's epoch may come back: rooms begin behind all that were forgotten.
    let kept = store.open(&room("r3"), tail()).unwrap().unwrap();
    assert_eq!((kept.epoch, kept.first, kept.head), (Epoch(1), 9, 8));
    assert!(store.commit(&[append(&room("new"), 0, 1)])[0].is_err());
    assert_eq!(store.commit(&[append(&room("new"), 8, 1)]), [Ok(())]);
    let kept = store.open(&room("r12"), tail()).unwrap().unwrap();
    assert_eq!((kept.head, kept.tail.len()), (13, 1));
}
