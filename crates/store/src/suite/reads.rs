//! Tails, chunks and times.

use taut_hub::{Pattern, RoomFacts, Tail};

use super::Reopen;
use super::make::{COST_BYTES, all, append, offsets, room, tail};

pub(super) fn tail_bounds(place: &mut dyn Reopen) {
    let a = room("a");
    assert_eq!(place.store().commit(&[append(&a, 0, 50)]), [Ok(())]);
    let mut newest = |messages_max, bytes_max| {
        let bounds = Tail {
            messages_max,
            bytes_max,
            ..tail()
        };
        let kept = place.store().open(&a, bounds).unwrap().unwrap();
        assert_eq!((kept.first, kept.head), (1, 50));
        assert_eq!(kept.end_bytes, 50 * COST_BYTES);
        offsets(&kept.tail)
    };
    assert_eq!(newest(3, u64::MAX), [48, 49, 50]);
    assert_eq!(newest(100, 2 * COST_BYTES), [49, 50]);
    assert_eq!(newest(100, 3 * COST_BYTES - 1), [49, 50]);
    assert_eq!(newest(100, 1), [50]);
    assert_eq!(newest(0, 0), []);
}

pub(super) fn chunks(place: &mut dyn Reopen) {
    let a = room("a");
    assert_eq!(place.store().commit(&[append(&a, 0, 100)]), [Ok(())]);
    let mut reader = place.store().reader().unwrap();
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let chunk = all(&reader.read(&a, after, 7, u64::MAX).unwrap());
        let Some(last) = chunk.last() else {
            break;
        };
        assert!(chunk.len() <= 7);
        after = *last;
        seen.extend(chunk);
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

pub(super) fn read_bounds(place: &mut dyn Reopen) {
    let a = room("a");
    assert_eq!(place.store().commit(&[append(&a, 0, 20)]), [Ok(())]);
    let mut reader = place.store().reader().unwrap();
    let mut read = |after, messages_max, bytes_max| {
        all(&reader.read(&a, after, messages_max, bytes_max).unwrap())
    };
    assert_eq!(read(17, 100, u64::MAX), [18, 19, 20]);
    assert_eq!(read(0, 100, 3 * COST_BYTES), [1, 2, 3]);
    assert_eq!(read(4, 100, 0), [5]);
    assert_eq!(read(4, 2, u64::MAX), [5, 6]);
    assert_eq!(read(20, 100, u64::MAX), []);
    assert_eq!(read(1_000, 100, u64::MAX), []);
    assert_eq!(read(u64::MAX, 100, u64::MAX), []);
    assert_eq!(read(0, 0, u64::MAX), []);
}

pub(super) fn sees_commits(place: &mut dyn Reopen) {
    let a = room("a");
    let store = place.store();
    let mut readers = [store.reader().unwrap(), store.reader().unwrap()];
    for head in 0..10 {
        assert_eq!(store.commit(&[append(&a, head, 1)]), [Ok(())]);
        for reader in &mut readers {
            let read = all(&reader.read(&a, head, 10, u64::MAX).unwrap());
            assert_eq!(read, [head + 1]);
        }
    }
}

pub(super) fn seek(place: &mut dyn Reopen) {
    let a = room("a");
    let mut few = append(&a, 0, 50);
    few.history.messages_max = 40;
    assert_eq!(place.store().commit(&[few]), [Ok(())]);
    for forgotten in [0, 10] {
        let mut reader = place.store().reader().unwrap();
        let mut at = |time_ms| reader.seek(&a, time_ms).unwrap();
        assert_eq!(at(0), forgotten);
        assert_eq!(at((forgotten + 1) * 1_000), forgotten);
        assert_eq!(at((forgotten + 1) * 1_000 + 1), forgotten + 1);
        assert_eq!(at(30_000), 29);
        assert_eq!(at(30_500), 30);
        assert_eq!(at(50_000), 49);
        assert_eq!(at(50_001), 50);
        assert_eq!(at(u64::MAX / 2), 50);
        place.store().expire(0).unwrap();
    }
}

pub(super) fn rooms(place: &mut dyn Reopen) {
    let names = ["a", "b/1", "b/2", "b/2/x", "b/3", "c"];
    for (count, name) in (1_u64..).zip(names) {
        let append = append(&room(name), 0, count);
        assert_eq!(place.store().commit(&[append]), [Ok(())]);
    }
    let mut reader = place.store().reader().unwrap();
    let mut listed = |pattern: &str, rooms_max| {
        let pattern = Pattern::parse(pattern).unwrap();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let list = reader.rooms(after.as_ref(), &pattern, rooms_max).unwrap();
            assert!(list.rooms.len() <= rooms_max as usize);
            found.extend(list.rooms);
            match list.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    };
    let shown = |found: &[RoomFacts]| -> Vec<String> {
        let names = found.iter().map(|room| room.name.as_str().to_owned());
        names.collect()
    };
    for rooms_max in [1, 2, 100] {
        assert_eq!(shown(&listed("**", rooms_max)), names);
        assert_eq!(shown(&listed("b/*", rooms_max)), ["b/1", "b/2", "b/3"]);
        assert_eq!(shown(&listed("none/**", rooms_max)), [""; 0]);
    }
    let found = listed("b/2", 1);
    assert_eq!((found[0].at.offset, found[0].messages), (3, 3));
    assert_eq!((found[0].bytes, found[0].users), (3 * COST_BYTES, 0));
    assert!(found[0].durable && !found[0].in_memory);
}
