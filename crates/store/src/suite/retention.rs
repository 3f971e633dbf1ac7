//! What retention forgets, and what it must not.

use taut_hub::{Append, RoomName};

use super::Reopen;
use super::make::{COST_BYTES, all, append, offsets, room, tail};

fn commit(place: &mut dyn Reopen, room: &RoomName, count: u64, change: impl FnOnce(&mut Append)) {
    let mut batch = append(room, 0, count);
    change(&mut batch);
    assert_eq!(place.store().commit(&[batch]), [Ok(())]);
}

/// What is left after one step, and whether the step said so.
fn left(place: &mut dyn Reopen, room: &RoomName, now_ms: u64) -> Vec<u64> {
    let before = place.store().open(room, tail()).unwrap().unwrap();
    let expired = place.store().expire(now_ms).unwrap();
    assert!(!expired.more);
    let after = place.store().open(room, tail()).unwrap().unwrap();
    let said = expired.rooms.iter().find(|(name, _)| name == room);
    assert_eq!(
        said.map(|(_, first)| *first),
        (after.first != before.first).then_some(after.first)
    );
    assert_eq!(
        (after.head, after.end_bytes),
        (before.head, before.end_bytes)
    );
    let mut reader = place.store().reader().unwrap();
    let read = all(&reader.read(room, 0, u32::MAX, u64::MAX).unwrap());
    assert_eq!(read, offsets(&after.tail));
    read
}

pub(super) fn count(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |batch| batch.history.messages_max = 4);
    commit(place, &room("b"), 10, |_| ());
    assert_eq!(left(place, &a, 0), [7, 8, 9, 10]);
    assert_eq!(left(place, &a, 0), [7, 8, 9, 10]);
    assert_eq!(left(place, &room("b"), 0).len(), 10);
}

pub(super) fn bytes(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |batch| {
        batch.history.bytes_max = 3 * COST_BYTES;
    });
    assert_eq!(left(place, &a, 0), [8, 9, 10]);
    let mut next = append(&a, 10, 1);
    next.history.bytes_max = 3 * COST_BYTES - 1;
    assert_eq!(place.store().commit(&[next]), [Ok(())]);
    assert_eq!(left(place, &a, 0), [10, 11]);
}

pub(super) fn age(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |batch| batch.history.age_ms_max = 2_500);
    assert_eq!(left(place, &a, 3_499).len(), 10);
    assert_eq!(left(place, &a, 3_500), (2..=10).collect::<Vec<_>>());
    assert_eq!(left(place, &a, 11_400), [9, 10]);
    assert_eq!(left(place, &a, 12_500), []);
    assert_eq!(place.store().commit(&[append(&a, 10, 1)]), [Ok(())]);
    assert_eq!(left(place, &a, 12_500), [11]);
}

pub(super) fn last_history(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |_| ());
    assert_eq!(left(place, &a, 0).len(), 10);
    let mut next = append(&a, 10, 1);
    next.history.messages_max = 2;
    assert_eq!(place.store().commit(&[next]), [Ok(())]);
    assert_eq!(left(place, &a, 0), [10, 11]);
}

pub(super) fn earlier_run(place: &mut dyn Reopen) {
    let (a, b) = (room("a"), room("b"));
    commit(place, &a, 10, |batch| batch.history.messages_max = 3);
    commit(place, &b, 10, |batch| batch.history.age_ms_max = 5_000);
    place.reopen();
    assert_eq!(left(place, &a, 0), [8, 9, 10]);
    place.reopen();
    assert_eq!(left(place, &b, 10_000), [6, 7, 8, 9, 10]);
    assert_eq!(left(place, &a, 10_000), [8, 9, 10]);
}

pub(super) fn steps(place: &mut dyn Reopen) {
    let (a, b) = (room("a"), room("b"));
    commit(place, &a, 1_200, |batch| batch.history.messages_max = 1);
    commit(place, &b, 700, |batch| batch.history.messages_max = 0);
    let mut steps = 1;
    while place.store().expire(0).unwrap().more {
        steps += 1;
        assert!(
            steps < 100,
            "a step said that there is more, and there is not"
        );
    }
    assert!(steps >= 3, "a step was too large");
    assert_eq!(left(place, &a, 0), [1_200]);
    assert_eq!(left(place, &b, 0), []);
}

pub(super) fn keeps_head(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |batch| batch.history.messages_max = 0);
    assert_eq!(left(place, &a, 0), []);
    let kept = place.store().open(&a, tail()).unwrap().unwrap();
    assert_eq!((kept.first, kept.head), (11, 10));
    assert_eq!(kept.end_bytes, 10 * COST_BYTES);
    assert_eq!(place.store().reader().unwrap().seek(&a, 3).unwrap(), 10);
    assert!(place.store().commit(&[append(&a, 0, 1)])[0].is_err());
    assert_eq!(place.store().commit(&[append(&a, 10, 1)]), [Ok(())]);
}

pub(super) fn begins_anew(place: &mut dyn Reopen) {
    let a = room("a");
    commit(place, &a, 10, |batch| batch.history.messages_max = 0);
    place.store().expire(0).unwrap();
    place.reopen();
    assert!(place.store().open(&a, tail()).unwrap().is_none());
    assert_eq!(place.store().commit(&[append(&a, 0, 1)]), [Ok(())]);
}
