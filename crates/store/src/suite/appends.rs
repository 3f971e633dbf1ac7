//! Order, wholeness, and what is there when the store is opened again.

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{Body, ConnId, Door, Effect, Epoch, Message, Origin, StoreError};

use super::Reopen;
use super::make::{append, message, offsets, room, tail};

pub(super) fn unknown(place: &mut dyn Reopen) {
    let store = place.store();
    assert!(store.open(&room("a"), tail()).unwrap().is_none());
    let mut reader = store.reader().unwrap();
    assert!(
        reader
            .read(&room("a"), 0, 10, 1_000)
            .unwrap()
            .messages
            .is_empty()
    );
    assert_eq!(reader.seek(&room("a"), 5).unwrap(), 0);
    assert!(store.commit(&[]).is_empty());
    assert_eq!(store.expire(1).unwrap().rooms, []);
}

pub(super) fn as_they_were(place: &mut dyn Reopen) {
    let a = room("a/ä/🦀");
    let mut messages = vec![
        Message {
            event: Some("ev".into()),
            key: Some("k\u{0}ey".into()),
            id: Some("id-1".into()),
            body: Body::Json(Bytes::from_static(b"{\"a\": 1}")),
            effect: Effect::Set {
                expires_ms: Some(u64::MAX),
            },
            ..message(1)
        },
        Message {
            from: "".into(),
            door: Door::named("mqtt"),
            body: Body::Binary(Bytes::from_static(&[0, 255, 1])),
            ..message(2)
        },
        Message {
            body: Body::Text(Bytes::new()),
            effect: Effect::Deleted,
            ..message(3)
        },
        Message {
            body: Body::Binary(Bytes::from(vec![7; 200_000])),
            effect: Effect::Expired,
            origin: Some(Origin {
                core: 1,
                conn: ConnId {
                    slot: 2,
                    generation: 3,
                },
            }),
            born_ms: 1,
            ..message(4)
        },
        Message {
            key: Some("args".into()),
            body: Body::Args(Bytes::from_static(b"[1]\0\x01\0\0\0\0\0\0\0\0")),
            effect: Effect::Set { expires_ms: None },
            ..message(5)
        },
    ];
    let mut appended = append(&a, 0, 1);
    appended.messages = messages.iter().cloned().map(Arc::new).collect();
    assert_eq!(place.store().commit(&[appended]), [Ok(())]);
    // A connection and a clock of one run mean nothing to the next.
    messages[3].origin = None;
    messages[3].born_ms = messages[3].time_ms;
    for _ in 0..2 {
        let kept = place.store().open(&a, tail()).unwrap().unwrap();
        let tail: Vec<Message> = kept.tail.iter().map(|m| Message::clone(m)).collect();
        assert_eq!(tail, messages);
        let mut reader = place.store().reader().unwrap();
        let read = reader.read(&a, 0, 10, u64::MAX).unwrap().messages;
        assert_eq!(kept.tail, read);
        drop(reader);
        place.reopen();
    }
}

pub(super) fn in_order(place: &mut dyn Reopen) {
    let a = room("a");
    let store = place.store();
    let batch = [append(&a, 0, 2), append(&a, 2, 1), append(&a, 3, 5)];
    assert_eq!(store.commit(&batch), [Ok(()), Ok(()), Ok(())]);
    let kept = store.open(&a, tail()).unwrap().unwrap();
    assert_eq!(offsets(&kept.tail), (1..=8).collect::<Vec<_>>());
    assert_eq!((kept.first, kept.head), (1, 8));
    assert_eq!(kept.end_bytes, message(8).end_bytes);
}

pub(super) fn out_of_order(place: &mut dyn Reopen) {
    let (a, b) = (room("a"), room("b"));
    let store = place.store();
    let refused = |head| Err(StoreError::OutOfOrder { head });
    assert_eq!(store.commit(&[append(&a, 1, 1)]), [refused(0)]);
    assert_eq!(store.commit(&[append(&a, 0, 3)]), [Ok(())]);
    let batch = [
        append(&a, 3, 1),
        append(&a, 5, 1),
        append(&b, 0, 1),
        append(&a, 6, 1),
        append(&a, 3, 1),
    ];
    let results = store.commit(&batch);
    assert_eq!(
        results,
        [Ok(()), refused(4), Ok(()), refused(4), refused(4)]
    );
    assert_eq!(store.open(&a, tail()).unwrap().unwrap().head, 4);
    assert_eq!(store.open(&b, tail()).unwrap().unwrap().head, 1);
}

pub(super) fn all_or_nothing(place: &mut dyn Reopen) {
    let a = room("a");
    let store = place.store();
    let mut holed = append(&a, 0, 3);
    holed.messages.remove(1);
    assert!(store.commit(&[holed])[0].is_err());
    assert!(store.open(&a, tail()).unwrap().is_none());
}

pub(super) fn rooms_apart(place: &mut dyn Reopen) {
    let rooms: Vec<_> = (0..20).map(|number| room(&format!("r/{number}"))).collect();
    let batch: Vec<_> = (0..)
        .zip(&rooms)
        .map(|(n, name)| append(name, 0, n + 1))
        .collect();
    assert!(place.store().commit(&batch).iter().all(Result::is_ok));
    for _ in 0..2 {
        for (number, name) in (0..).zip(&rooms) {
            let kept = place.store().open(name, tail()).unwrap().unwrap();
            assert_eq!(offsets(&kept.tail), (1..=number + 1).collect::<Vec<_>>());
        }
        place.reopen();
    }
}

pub(super) fn synced(place: &mut dyn Reopen) {
    let a = room("a");
    let mut synced = append(&a, 0, 1);
    synced.sync = true;
    let store = place.store();
    assert_eq!(store.commit(&[synced, append(&a, 1, 1)]), [Ok(()), Ok(())]);
    assert_eq!(store.commit(&[append(&a, 2, 1)]), [Ok(())]);
    let mut reader = store.reader().unwrap();
    for _ in 0..2 {
        store.sync().unwrap();
        reader.sync().unwrap();
        store.probe().unwrap();
    }
    assert_eq!(store.open(&a, tail()).unwrap().unwrap().head, 3);
}

pub(super) fn goes_on(place: &mut dyn Reopen) {
    let a = room("a");
    for run in 0..4 {
        let kept = place.store().open(&a, tail()).unwrap();
        let head = kept.as_ref().map_or(0, |kept| kept.head);
        assert_eq!(head, run * 10);
        if let Some(kept) = kept {
            assert_eq!(offsets(&kept.tail), (1..=head).collect::<Vec<_>>());
            assert_eq!(kept.end_bytes, message(head).end_bytes);
        }
        assert_eq!(place.store().commit(&[append(&a, head, 10)]), [Ok(())]);
        place.reopen();
    }
}

pub(super) fn epoch_stays(place: &mut dyn Reopen) {
    let a = room("a");
    for run in 0..3 {
        let mut next = append(&a, run, 1);
        next.epoch = Epoch(100 + u32::try_from(run).unwrap());
        assert_eq!(place.store().commit(&[next]), [Ok(())]);
        let kept = place.store().open(&a, tail()).unwrap().unwrap();
        assert_eq!(kept.epoch, Epoch(100));
        place.reopen();
    }
}
