//! State and ids: what outlives the messages that brought it.

use std::sync::Arc;

use taut_hub::{Effect, KeptId, Message, RoomName, Store, Tail};

use super::Reopen;
use super::make::{append, message, room, tail};
use crate::settings::ID_WINDOW_MS;

/// Appends one message with that effect on that key.
fn say(store: &mut dyn Store, room: &RoomName, offset: u64, key: Option<&str>, effect: Effect) {
    let mut one = append(room, offset - 1, 1);
    one.history.messages_max = 1;
    one.messages = vec![Arc::new(Message {
        key: key.map(Arc::from),
        effect,
        ..message(offset)
    })];
    assert_eq!(store.commit(&[one]), [Ok(())]);
}

fn keys(place: &mut dyn Reopen, room: &RoomName) -> Vec<(String, u64)> {
    let kept = place.store().open(room, tail()).unwrap().unwrap();
    let state = kept.state.iter();
    state
        .map(|message| {
            assert!(matches!(message.effect, Effect::Set { .. }));
            (message.key.as_deref().unwrap().to_owned(), message.offset)
        })
        .collect()
}

const SET: Effect = Effect::Set { expires_ms: None };

pub(super) fn effects(place: &mut dyn Reopen) {
    let (a, b) = (room("a"), room("b"));
    let store = place.store();
    say(store, &a, 1, Some("x"), SET);
    say(
        store,
        &a,
        2,
        Some("y"),
        Effect::Set {
            expires_ms: Some(9),
        },
    );
    say(store, &a, 3, Some("z"), Effect::None);
    say(store, &a, 4, None, Effect::None);
    say(store, &b, 1, Some("x"), SET);
    assert_eq!(keys(place, &a), [("x".to_owned(), 1), ("y".to_owned(), 2)]);
    say(place.store(), &a, 5, Some("x"), SET);
    assert_eq!(keys(place, &a), [("y".to_owned(), 2), ("x".to_owned(), 5)]);
    say(place.store(), &a, 6, Some("y"), Effect::Expired);
    say(place.store(), &a, 7, Some("never set"), Effect::Deleted);
    assert_eq!(keys(place, &a), [("x".to_owned(), 5)]);
    say(place.store(), &a, 8, Some("x"), Effect::Deleted);
    assert_eq!(keys(place, &a), []);
    assert_eq!(keys(place, &b), [("x".to_owned(), 1)]);
}

pub(super) fn outlives(place: &mut dyn Reopen) {
    let a = room("a");
    say(
        place.store(),
        &a,
        1,
        Some("x"),
        Effect::Set {
            expires_ms: Some(77),
        },
    );
    say(place.store(), &a, 2, None, Effect::None);
    let mut nothing = append(&a, 2, 1);
    nothing.history.messages_max = 0;
    assert_eq!(place.store().commit(&[nothing]), [Ok(())]);
    place.store().expire(1).unwrap();
    for _ in 0..3 {
        let kept = place.store().open(&a, tail()).unwrap().unwrap();
        assert!(kept.tail.is_empty());
        assert_eq!((kept.first, kept.head), (4, 3));
        let expected = Message {
            key: Some("x".into()),
            effect: Effect::Set {
                expires_ms: Some(77),
            },
            ..message(1)
        };
        assert_eq!(kept.state, [Arc::new(expected)]);
        place.reopen();
        assert!(!place.store().expire(u64::MAX / 4).unwrap().more);
    }
}

fn id(offset: u64) -> KeptId {
    KeptId {
        from: "ann".into(),
        id: format!("id {offset}").into(),
        offset,
        fingerprint: u64::MAX - offset,
        time_ms: offset * 1_000,
    }
}

fn with_ids(place: &mut dyn Reopen, room: &RoomName, count: u64) {
    for offset in 1..=count {
        let mut one = append(room, offset - 1, 1);
        one.id = Some(id(offset));
        one.history.messages_max = 1;
        assert_eq!(place.store().commit(&[one]), [Ok(())]);
    }
}

pub(super) fn ids(place: &mut dyn Reopen) {
    let a = room("a");
    with_ids(place, &a, 10);
    with_ids(place, &room("b"), 1);
    for _ in 0..2 {
        let mut get = |ids_max, ids_since_ms| {
            let bounds = Tail {
                ids_max,
                ids_since_ms,
                ..tail()
            };
            place.store().open(&a, bounds).unwrap().unwrap().ids
        };
        assert_eq!(get(100, 0), (1..=10).map(id).collect::<Vec<_>>());
        assert_eq!(get(3, 0), [id(8), id(9), id(10)]);
        assert_eq!(get(100, 9_000), [id(9), id(10)]);
        assert_eq!(get(100, 10_001), []);
        place.reopen();
    }
}

pub(super) fn ids_end(place: &mut dyn Reopen) {
    let a = room("a");
    with_ids(place, &a, 10);
    for reopened in [false, true] {
        if reopened {
            place.reopen();
        }
        place.store().expire(ID_WINDOW_MS + 999).unwrap();
        let kept = place.store().open(&a, tail()).unwrap().unwrap();
        assert_eq!((kept.tail.len(), kept.ids.len()), (1, 10));
    }
    place.store().expire(ID_WINDOW_MS + 4_000).unwrap();
    let kept = place.store().open(&a, tail()).unwrap().unwrap();
    assert_eq!(kept.ids, (5..=10).map(id).collect::<Vec<_>>());
}
