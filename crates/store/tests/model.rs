//! Whatever happens to both, the SQLite store and the one in memory say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod place;

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use taut_hub::{
    Append, Body, Door, Effect, Epoch, History, KeptId, Message, RoomName, Store, StoreError, Tail,
};
use taut_store::memory::MemoryStore;
use taut_store::suite::{Reopen, room};

use place::Place;

#[derive(Clone, Debug)]
struct Said {
    room: usize,
    astray: bool,
    count: u64,
    body: usize,
    key: Option<u8>,
    effect: u8,
    id: bool,
    sync: bool,
    history: History,
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Said>),
    Expire,
    Sync,
    Reopen,
    Kill,
    Wait(u64),
    Read {
        room: usize,
        after: u64,
        messages_max: u32,
        bytes_max: u64,
    },
    Seek {
        room: usize,
        time_ms: u64,
    },
    Open {
        room: usize,
        tail: Tail,
    },
}

fn said() -> impl Strategy<Value = Said> {
    let history = (0..30_u32, 0..400_000_u64, 0..10_000_u64, 0..4_u8).prop_map(
        |(messages_max, age_ms_max, bytes_max, wide)| History {
            messages_max: if wide == 0 { messages_max } else { u32::MAX },
            age_ms_max: if wide == 1 { age_ms_max } else { u64::MAX },
            bytes_max: if wide == 2 { bytes_max } else { u64::MAX },
        },
    );
    (
        (
            0..3_usize,
            proptest::bool::weighted(0.1),
            1..6_u64,
            0..300_usize,
        ),
        (
            proptest::option::of(0..4_u8),
            0..4_u8,
            any::<bool>(),
            proptest::bool::weighted(0.1),
        ),
        history,
    )
        .prop_map(
            |((room, astray, count, body), (key, effect, id, sync), history)| Said {
                room,
                astray,
                count,
                body,
                key,
                effect,
                id,
                sync,
                history,
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let bounds = (0..20_u32, 0..5_000_u64, 0..10_u32, 0..900_000_u64).prop_map(
        |(messages_max, bytes_max, ids_max, ids_since_ms)| Tail {
            messages_max,
            bytes_max,
            ids_max,
            ids_since_ms,
        },
    );
    prop_oneof![
        6 => proptest::collection::vec(said(), 1..5).prop_map(Step::Commit),
        2 => Just(Step::Expire),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        2 => (0..200_000_u64).prop_map(Step::Wait),
        2 => (0..3_usize, 0..60_u64, 0..20_u32, 0..5_000_u64).prop_map(
            |(room, after, messages_max, bytes_max)| Step::Read { room, after, messages_max, bytes_max }
        ),
        1 => (0..3_usize, 0..900_000_u64).prop_map(|(room, time_ms)| Step::Seek { room, time_ms }),
        2 => (0..3_usize, bounds).prop_map(|(room, tail)| Step::Open { room, tail }),
    ]
}

/// Of any kind: a store never looks inside.
fn body(number: u64, bytes: Bytes) -> Body {
    match number % 4 {
        0 => Body::Binary(bytes),
        1 => Body::Args(bytes),
        2 => Body::Text(bytes),
        _ => Body::Json(bytes),
    }
}

#[derive(Default)]
struct Clock {
    now_ms: u64,
    run: u32,
}

fn append(rooms: &[RoomName], heads: &mut [(u64, u64)], clock: &mut Clock, said: &Said) -> Append {
    let (mut head, mut end_bytes) = heads[said.room];
    if said.astray {
        head += 1;
    }
    let after = head;
    let messages = (0..said.count)
        .map(|number| {
            clock.now_ms += 7;
            head += 1;
            let mut message = Message {
                offset: head,
                time_ms: clock.now_ms,
                event: (number % 2 == 0).then(|| Arc::from("event")),
                key: said.key.map(|key| Arc::from(format!("k{key}"))),
                id: said.id.then(|| Arc::from(format!("id{head}"))),
                from: "someone".into(),
                door: Door::named("mqtt"),
                body: body(number, Bytes::from(vec![said.effect; said.body])),
                effect: match said.effect {
                    0 => Effect::None,
                    1 => Effect::Set {
                        expires_ms: Some(clock.now_ms),
                    },
                    2 => Effect::Set { expires_ms: None },
                    _ => Effect::Deleted,
                },
                lane: taut_hub::Lane::Reliable,
                origin: None,
                is_members: false,
                born_ms: clock.now_ms,
                end_bytes: 0,
            };
            end_bytes += message.cost_bytes();
            message.end_bytes = end_bytes;
            Arc::new(message)
        })
        .collect();
    Append {
        room: rooms[said.room].clone(),
        epoch: Epoch(clock.run + 1),
        after,
        messages,
        id: said.id.then(|| KeptId {
            from: "someone".into(),
            id: format!("id{head}").into(),
            offset: head,
            fingerprint: head << 60,
            time_ms: clock.now_ms,
        }),
        sync: said.sync,
        history: said.history,
    }
}

fn play(steps: &[Step]) {
    let mut place = Place::new();
    let mut memory = MemoryStore::new();
    let rooms: Vec<RoomName> = ["a", "b", "c/d"].iter().map(|name| room(name)).collect();
    let mut clock = Clock {
        now_ms: 1_000,
        run: 0,
    };
    let mut heads = [(0, 0); 3];
    for step in steps {
        match step {
            Step::Commit(all) => {
                let mut next = heads;
                let mut batch = Vec::new();
                for said in all {
                    let made = append(&rooms, &mut next, &mut clock, said);
                    if !said.astray
                        && let Some(last) = made.messages.last()
                    {
                        next[said.room] = (last.offset, last.end_bytes);
                    }
                    batch.push(made);
                }
                let results = memory.commit(&batch);
                assert_eq!(place.store().commit(&batch), results);
                for (said, result) in all.iter().zip(&results) {
                    let expected = if said.astray {
                        matches!(result, Err(StoreError::OutOfOrder { .. }))
                    } else {
                        result.is_ok()
                    };
                    assert!(expected, "{result:?}");
                }
                heads = next;
            }
            Step::Expire => {
                let mut ours = place.store().expire(clock.now_ms).unwrap();
                let mut theirs = memory.expire(clock.now_ms).unwrap();
                assert!(!ours.more && !theirs.more);
                ours.rooms.sort();
                theirs.rooms.sort();
                assert_eq!(ours, theirs);
            }
            Step::Sync => place.store().sync().unwrap(),
            Step::Reopen | Step::Kill => {
                if matches!(step, Step::Kill) {
                    place.kill();
                } else {
                    place.reopen();
                }
                memory = memory.restart();
                clock.run += 1;
                for (head, name) in heads.iter_mut().zip(&rooms) {
                    let everything = Tail {
                        messages_max: 0,
                        bytes_max: 0,
                        ids_max: 0,
                        ids_since_ms: 0,
                    };
                    let kept = memory.open(name, everything).unwrap();
                    *head = kept.map_or((0, 0), |kept| (kept.head, kept.end_bytes));
                }
            }
            Step::Wait(ms) => clock.now_ms += ms,
            Step::Read {
                room,
                after,
                messages_max,
                bytes_max,
            } => {
                let read = |store: &dyn Store| {
                    let mut reader = store.reader().unwrap();
                    reader
                        .read(&rooms[*room], *after, *messages_max, *bytes_max)
                        .unwrap()
                };
                let (ours, theirs) = (read(place.store()), read(&memory));
                assert_eq!(ours.messages, theirs.messages);
                assert_eq!(ours.damaged, theirs.damaged);
            }
            Step::Seek { room, time_ms } => {
                let seek = |store: &dyn Store| {
                    store
                        .reader()
                        .unwrap()
                        .seek(&rooms[*room], *time_ms)
                        .unwrap()
                };
                assert_eq!(seek(place.store()), seek(&memory));
            }
            Step::Open { room, tail } => {
                let ours = place.store().open(&rooms[*room], *tail).unwrap();
                let theirs = memory.open(&rooms[*room], *tail).unwrap();
                assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
            }
        }
    }
    for name in &rooms {
        let everything = Tail {
            messages_max: u32::MAX,
            bytes_max: u64::MAX,
            ids_max: u32::MAX,
            ids_since_ms: 0,
        };
        let ours = place.store().open(name, everything).unwrap();
        let theirs = memory.open(name, everything).unwrap();
        assert_eq!(format!("{ours:#?}"), format!("{theirs:#?}"));
    }
    assert_eq!(taut_store::check(place.dir.path()).unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_say_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        play(&steps);
    }
}
