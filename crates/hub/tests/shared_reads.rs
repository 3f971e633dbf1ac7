//! Ten thousand readers that come back far behind cost one read of the store a block, not one each.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

use std::sync::Arc;

use bytes::Bytes;
use taut_hub::{
    Body, ConnId, Door, Effect, Epoch, Grant, History, Input, Join, Kept, Limits, Message, Next,
    Now, Output, Policies, Position, RoomId, RoomName, RoomPolicy, Shard, ShardSettings, Start,
    StoreAnswer, StoreRequest, Stretch, Ticket, Watch,
};

const MESSAGES: u64 = 2_000;
const READERS: u32 = 10_000;
const EPOCH: Epoch = Epoch(5);

fn now() -> Now {
    Now {
        mono_ms: 1_700_000_000_000,
        unix_ms: 1_700_000_000_000,
    }
}

fn message(offset: u64) -> Arc<Message> {
    let mut message = Message {
        offset,
        time_ms: now().unix_ms,
        event: None,
        key: None,
        id: None,
        from: "ana".into(),
        door: Door("http"),
        body: Body::Text(Bytes::from(offset.to_string())),
        effect: Effect::None,
        lane: taut_hub::Lane::Reliable,
        origin: None,
        is_members: false,
        born_ms: now().mono_ms,
        end_bytes: 0,
    };
    message.end_bytes = offset * message.cost_bytes();
    Arc::new(message)
}

/// A shard whose one room has all its messages in the store, the last hundred of them in memory too.
struct World {
    shard: Shard,
    reads: usize,
}

impl World {
    fn new() -> Self {
        let policy = RoomPolicy {
            history: History {
                messages_max: 1_000_000,
                age_ms_max: u64::MAX / 4,
                bytes_max: 1 << 40,
            },
            ..RoomPolicy::default()
        };
        let settings = ShardSettings {
            core: 0,
            cores: 1,
            seed: 1,
            epoch: Epoch(9),
            policies: Arc::new(Policies::new(policy, Vec::new())),
            anonymous: Arc::new(Grant::open()),
            limits: Limits {
                tail_messages_max: 100,
                ..Limits::default()
            },
            has_store: true,
        };
        Self {
            shard: Shard::new(settings),
            reads: 0,
        }
    }

    /// Hands an input in, and answers what the shard asks of the store.
    fn put(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.shard.handle(input, now(), &mut outputs);
        self.settle(outputs)
    }

    fn settle(&mut self, outputs: Vec<Output>) -> Vec<Output> {
        let mut said = Vec::new();
        let mut requests = Vec::new();
        for output in outputs {
            match output {
                Output::Store { request } => requests.push(request),
                other => said.push(other),
            }
        }
        for request in requests {
            let answer = self.store(request);
            said.extend(self.put(Input::Stored { answer }));
        }
        said
    }

    fn store(&mut self, request: StoreRequest) -> StoreAnswer {
        match request {
            StoreRequest::Open { id, room, tail } => {
                let first = MESSAGES + 1 - u64::from(tail.messages_max);
                StoreAnswer::Opened {
                    id,
                    room,
                    result: Ok(Some(Kept {
                        epoch: EPOCH,
                        first: 1,
                        head: MESSAGES,
                        end_bytes: message(MESSAGES).end_bytes,
                        tail: (first..=MESSAGES).map(message).collect(),
                        state: Vec::new(),
                        ids: Vec::new(),
                    })),
                }
            }
            StoreRequest::Read {
                id,
                room,
                after,
                messages_max,
                ..
            } => {
                self.reads += 1;
                let last = MESSAGES.min(after + u64::from(messages_max));
                StoreAnswer::Read {
                    id,
                    room,
                    after,
                    result: Ok(Stretch {
                        messages: (after + 1..=last).map(message).collect(),
                        damaged: Vec::new(),
                    }),
                }
            }
            other => panic!("not asked for here: {other:?}"),
        }
    }

    /// Reads what the member has before it, as far as it goes now; gives the offsets.
    fn read(&mut self, room: RoomId, index: u32) -> Vec<u64> {
        let mut offsets = Vec::new();
        loop {
            let mut outputs = Vec::new();
            let next = self.shard.next(room, index, now(), &mut outputs);
            self.settle(outputs);
            match next {
                Next::Message(message) => {
                    self.shard
                        .room_mut(room)
                        .unwrap()
                        .sent(index, message.offset);
                    offsets.push(message.offset);
                }
                Next::Pending => {}
                Next::Caught => return offsets,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn readers_that_come_back_share_what_is_read() {
    let mut world = World::new();
    let name = RoomName::parse("busy").unwrap();
    for slot in 0..READERS {
        let conn = ConnId {
            slot,
            generation: 1,
        };
        world.put(Input::Open { conn });
        // They were cut off at about the same time, so nearly each stands elsewhere.
        let start = Start::After(Position {
            epoch: EPOCH,
            offset: u64::from(slot % 500),
        });
        world.put(Input::Join {
            conn,
            ticket: Ticket(1),
            room: name.clone(),
            join: Join {
                name: format!("n{slot}").into(),
                door: Door("lines"),
                start,
                presence: Watch::Nothing,
                data: None,
                state: false,
            },
        });
    }
    let room = world.shard.find(&name).unwrap();
    for index in 0..READERS {
        let first = u64::from(index % 500) + 1;
        let got = world.read(room, index);
        assert!(got.iter().copied().eq(first..=MESSAGES), "reader {index}");
    }
    let blocks = (MESSAGES - 100).div_ceil(256) as usize;
    assert_eq!(world.reads, blocks, "one read a block");
}
